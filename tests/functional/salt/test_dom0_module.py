"""The module dom0, the SLS of VPSs and of the dom0 on the real loader, through whole state runs."""

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.pillars import dom0_pillar, tombstone, uuid_of, vps_entry
from tests.support.salt_loader import SaltDom0
from tests.support.simulated_dom0 import Simulation


@pytest.fixture
def simulation(salt_dom0: SaltDom0) -> Simulation:
    return Simulation(salt_dom0.state_dir)


def name_of(number: int) -> str:
    return f"vps-{uuid_of(number)[:8]}"


def converge(
    salt_dom0: SaltDom0, simulation: Simulation, *entries: dict[str, Any], **dom0: Any
) -> dict[str, Any]:
    """Converge on VPSs whose operating systems are there."""
    for entry in entries:
        if entry["wanted"] != "absent" and simulation.state_dir.read("jobs", entry["uuid"]) is None:
            simulation.install(entry)
    salt_dom0.set_pillar(dom0_pillar(*entries, **dom0))
    report: dict[str, Any] = salt_dom0.modules.dom0.converge()
    return report


def test_ping_names_the_versions(salt_dom0: SaltDom0) -> None:
    salt_dom0.set_pillar(dom0_pillar())
    said = salt_dom0.modules.dom0.ping()
    assert said["minion_id"] == "dom0-a"
    assert said["hypervisor"] == "simulated"
    assert said["schema_version"] == 1


def test_converge_brings_all_about_and_reports_it(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    report = converge(salt_dom0, simulation, vps_entry(1), vps_entry(2, wanted="stopped", revision=4))
    running, stopped = report["vps"][uuid_of(1)], report["vps"][uuid_of(2)]
    assert (running["power"], running["revision"], running["problem"]) == ("running", 1, None)
    assert (stopped["power"], stopped["revision"], stopped["problem"]) == ("stopped", 4, None)
    assert report["states"]["failed"] == 0
    assert report["capacity"]["memory_free_mib"] == 4096 - 512
    assert report["capacity"]["disk_free_mib"] == 100_000 - 2 * 1280


def test_converge_a_second_time_changes_nothing(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    converge(salt_dom0, simulation, vps_entry(1))
    report = converge(salt_dom0, simulation, vps_entry(1))
    assert report["states"]["changed"] == 0


def test_converge_in_test_mode_changes_nothing_and_counts_what_would_change(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    simulation.install(vps_entry(1))
    salt_dom0.set_pillar(dom0_pillar(vps_entry(1)))
    report = salt_dom0.modules.dom0.converge(test=True)
    assert report["states"]["changed"] == 2
    assert simulation.hypervisor.list() == []


def test_vps_that_fails_does_not_fail_its_neighbours(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    simulation.hypervisor.faults.order("start", "The kernel is missing", uuid=uuid_of(1))
    report = converge(salt_dom0, simulation, vps_entry(1), vps_entry(2))
    failed, fine = report["vps"][uuid_of(1)], report["vps"][uuid_of(2)]
    assert failed["revision"] is None
    assert "The kernel is missing" in failed["problem"]
    assert (fine["power"], fine["revision"]) == ("running", 1)
    assert report["states"]["failed"] == 1


def test_problem_is_gone_from_the_report_once_the_next_run_succeeded(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    simulation.hypervisor.faults.order("start", "The kernel is missing")
    assert converge(salt_dom0, simulation, vps_entry(1))["vps"][uuid_of(1)]["problem"] is not None
    assert "The kernel is missing" in salt_dom0.modules.dom0.report()["vps"][uuid_of(1)]["problem"]
    assert converge(salt_dom0, simulation, vps_entry(1))["vps"][uuid_of(1)]["problem"] is None


def test_invalid_entry_is_a_problem_of_that_vps_alone(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    converge(salt_dom0, simulation, vps_entry(1), vps_entry(2))
    report = converge(salt_dom0, simulation, vps_entry(1) | {"memory_mib": "much"}, vps_entry(2, revision=2))
    broken, fine = report["vps"][uuid_of(1)], report["vps"][uuid_of(2)]
    assert broken["power"] == "running"
    assert broken["revision"] is None
    assert broken["problem"] == "vps.memory_mib is 'much'; allowed is a whole number from 32 to 16777216"
    assert fine["revision"] == 2


def test_more_removals_than_the_limit_are_none_until_it_is_raised(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    numbers = (1, 2, 3)
    converge(salt_dom0, simulation, *(vps_entry(n) for n in numbers))
    gone = [vps_entry(n, wanted="absent", tombstone=tombstone(n)) for n in numbers]
    for _ in range(2):
        report = converge(salt_dom0, simulation, *gone, max_removals_per_run=2)
        said = "3 removals are due at once, more than max_removals_per_run=2"
        assert said in report["problem"]
        for entry in report["vps"].values():
            assert (entry["power"], entry["removed_token"]) == ("running", None)
            assert said in entry["problem"]
    report = converge(salt_dom0, simulation, *gone, max_removals_per_run=3)
    assert report["problem"] is None
    assert all(entry["removed_token"] and not entry["problem"] for entry in report["vps"].values())
    assert simulation.storage.list() == []


def test_a_halted_removal_keeps_no_other_vps_from_what_is_wanted(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    gone = [vps_entry(n, wanted="absent", tombstone=tombstone(n)) for n in (1, 2)]
    kept_until = {**tombstone(3), "not_before": "2099-01-01T00:00:00Z"}
    later = vps_entry(3, wanted="absent", tombstone=kept_until)
    report = converge(salt_dom0, simulation, *gone, later, vps_entry(4), max_removals_per_run=1)
    assert "2 removals are due" in report["problem"]
    assert report["vps"][uuid_of(3)]["problem"] is None
    assert (report["vps"][uuid_of(4)]["power"], report["vps"][uuid_of(4)]["problem"]) == ("running", None)


def test_what_was_removed_before_does_not_count_against_the_limit(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    gone = [vps_entry(n, wanted="absent", tombstone=tombstone(n)) for n in (1, 2, 3)]
    converge(salt_dom0, simulation, *(vps_entry(n) for n in (1, 2, 3)))
    for count in (1, 2, 3):
        report = converge(salt_dom0, simulation, *gone[:count], max_removals_per_run=1)
        assert report["vps"][uuid_of(count)]["removed_token"] is not None
    assert report["problem"] is None


def test_empty_pillar_destroys_nothing(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    converge(salt_dom0, simulation, vps_entry(1))
    report = converge(salt_dom0, simulation)
    assert [(domu["uuid"], domu["power"]) for domu in report["unknown"]] == [(uuid_of(1), "running")]


def test_pillar_of_another_schema_version_fails_and_changes_nothing(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    converge(salt_dom0, simulation, vps_entry(1))
    salt_dom0.set_pillar(dom0_pillar() | {"schema_version": 2})
    (state,) = salt_dom0.modules.state.apply("vps").raw.values()
    assert state["result"] is False
    assert "domus.schema_version is 2; this dom0 knows 1" in state["comment"]
    assert simulation.hypervisor.list()[0].power == "running"


@pytest.mark.parametrize("sls", ["vps", "dom0"])
def test_minion_without_the_pillar_does_nothing_and_says_so(salt_dom0: SaltDom0, sls: str) -> None:
    (state,) = salt_dom0.modules.state.apply(sls).raw.values()
    assert state["result"] is True
    assert state["changes"] == {}
    assert "no pillar `domus`" in state["comment"]


def test_dom0_states_do_nothing_on_the_simulated_hypervisor(salt_dom0: SaltDom0) -> None:
    salt_dom0.set_pillar(dom0_pillar())
    (state,) = salt_dom0.modules.state.apply("dom0").raw.values()
    assert state["result"] is True
    assert "The hypervisor is simulated" in state["comment"]


def test_dom0_states_of_a_xen_host_render_with_requisites_that_exist(salt_dom0: SaltDom0) -> None:
    storage = {"backend": "lvm", "volume_group": "xenvg"}
    salt_dom0.set_pillar(dom0_pillar(hypervisor="xen", storage=storage))
    states = salt_dom0.modules.state.show_sls("dom0")
    assert "domus-dom0-storage" in states
    for identity, state in states.items():
        for arguments in state.values():
            for argument in arguments if isinstance(arguments, list) else ():
                for needed in argument.get("require", []) if isinstance(argument, dict) else ():
                    assert next(iter(needed.values())) in states, identity


def test_command_that_brings_up_the_bridge_is_one_that_salt_runs(salt_dom0: SaltDom0) -> None:
    storage = {"backend": "lvm", "volume_group": "xenvg"}
    salt_dom0.set_pillar(dom0_pillar(hypervisor="xen", bridge="xenbr77", storage=storage))
    states = salt_dom0.modules.dom0.host_states()
    # Alone, and with a program that does nothing: this machine is to have no bridge.
    ((function, given),) = states["domus-dom0-bridge"].items()
    arguments = {key: value for argument in given for key, value in argument.items() if key != "require"}
    assert arguments.pop("name") == "ifup xenbr77"
    (state,) = salt_dom0.modules.state.single(function, "true xenbr77", **arguments).raw.values()
    assert (state["result"], state["changes"]["retcode"]) == (True, 0)


def test_storage_is_looked_at_without_the_hypervisor(
    salt_dom0: SaltDom0, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "libvirt", None)
    storage = {"backend": "image", "image_dir": str(tmp_path)}
    salt_dom0.set_pillar(dom0_pillar(hypervisor="xen", storage=storage))
    ret = salt_dom0.state("dom0.storage_ready", name="images")
    assert ret["result"] is True
    assert "MiB are free" in ret["comment"]


@pytest.mark.parametrize(
    ("test", "result", "said"), [(True, None, "It would be looked at"), (False, False, "Make it by hand")]
)
def test_storage_cannot_be_told_before_its_programs_are_installed(
    salt_dom0: SaltDom0, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    test: bool, result: bool | None, said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("domus_run.SEARCH_PATH", str(tmp_path))
    storage = {"backend": "lvm", "volume_group": "xenvg"}
    salt_dom0.set_pillar(dom0_pillar(hypervisor="xen", storage=storage))
    ret = salt_dom0.state("dom0.storage_ready", test=test, name="xenvg")
    assert (ret["result"], ret["changes"]) == (result, {})
    assert "vgs" in ret["comment"]
    assert said in ret["comment"]


def test_customer_text_reaches_no_state(salt_dom0: SaltDom0) -> None:
    key = f"ssh-ed25519 {'A' * 68} {{{{ 7*7 }}}} $(id) ]]> ../ !!python/object \"'"
    entry = vps_entry(1, os={"ssh_keys": [key]})
    salt_dom0.set_pillar(dom0_pillar(entry))
    rendered = str(salt_dom0.modules.state.show_sls("vps"))
    assert entry["name"] in rendered
    for text in ("7*7", "49", "$(id)", "python/object", "vps1.example.org", "$2b$"):
        assert text not in rendered


def test_hostile_key_of_an_entry_fails_one_state_and_is_rendered_by_nothing(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    pillar = dom0_pillar(vps_entry(2))
    pillar["vps"]["{{ 7*7 }}"] = vps_entry(1)
    simulation.install(vps_entry(2))
    salt_dom0.set_pillar(pillar)
    report = salt_dom0.modules.dom0.converge()
    assert report["states"]["failed"] == 1
    assert report["vps"][uuid_of(2)]["power"] == "running"


def test_power_changes_tell_what_happened_behind_our_back_once(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    converge(salt_dom0, simulation, vps_entry(1))
    assert salt_dom0.modules.dom0.power_changes() == []
    simulation.hypervisor.guest_shuts_down(uuid_of(1))
    (change,) = salt_dom0.modules.dom0.power_changes()
    assert (change["uuid"], change["power"], change["power_reason"]) == (uuid_of(1), "stopped", "guest")
    assert salt_dom0.modules.dom0.power_changes() == []


def test_power_changes_name_a_crash_and_our_own_stop(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    converge(salt_dom0, simulation, vps_entry(1), vps_entry(2))
    salt_dom0.modules.dom0.power_changes()
    converge(salt_dom0, simulation, vps_entry(1), vps_entry(2, wanted="stopped"))
    simulation.hypervisor.guest_crashes(uuid_of(1))
    changes = {change["uuid"]: change for change in salt_dom0.modules.dom0.power_changes()}
    assert (changes[uuid_of(1)]["power"], changes[uuid_of(1)]["power_reason"]) == ("crashed", "crashed")
    assert (changes[uuid_of(2)]["power"], changes[uuid_of(2)]["power_reason"]) == ("stopped", "shutdown")


def test_restart_of_a_guest_is_no_change_of_power_until_it_failed(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    converge(salt_dom0, simulation, vps_entry(1))
    salt_dom0.modules.dom0.power_changes()
    simulation.hypervisor.guest_restarts(uuid_of(1))
    assert salt_dom0.modules.dom0.power_changes() == []
    simulation.hypervisor.restart_fails(uuid_of(1))
    (change,) = salt_dom0.modules.dom0.power_changes()
    assert (change["power"], change["power_reason"]) == ("stopped", "failed")
    report = converge(salt_dom0, simulation, vps_entry(1))
    assert (report["vps"][uuid_of(1)]["power"], report["vps"][uuid_of(1)]["revision"]) == ("running", 1)


def test_power_changes_are_empty_on_a_minion_that_is_no_dom0(salt_dom0: SaltDom0) -> None:
    assert salt_dom0.modules.dom0.power_changes() == []


def test_rebooted_dom0_comes_back_with_what_was_running(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    before = converge(salt_dom0, simulation, vps_entry(1), vps_entry(2, wanted="stopped"))
    simulation.hypervisor.dom0_reboots()
    after = salt_dom0.modules.dom0.report()
    assert after["boot_id"] != before["boot_id"]
    assert [after["vps"][uuid_of(n)]["power"] for n in (1, 2)] == ["running", "stopped"]
