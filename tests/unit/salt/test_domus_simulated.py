"""The simulated hypervisor behaves like a real one where it matters."""

from pathlib import Path

import pytest
from domus_errors import NotValid, Refused, ToolFailed
from domus_simulated import SimulatedHypervisor
from domus_spec import VpsSpec
from domus_state_dir import StateDir

from tests.support.pillars import uuid_of, vps_entry

PATHS = {"root": "/dev/root", "swap": "/dev/swap"}
UUID = uuid_of(1)


class Clock:
    """A clock that stands still until it is moved."""

    seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(root: Path, clock: Clock, memory_mib: int = 1024) -> SimulatedHypervisor:
    return SimulatedHypervisor(StateDir(root), {"simulated": {"memory_mib": memory_mib, "vcpus": 4}}, clock)


@pytest.fixture
def hypervisor(tmp_path: Path, clock: Clock) -> SimulatedHypervisor:
    return make(tmp_path, clock)


def spec(number: int = 1, **changes: object) -> VpsSpec:
    return VpsSpec.parse(vps_entry(number, **changes))


def test_domu_survives_the_process_that_started_it(tmp_path: Path, clock: Clock) -> None:
    first = make(tmp_path, clock)
    first.define(spec(), PATHS)
    first.start(UUID)
    assert make(tmp_path, clock).info(UUID).power == "running"


def test_domu_that_does_not_fit_does_not_start(hypervisor: SimulatedHypervisor) -> None:
    for number in (1, 2, 3):
        hypervisor.define(spec(number), PATHS)
    hypervisor.start(uuid_of(1))
    hypervisor.start(uuid_of(2))
    with pytest.raises(ToolFailed, match="it needs 512 MiB and 0 MiB are free"):
        hypervisor.start(uuid_of(3))
    hypervisor.destroy(uuid_of(1))
    hypervisor.start(uuid_of(3))
    assert hypervisor.capacity().memory_free_mib == 0


def test_running_domu_keeps_its_memory_until_it_starts_anew(hypervisor: SimulatedHypervisor) -> None:
    hypervisor.define(spec(memory_mib=256), PATHS)
    hypervisor.start(UUID)
    hypervisor.define(spec(memory_mib=1024), PATHS)
    assert hypervisor.info(UUID).memory_mib == 256
    assert hypervisor.capacity().memory_free_mib == 768
    hypervisor.reboot(UUID)
    assert hypervisor.info(UUID).memory_mib == 1024


def test_memory_grows_live_up_to_what_the_guest_was_started_with(hypervisor: SimulatedHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    assert hypervisor.set_memory(UUID, 256) == "live"
    assert hypervisor.set_memory(UUID, 512) == "live"
    assert hypervisor.set_memory(UUID, 513) == "next boot"
    assert hypervisor.info(UUID).memory_mib == 512


def test_name_of_another_domu_is_refused(hypervisor: SimulatedHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    with pytest.raises(Refused, match="is that of the domU"):
        hypervisor.define(spec(2, name="vps-00000001"), PATHS)
    assert hypervisor.find("vps-00000001").uuid == UUID


def test_name_is_free_again_after_undefine(hypervisor: SimulatedHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.undefine(UUID)
    assert hypervisor.find("vps-00000001") is None
    assert hypervisor.define(spec(2, name="vps-00000001"), PATHS) is True


def test_running_domu_is_not_undefined(hypervisor: SimulatedHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    with pytest.raises(Refused):
        hypervisor.undefine(UUID)


def test_deed_on_a_missing_domu_is_an_error(hypervisor: SimulatedHypervisor) -> None:
    for deed in (hypervisor.start, hypervisor.shutdown, hypervisor.destroy, hypervisor.reboot):
        with pytest.raises(NotValid, match="There is no domU"):
            deed(UUID)


def test_console_tells_what_the_guest_did(hypervisor: SimulatedHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    assert hypervisor.console_tail(UUID, 10) == []
    hypervisor.start(UUID)
    hypervisor.guest_crashes(UUID)
    lines = hypervisor.console_tail(UUID, 10)
    assert "root=/dev/xvda1" in lines[1]
    assert "Kernel panic" in lines[-1]
    assert hypervisor.info(UUID).power == "crashed"


def test_cpu_time_grows_while_it_runs_and_stays_when_it_stops(
    hypervisor: SimulatedHypervisor, clock: Clock
) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    clock.seconds += 1000
    assert hypervisor.info(UUID).cpu_seconds == 10.0
    hypervisor.destroy(UUID)
    clock.seconds += 1000
    assert hypervisor.info(UUID).cpu_seconds == 10.0


def test_dom0_that_starts_anew_brings_up_what_is_to_come_up(hypervisor: SimulatedHypervisor) -> None:
    before = hypervisor.boot_id()
    for number in (1, 2):
        hypervisor.define(spec(number), PATHS)
        hypervisor.start(uuid_of(number))
    hypervisor.set_autostart(UUID, True)
    hypervisor.dom0_reboots()
    assert hypervisor.boot_id() != before
    assert hypervisor.boot_id() == hypervisor.boot_id()
    assert [domu.power for domu in hypervisor.list()] == ["running", "stopped"]


@pytest.mark.parametrize("operation", ["define", "start", "shutdown", "destroy", "undefine", "reboot"])
def test_every_operation_can_be_made_to_fail_once(hypervisor: SimulatedHypervisor, operation: str) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.faults.order(operation, "On fire", uuid=UUID)
    deeds = {
        "define": lambda: hypervisor.define(spec(), PATHS),
        "undefine": lambda: hypervisor.undefine(UUID),
    }
    deed = deeds.get(operation, lambda: getattr(hypervisor, operation)(UUID))
    with pytest.raises(ToolFailed, match=f"On fire \\(ordered for the simulated {operation}\\)"):
        deed()
    deed()


def test_info_reads_one_file_however_many_there_are(
    hypervisor: SimulatedHypervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 20):
        hypervisor.define(spec(number), PATHS)
    read: list[str] = []
    real = StateDir.read
    monkeypatch.setattr(
        StateDir, "read", lambda self, topic, name: read.append(name) or real(self, topic, name)
    )
    hypervisor.info(UUID)
    assert read == [UUID]
