"""The states of VPSs on the real loader and the simulated hypervisor."""

import json
from typing import Any

import pytest

from tests.support.pillars import dom0_pillar, tombstone, uuid_of, vps_entry
from tests.support.salt_loader import SaltDom0
from tests.support.simulated_dom0 import Simulation

UUID = uuid_of(1)
NAME = f"vps-{UUID[:8]}"


@pytest.fixture
def simulation(salt_dom0: SaltDom0) -> Simulation:
    return Simulation(salt_dom0.state_dir)


def wish(salt_dom0: SaltDom0, *entries: dict[str, Any], **dom0: Any) -> None:
    """Set the pillar and let the wishes be noted, as each run does first."""
    salt_dom0.set_pillar(dom0_pillar(*entries, **dom0))
    assert salt_dom0.state("domu.noted", name="wishes")["result"] is True


def run_it(salt_dom0: SaltDom0, simulation: Simulation, **changes: Any) -> None:
    """Have VPS 1 installed and running."""
    entry = vps_entry(1, **changes)
    wish(salt_dom0, entry)
    simulation.install(entry)
    assert salt_dom0.state("domu.running", name=NAME, uuid=UUID)["result"] is True


def power(salt_dom0: SaltDom0) -> str | None:
    found = salt_dom0.modules.domu.info(UUID)
    return found["power"] if found else None


def test_running_starts_an_installed_vps_and_test_mode_only_says_so(
    salt_dom0: SaltDom0, simulation: Simulation, testmode: bool
) -> None:
    entry = vps_entry(1)
    wish(salt_dom0, entry)
    simulation.install(entry)
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID, test=testmode)
    assert ret["result"] is (None if testmode else True)
    assert ret["changes"]["power"] == {"old": None, "new": "running"}
    assert power(salt_dom0) == (None if testmode else "running")


def test_running_a_second_time_changes_nothing(
    salt_dom0: SaltDom0, simulation: Simulation, testmode: bool
) -> None:
    run_it(salt_dom0, simulation)
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID, test=testmode)
    assert ret["result"] is True
    assert ret["changes"] == {}


def test_running_waits_for_the_installation_and_starts_nothing(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    entry = vps_entry(1)
    wish(salt_dom0, entry)
    simulation.install(entry, state="running", step="unpack", percent=40)
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["result"] is True
    assert ret["comment"] == "installing: unpack 40 %"
    assert power(salt_dom0) is None


def test_running_fails_when_the_installation_failed(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    entry = vps_entry(1)
    wish(salt_dom0, entry)
    simulation.install(entry, state="failed", error="The mirror is gone")
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["result"] is False
    assert ret["comment"] == "The installation failed: The mirror is gone"


def test_running_fails_with_a_clear_comment_when_memory_is_short(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    entry = vps_entry(1, memory_mib=5000)
    wish(salt_dom0, entry)
    simulation.install(entry)
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["result"] is False
    assert "it needs 5000 MiB and 4096 MiB are free" in ret["comment"]


def test_running_fails_when_a_volume_of_the_vps_is_missing(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    entry = vps_entry(1)
    wish(salt_dom0, entry)
    simulation.install(entry)
    simulation.storage.remove(f"{NAME}-swap", uuid=UUID)
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["result"] is False
    assert ret["comment"] == f"The volume {NAME}-swap is missing"


def test_running_starts_a_vps_again_that_crashed(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    run_it(salt_dom0, simulation)
    simulation.hypervisor.guest_crashes(UUID)
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["changes"]["power"] == {"old": "crashed", "new": "running"}
    assert power(salt_dom0) == "running"


def test_running_brings_a_changed_size_about(
    salt_dom0: SaltDom0, simulation: Simulation, testmode: bool
) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0, vps_entry(1, revision=2, memory_mib=256))
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID, test=testmode)
    assert ret["changes"] == {"memory_mib": {"old": 512, "new": 256}}
    assert salt_dom0.modules.domu.info(UUID)["memory_mib"] == (512 if testmode else 256)


def test_running_refuses_a_vps_that_the_pillar_wants_otherwise(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    wish(salt_dom0, vps_entry(1, wanted="stopped"))
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["result"] is False
    assert ret["comment"] == f"The pillar wants {NAME} stopped; this state is for running"


def test_soft_reboot_of_an_obedient_guest_is_done_in_one_run(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0, vps_entry(1, revision=2, boot_serial=1))
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["changes"]["boot_serial"] == {"old": 0, "new": 1}
    assert sum("Linux version" in line for line in salt_dom0.modules.domu.console_tail(UUID)) == 2
    assert salt_dom0.state("domu.running", name=NAME, uuid=UUID)["changes"] == {}


def test_soft_reboot_of_a_deaf_guest_is_asked_for_and_not_waited_for(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    simulation.hypervisor.guest_ignores_shutdown(UUID)
    wish(salt_dom0, vps_entry(1, revision=2, boot_serial=1))
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["result"] is True
    assert ret["changes"] == {"shutdown": {"old": None, "new": "asked"}}
    assert power(salt_dom0) == "running"
    entry = salt_dom0.modules.dom0.report()["vps"][UUID]
    assert (entry["revision"], entry["problem"]) == (None, None)
    assert entry["look_again_at"].endswith("Z")


def test_beacon_starts_a_vps_again_that_went_down_for_its_reboot(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    simulation.hypervisor.guest_ignores_shutdown(UUID)
    wish(salt_dom0, vps_entry(1, revision=2, boot_serial=1))
    salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    simulation.hypervisor.guest_shuts_down(UUID)
    salt_dom0.modules.dom0.power_changes()
    assert power(salt_dom0) == "running"
    assert salt_dom0.modules.dom0.report()["vps"][UUID]["revision"] == 2


def test_plug_is_pulled_when_the_deadline_of_a_reboot_has_passed(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    simulation.hypervisor.guest_ignores_shutdown(UUID)
    wish(salt_dom0, vps_entry(1, revision=2, boot_serial=1))
    salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    simulation.let_deadlines_pass()
    ret = salt_dom0.state("domu.running", name=NAME, uuid=UUID)
    assert ret["changes"]["boot_serial"] == {"old": 0, "new": 1}
    assert power(salt_dom0) == "running"


@pytest.mark.parametrize("mode", ["graceful", "hard"])
def test_stopped_lets_a_vps_be_down(
    salt_dom0: SaltDom0, simulation: Simulation, testmode: bool, mode: str
) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0, vps_entry(1, wanted="stopped", stop_mode=mode))
    ret = salt_dom0.state("domu.stopped", name=NAME, uuid=UUID, test=testmode)
    assert ret["result"] is (None if testmode else True)
    assert ret["changes"]["power"] == {"old": "running", "new": "stopped"}
    assert power(salt_dom0) == ("running" if testmode else "stopped")


def test_stopped_asks_a_deaf_guest_once_and_pulls_the_plug_after_the_deadline(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    simulation.hypervisor.guest_ignores_shutdown(UUID)
    wish(salt_dom0, vps_entry(1, wanted="stopped"))
    assert "shutdown" in salt_dom0.state("domu.stopped", name=NAME, uuid=UUID)["changes"]
    assert salt_dom0.state("domu.stopped", name=NAME, uuid=UUID)["changes"] == {}
    assert power(salt_dom0) == "running"
    simulation.let_deadlines_pass()
    assert salt_dom0.state("domu.stopped", name=NAME, uuid=UUID)["changes"]["power"]["new"] == "stopped"
    assert power(salt_dom0) == "stopped"


def test_present_defines_without_starting(
    salt_dom0: SaltDom0, simulation: Simulation, testmode: bool
) -> None:
    entry = vps_entry(1)
    wish(salt_dom0, entry)
    simulation.install(entry)
    ret = salt_dom0.state("domu.present", name=NAME, uuid=UUID, test=testmode)
    assert ret["result"] is (None if testmode else True)
    assert power(salt_dom0) == (None if testmode else "stopped")


def test_absent_removes_the_domu_and_all_volumes_with_its_tag_and_nothing_else(
    salt_dom0: SaltDom0, simulation: Simulation, testmode: bool
) -> None:
    run_it(salt_dom0, simulation)
    simulation.storage.create(f"{NAME}-foreign", 100, uuid=uuid_of(9))
    wish(salt_dom0, vps_entry(1, revision=7, wanted="absent", tombstone=tombstone(1)))
    ret = salt_dom0.state("domu.absent", name=NAME, uuid=UUID, test=testmode)
    assert ret["result"] is (None if testmode else True)
    assert set(ret["changes"]) == {"domu", f"volume {NAME}-root", f"volume {NAME}-swap"}
    left = {volume.name for volume in simulation.storage.list()}
    gone = set() if testmode else {f"{NAME}-root", f"{NAME}-swap"}
    assert left == {f"{NAME}-foreign", f"{NAME}-root", f"{NAME}-swap"} - gone
    entry = salt_dom0.modules.dom0.report()["vps"][UUID]
    assert entry["removed_token"] == (None if testmode else tombstone(1)["token"])
    assert entry["revision"] == (None if testmode else 7)


def test_absent_a_second_time_changes_nothing(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0, vps_entry(1, wanted="absent", tombstone=tombstone(1)))
    salt_dom0.state("domu.absent", name=NAME, uuid=UUID)
    ret = salt_dom0.state("domu.absent", name=NAME, uuid=UUID)
    assert (ret["result"], ret["changes"]) == (True, {})


def test_absent_without_a_tombstone_removes_nothing(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0, vps_entry(1, wanted="absent"))
    ret = salt_dom0.state("domu.absent", name=NAME, uuid=UUID)
    assert ret["result"] is False
    assert "has no tombstone" in ret["comment"]
    assert power(salt_dom0) == "running"


def test_absent_before_its_time_keeps_the_vps_and_stops_it(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    later = tombstone(1, not_before="2999-01-01T00:00:00Z")
    wish(salt_dom0, vps_entry(1, wanted="absent", tombstone=later))
    ret = salt_dom0.state("domu.absent", name=NAME, uuid=UUID)
    assert ret["result"] is True
    assert "It is kept until 2999-01-01T00:00:00Z" in ret["comment"]
    assert power(salt_dom0) == "stopped"
    entry = salt_dom0.modules.dom0.report()["vps"][UUID]
    assert entry["look_again_at"] == "2999-01-01T00:00:00Z"
    assert len(simulation.storage.list()) == 2


def test_absent_leaves_a_vps_alone_while_its_installation_is_alive(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0, vps_entry(1, wanted="absent", tombstone=tombstone(1)))
    with simulation.state_dir.lock(f"job-{UUID}"):
        ret = salt_dom0.state("domu.absent", name=NAME, uuid=UUID)
    assert ret["comment"] == "Another process is at work on it"
    assert len(simulation.storage.list()) == 2


def test_absent_that_was_interrupted_is_finished_by_the_next_run(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0, vps_entry(1, wanted="absent", tombstone=tombstone(1)))
    simulation.hypervisor.faults.order("volume.remove", "The disk is on fire")
    assert salt_dom0.state("domu.absent", name=NAME, uuid=UUID)["result"] is False
    assert salt_dom0.modules.dom0.report()["vps"][UUID]["removed_token"] is None
    assert salt_dom0.state("domu.absent", name=NAME, uuid=UUID)["result"] is True
    assert simulation.storage.list() == []


def test_noted_wishes_keep_what_the_pillar_does_not_have_any_more(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    run_it(salt_dom0, simulation)
    wish(salt_dom0)
    assert simulation.state_dir.read("wanted", UUID) is not None
    report = salt_dom0.modules.dom0.report()
    assert report["vps"] == {}
    assert report["unknown"] == [{"name": NAME, "uuid": UUID, "power": "running"}]


def test_noted_in_test_mode_writes_nothing(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    salt_dom0.set_pillar(dom0_pillar(vps_entry(1)))
    ret = salt_dom0.state("domu.noted", name="wishes", test=True)
    assert ret["result"] is None
    assert ret["changes"][UUID] == {"old": None, "new": 1}
    assert simulation.state_dir.read("wanted", UUID) is None


def test_no_state_answers_with_a_password_hash(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    entry = vps_entry(1)
    run_it(salt_dom0, simulation)
    said = [
        salt_dom0.state("domu.noted", name="wishes"),
        salt_dom0.state("domu.running", name=NAME, uuid=UUID),
        salt_dom0.modules.dom0.report(),
        salt_dom0.modules.dom0.vps_states(),
    ]
    assert entry["os"]["root_password_hash"] not in json.dumps(said)
