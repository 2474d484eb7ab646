"""What is done next about a VPS's power: the whole table, then the deeds on the simulated hypervisor."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from domus_errors import Refused, ToolFailed
from domus_host import Dom0
from domus_lifecycle import Deed, decide, finish_pending, settle
from domus_spec import Dom0Pillar, VpsSpec
from domus_vps_notes import Stopping, VpsNotes

from tests.support.pillars import dom0_pillar, uuid_of, vps_entry
from tests.support.simulated_dom0 import Simulation

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
ASKED = Stopping("reboot", NOW + timedelta(seconds=60))
OVERDUE = Stopping("reboot", NOW - timedelta(seconds=1))
UUID = uuid_of(1)


@pytest.mark.parametrize(
    ("wish", "power", "stopping", "deed"),
    [
        ({}, None, None, Deed.START),
        ({}, "stopped", None, Deed.START),
        ({}, "crashed", None, Deed.START),
        ({}, "paused", None, Deed.START),
        ({}, "running", None, Deed.HOLD),
        ({}, "running", ASKED, Deed.WAIT),
        ({}, "running", OVERDUE, Deed.HOLD),
        ({}, "stopped", ASKED, Deed.START),
        ({"boot_serial": 1}, "running", None, Deed.ASK),
        ({"boot_serial": 1}, "running", ASKED, Deed.WAIT),
        ({"boot_serial": 1}, "running", OVERDUE, Deed.PULL),
        ({"boot_serial": 1}, "stopped", ASKED, Deed.START),
        ({"boot_serial": 1}, "stopped", None, Deed.START),
        ({"boot_serial": 1, "reboot_mode": "hard"}, "running", None, Deed.PULL),
        ({"boot_serial": 1, "reboot_mode": "hard"}, "running", ASKED, Deed.PULL),
        ({"wanted": "stopped"}, None, None, Deed.HOLD),
        ({"wanted": "stopped"}, "stopped", ASKED, Deed.HOLD),
        ({"wanted": "stopped"}, "crashed", None, Deed.HOLD),
        ({"wanted": "stopped"}, "running", None, Deed.ASK),
        ({"wanted": "stopped"}, "paused", None, Deed.ASK),
        ({"wanted": "stopped"}, "running", ASKED, Deed.WAIT),
        ({"wanted": "stopped"}, "running", OVERDUE, Deed.PULL),
        ({"wanted": "stopped", "stop_mode": "hard"}, "running", None, Deed.PULL),
        ({"wanted": "stopped", "stop_mode": "hard"}, "running", ASKED, Deed.PULL),
        ({"wanted": "stopped", "boot_serial": 1}, "stopped", None, Deed.HOLD),
    ],
)
def test_next_deed(wish: dict[str, Any], power: str | None, stopping: Stopping | None, deed: Deed) -> None:
    assert decide(VpsSpec.parse(vps_entry(1, **wish)), power, 0, stopping, NOW) is deed


@pytest.fixture
def simulation(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path)


def dom0_with(simulation: Simulation, *entries: dict[str, Any]) -> Dom0:
    pillar = Dom0Pillar.parse(dom0_pillar(*entries))
    return Dom0(pillar, simulation.hypervisor, simulation.storage, simulation.state_dir)


def running(simulation: Simulation, **changes: Any) -> VpsSpec:
    """Have VPS 1 running and return its wish."""
    entry = vps_entry(1, **changes)
    simulation.install(entry)
    spec = VpsSpec.parse(entry)
    settle(dom0_with(simulation, entry), spec, NOW)
    return spec


def boots(simulation: Simulation) -> int:
    lines = simulation.hypervisor.console_tail(UUID, 1000)
    return sum("Linux version" in line for line in lines)


def test_vps_that_comes_new_to_a_dom0_is_not_rebooted_for_its_past(simulation: Simulation) -> None:
    spec = running(simulation, boot_serial=5)
    settle(dom0_with(simulation), spec, NOW)
    assert boots(simulation) == 1
    assert VpsNotes(simulation.state_dir, UUID).boot_serial == 5


def test_reboot_of_a_stopped_vps_is_done_by_starting_it(simulation: Simulation) -> None:
    spec = running(simulation)
    simulation.hypervisor.destroy(spec.uuid)
    settle(dom0_with(simulation), VpsSpec.parse(vps_entry(1, boot_serial=1)), NOW)
    assert boots(simulation) == 2
    assert VpsNotes(simulation.state_dir, UUID).boot_serial == 1


def test_many_reboots_asked_for_at_once_are_one(simulation: Simulation) -> None:
    running(simulation)
    outcome = settle(dom0_with(simulation), VpsSpec.parse(vps_entry(1, boot_serial=9)), NOW)
    assert outcome.changes["boot_serial"] == {"old": 0, "new": 9}
    assert boots(simulation) == 2


def test_reboot_that_was_interrupted_between_stop_and_start_is_finished(simulation: Simulation) -> None:
    running(simulation)
    spec = VpsSpec.parse(vps_entry(1, boot_serial=1, reboot_mode="hard"))
    simulation.hypervisor.faults.order("start", "Killed")
    with pytest.raises(ToolFailed, match="Killed"):
        settle(dom0_with(simulation), spec, NOW)
    settle(dom0_with(simulation), spec, NOW)
    settle(dom0_with(simulation), spec, NOW)
    assert boots(simulation) == 2


def test_stop_that_is_taken_back_leaves_the_vps_running_in_the_end(simulation: Simulation) -> None:
    spec = running(simulation)
    simulation.hypervisor.guest_ignores_shutdown(UUID)
    dom0 = dom0_with(simulation)
    settle(dom0, VpsSpec.parse(vps_entry(1, wanted="stopped")), NOW)
    assert settle(dom0, spec, NOW).look_again_at == NOW + timedelta(seconds=120)
    simulation.hypervisor.guest_shuts_down(UUID)
    settle(dom0, spec, NOW)
    assert simulation.hypervisor.info(UUID).power == "running"
    assert VpsNotes(simulation.state_dir, UUID).stopping is None


@pytest.mark.parametrize("wanted", ["running", "stopped"])
def test_guest_that_restarts_itself_is_waited_for(simulation: Simulation, wanted: str) -> None:
    running(simulation)
    simulation.hypervisor.guest_restarts(UUID)
    for test in (True, False):
        outcome = settle(dom0_with(simulation), VpsSpec.parse(vps_entry(1, wanted=wanted)), NOW, test=test)
        assert (outcome.comment, outcome.changes) == ("It restarts itself", {})
        assert outcome.look_again_at == NOW + timedelta(seconds=30)
    assert boots(simulation) == 1


def test_guest_whose_restart_failed_is_started(simulation: Simulation) -> None:
    spec = running(simulation)
    simulation.hypervisor.restart_fails(UUID)
    outcome = settle(dom0_with(simulation), spec, NOW)
    assert outcome.changes["power"] == {"old": "stopped", "new": "running"}
    assert boots(simulation) == 2


def test_stop_by_us_is_forgotten_once_it_runs_again(simulation: Simulation) -> None:
    spec = running(simulation)
    settle(dom0_with(simulation), VpsSpec.parse(vps_entry(1, wanted="stopped")), NOW)
    assert VpsNotes(simulation.state_dir, UUID).asked_down
    settle(dom0_with(simulation), spec, NOW)
    notes = VpsNotes(simulation.state_dir, UUID)
    assert (notes.asked_down, notes.starting) == (False, False)


def test_vps_that_another_process_works_on_is_left_to_it(simulation: Simulation) -> None:
    entry = vps_entry(1)
    simulation.install(entry)
    with simulation.state_dir.lock(UUID):
        outcome = settle(dom0_with(simulation), VpsSpec.parse(entry), NOW)
    assert outcome.look_again_at == NOW
    assert simulation.hypervisor.info(UUID) is None


def test_volume_of_another_vps_under_our_name_is_never_booted(simulation: Simulation) -> None:
    entry = vps_entry(1)
    simulation.install(entry)
    simulation.storage.remove("vps-00000001-root", uuid=UUID)
    simulation.storage.create("vps-00000001-root", 1024, uuid=uuid_of(2))
    with pytest.raises(Refused, match=f"belongs to {uuid_of(2)}"):
        settle(dom0_with(simulation), VpsSpec.parse(entry), NOW)
    assert simulation.hypervisor.list() == []


def test_pending_reboots_are_finished_side_by_side_with_one_that_fails(simulation: Simulation) -> None:
    entries = [vps_entry(n, boot_serial=1) for n in (1, 2)]
    for entry in entries:
        simulation.install(entry)
        before = VpsSpec.parse(entry | {"boot_serial": 0})
        settle(dom0_with(simulation), before, NOW)
        simulation.hypervisor.guest_ignores_shutdown(before.uuid)
        settle(dom0_with(simulation), VpsSpec.parse(entry), NOW)
        simulation.hypervisor.guest_shuts_down(before.uuid)
    simulation.hypervisor.faults.order("start", "No kernel", uuid=UUID)
    specs = {entry["uuid"]: VpsSpec.parse(entry) for entry in entries}
    problems = finish_pending(dom0_with(simulation), NOW, specs.get)
    assert list(problems) == [UUID]
    assert simulation.hypervisor.info(uuid_of(2)).power == "running"


def test_pending_request_about_a_vps_that_nobody_knows_is_forgotten(simulation: Simulation) -> None:
    VpsNotes(simulation.state_dir, UUID).begin_stopping(ASKED)
    assert finish_pending(dom0_with(simulation), NOW, lambda uuid: None) == {}
    assert simulation.state_dir.names("stopping") == []


def test_definition_of_a_stopped_vps_is_kept_up_to_date(simulation: Simulation) -> None:
    running(simulation)
    spec = VpsSpec.parse(vps_entry(1, wanted="stopped", memory_mib=1024))
    outcome = settle(dom0_with(simulation), spec, NOW)
    assert outcome.changes["memory_mib"] == {"old": 512, "new": 1024}
    info = simulation.hypervisor.info(UUID)
    assert (info.power, info.memory_mib, info.autostart) == ("stopped", 1024, False)
