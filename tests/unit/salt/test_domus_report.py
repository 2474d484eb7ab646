"""The report says what is so, to the letter of the contract's sample."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import domus_report
import pytest
from domus_errors import NotValid, ToolFailed
from domus_host import Dom0
from domus_lifecycle import settle
from domus_removal import remove
from domus_spec import Dom0Pillar
from domus_state_dir import write_json
from domus_wishes import note

from tests.support.pillars import dom0_pillar, tombstone, uuid_of, vps_entry
from tests.support.simulated_dom0 import Simulation

SAMPLES = Path(__file__).resolve().parents[2] / "data" / "contracts"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UUID = uuid_of(1)


@pytest.fixture
def simulation(tmp_path: Path) -> Simulation:
    return Simulation(tmp_path)


def noted(simulation: Simulation, *entries: dict[str, Any]) -> Dom0:
    """Return the dom0 after it took note of a pillar."""
    raw = dom0_pillar(*entries)
    dom0 = Dom0(Dom0Pillar.parse(raw), simulation.hypervisor, simulation.storage, simulation.state_dir)
    note(dom0, raw)
    return dom0


def running(simulation: Simulation, *entries: dict[str, Any]) -> Dom0:
    """Return the dom0 with VPSs installed and as wanted."""
    dom0 = noted(simulation, *entries)
    for entry in entries:
        simulation.install(entry)
        settle(dom0, dom0.spec(entry["uuid"]), NOW)
    return dom0


def entry_of(dom0: Dom0, **problems: str) -> dict[str, Any]:
    entry: dict[str, Any] = domus_report.report(dom0, NOW, problems)["vps"][UUID]
    return entry


def test_report_is_the_sample_of_the_contract(simulation: Simulation) -> None:
    running(simulation, vps_entry(1), vps_entry(2, wanted="stopped", revision=4), vps_entry(3))
    simulation.storage.create("left-over", 100, uuid=uuid_of(9))
    write_json(simulation.state_dir.simulated / "boot.json", {"boot_id": uuid_of(7)})
    gone = vps_entry(3, wanted="absent", revision=9, tombstone=tombstone(3))
    entries = (vps_entry(1), vps_entry(2, wanted="stopped", revision=4), gone, vps_entry(4))
    dom0 = noted(simulation, *entries)
    remove(dom0, dom0.spec(uuid_of(3)), NOW)
    simulation.install(vps_entry(4), state="running", step="unpack", percent=40, finished_at=None)
    sample = json.loads((SAMPLES / "report-simulated.json").read_text())
    assert domus_report.report(dom0, NOW) == sample


def test_revision_holds_only_when_everything_does(simulation: Simulation) -> None:
    dom0 = running(simulation, vps_entry(1))
    assert entry_of(dom0)["revision"] == 1
    simulation.hypervisor.guest_shuts_down(UUID)
    entry = entry_of(dom0)
    assert (entry["revision"], entry["problem"]) == (None, "It is stopped and should be running")
    assert entry["power_reason"] == "guest"


def test_guest_that_restarts_itself_counts_as_running_and_is_looked_at_again(simulation: Simulation) -> None:
    dom0 = running(simulation, vps_entry(1))
    simulation.hypervisor.guest_restarts(UUID)
    entry = entry_of(dom0)
    assert (entry["power"], entry["power_reason"]) == ("running", "")
    assert (entry["revision"], entry["problem"]) == (None, None)
    assert entry["look_again_at"] == "2026-11-20T12:00:30Z"


def test_guest_whose_restart_failed_did_not_shut_itself_down(simulation: Simulation) -> None:
    dom0 = running(simulation, vps_entry(1))
    simulation.hypervisor.restart_fails(UUID)
    entry = entry_of(dom0)
    assert (entry["power"], entry["power_reason"]) == ("stopped", "failed")
    assert (entry["revision"], entry["problem"]) == (None, "It is stopped and should be running")


def test_start_that_failed_is_not_taken_for_the_shutdown_before_it(simulation: Simulation) -> None:
    dom0 = running(simulation, vps_entry(1))
    simulation.hypervisor.guest_shuts_down(UUID)
    simulation.hypervisor.faults.order("start", "libxenlight failed to create new domain")
    with pytest.raises(ToolFailed):
        settle(dom0, dom0.spec(UUID), NOW)
    assert entry_of(dom0)["power_reason"] == "failed"
    settle(dom0, dom0.spec(UUID), NOW)
    simulation.hypervisor.guest_shuts_down(UUID)
    assert entry_of(dom0)["power_reason"] == "guest"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"memory_mib": 1024}, "Its definition differs in memory_mib"),
        ({"boot_serial": 2}, "It was rebooted 0 times of 2"),
        ({"wanted": "absent"}, "It is wanted absent without a tombstone, so it is kept"),
        ({"os": {"install_id": uuid_of(8)}}, "It is not installed"),
    ],
)
def test_wish_that_does_not_hold_yet_is_a_problem_that_says_why(
    simulation: Simulation, changes: dict[str, Any], problem: str
) -> None:
    running(simulation, vps_entry(1))
    entry = entry_of(noted(simulation, vps_entry(1, revision=2, **changes)))
    assert (entry["seen_revision"], entry["revision"], entry["problem"]) == (2, None, problem)


def test_disk_that_is_too_small_is_a_problem(simulation: Simulation) -> None:
    running(simulation, vps_entry(1))
    larger = vps_entry(1)
    larger["disks"][0]["size_mib"] = 4096
    assert entry_of(noted(simulation, larger))["problem"] == "Its disk root has 1024 MiB and should have 4096"


def test_missing_volume_is_a_problem_and_no_error_of_the_report(simulation: Simulation) -> None:
    dom0 = running(simulation, vps_entry(1))
    simulation.storage.remove("vps-00000001-swap", uuid=UUID)
    assert entry_of(dom0)["problem"] == "The volume vps-00000001-swap is missing"


@pytest.mark.parametrize(
    ("state", "problem"),
    [("queued", None), ("running", None), ("failed", "The installation failed: No mirror")],
)
def test_installation_under_way_is_no_problem(
    simulation: Simulation, state: str, problem: str | None
) -> None:
    dom0 = noted(simulation, vps_entry(1))
    simulation.install(vps_entry(1), state=state, error="No mirror")
    entry = entry_of(dom0)
    assert (entry["revision"], entry["problem"], entry["power"]) == (None, problem, "absent")


def test_problem_of_the_run_counts_even_when_all_looks_well(simulation: Simulation) -> None:
    dom0 = running(simulation, vps_entry(1))
    entry = entry_of(dom0, **{UUID: "lvextend failed"})
    assert (entry["revision"], entry["problem"]) == (None, "lvextend failed")


def test_deadline_is_when_to_look_again(simulation: Simulation) -> None:
    running(simulation, vps_entry(1))
    simulation.hypervisor.guest_ignores_shutdown(UUID)
    dom0 = noted(simulation, vps_entry(1, wanted="stopped"))
    settle(dom0, dom0.spec(UUID), NOW)
    entry = entry_of(dom0)
    assert entry["problem"] is None
    assert entry["look_again_at"] == "2026-11-20T12:02:00Z"
    settle(dom0, dom0.spec(UUID), NOW + timedelta(seconds=120))
    assert entry_of(dom0)["revision"] == 1


def test_tombstone_that_is_taken_back_lets_the_vps_live(simulation: Simulation) -> None:
    running(simulation, vps_entry(1))
    later = tombstone(1, not_before="2999-01-01T00:00:00Z")
    dom0 = noted(simulation, vps_entry(1, wanted="absent", tombstone=later))
    remove(dom0, dom0.spec(UUID), NOW)
    dom0 = noted(simulation, vps_entry(1, revision=3))
    settle(dom0, dom0.spec(UUID), NOW)
    assert (entry_of(dom0)["revision"], entry_of(dom0)["power"]) == (3, "running")


def test_problems_of_a_run_are_those_of_the_first_state_that_failed() -> None:
    def state(identity: str, result: bool, comment: str, number: int) -> dict[str, Any]:
        return {
            "__id__": identity,
            "result": result,
            "comment": comment,
            "__run_num__": number,
            "changes": {},
        }

    states = {
        "c": state(f"domus-vps-{UUID}-power", False, "One or more requisite failed: x", 3),
        "b": state(f"domus-vps-{UUID}-os", False, "No mirror", 2),
        "a": state("domus-vps-notes", True, "fine", 1),
        "d": state("other", False, "not ours", 4),
    }
    assert domus_report.run_problems(states, "domus-vps-") == {UUID: "No mirror"}
    assert domus_report.run_counts(states) == {"succeeded": 1, "changed": 0, "failed": 3}


@pytest.mark.parametrize("returned", [["Pillar failed to render"], "x", {"queued": True}, None])
def test_run_that_did_not_take_place_is_an_error(returned: Any) -> None:
    with pytest.raises(NotValid, match="The state run did not take place"):
        domus_report.require_states(returned)
