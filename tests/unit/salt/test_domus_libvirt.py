"""The libvirt driver on libvirt's own fake hypervisor, test:///default."""

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import domus_libvirt
import pytest
from domus_errors import NotValid, Refused, ToolFailed
from domus_libvirt import LibvirtHypervisor, newest_kernel
from domus_spec import VpsSpec

from tests.support.fake_runner import FakeRunner
from tests.support.pillars import uuid_of, vps_entry

libvirt = pytest.importorskip("libvirt", reason="the Python module libvirt is not installed (extra xen)")

UUID = uuid_of(1)
NAME = f"vps-{UUID[:8]}"
PATHS = {"root": "/dev/xenvg/root", "swap": "/dev/xenvg/swap"}
OPTIONS = {"libvirt_uri": "test:///default", "guest_kernel": "/k", "guest_initrd": "/i"}
RECORDED = Path(__file__).resolve().parents[2] / "data" / "recorded"


@pytest.fixture
def context() -> dict[str, Any]:
    return {}


@pytest.fixture
def hypervisor(context: dict[str, Any]) -> LibvirtHypervisor:
    found = LibvirtHypervisor("xen", OPTIONS, FakeRunner(), context)
    # The fake's domUs live as long as the process has a connection; begin without ours.
    for uuid in (UUID, uuid_of(2)):
        if found.info(uuid) is not None:
            found.destroy(uuid)
            found.undefine(uuid)
    return found


def spec(**changes: Any) -> VpsSpec:
    return VpsSpec.parse(vps_entry(1, **changes))


def power(hypervisor: LibvirtHypervisor) -> str | None:
    found = hypervisor.info(UUID)
    return found.power if found else None


def test_missing_domu_is_none(hypervisor: LibvirtHypervisor) -> None:
    assert hypervisor.info(UUID) is None
    assert hypervisor.find("nobody") is None


def test_deed_on_a_missing_domu_is_an_error_that_names_it(hypervisor: LibvirtHypervisor) -> None:
    with pytest.raises(NotValid, match=f"There is no domU {UUID}"):
        hypervisor.start(UUID)


def test_define_is_idempotent(hypervisor: LibvirtHypervisor) -> None:
    assert hypervisor.define(spec(), PATHS) is True
    assert hypervisor.define(spec(), PATHS) is False
    assert hypervisor.define(spec(revision=2), PATHS) is False


def test_define_brings_a_definition_up_to_date(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    assert hypervisor.outdated(spec(memory_mib=1024), PATHS) == {"memory_mib": {"old": 512, "new": 1024}}
    assert hypervisor.define(spec(memory_mib=1024), PATHS) is True
    assert hypervisor.outdated(spec(memory_mib=1024), PATHS) == {}


def test_name_of_another_domu_is_refused(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    with pytest.raises(Refused, match=f"is that of the domU {UUID}"):
        hypervisor.define(VpsSpec.parse(vps_entry(2, name=NAME)), PATHS)


def test_life_of_a_domu(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    assert power(hypervisor) == "stopped"
    hypervisor.start(UUID)
    hypervisor.start(UUID)
    assert power(hypervisor) == "running"
    hypervisor.reboot(UUID, hard=True)
    assert power(hypervisor) == "running"
    hypervisor.shutdown(UUID)
    found = hypervisor.info(UUID)
    assert found is not None
    assert (found.power, found.power_reason) == ("stopped", "shutdown")
    hypervisor.start(UUID)
    hypervisor.destroy(UUID)
    hypervisor.destroy(UUID)
    found = hypervisor.info(UUID)
    assert found is not None
    assert (found.power, found.power_reason) == ("stopped", "destroyed")
    hypervisor.undefine(UUID)
    hypervisor.undefine(UUID)
    assert power(hypervisor) is None


@pytest.mark.parametrize(
    ("last_words", "reason"),
    [("reboot: Power down", "shutdown"), ("reboot: Restarting system", "failed"), ("login: ", "unknown")],
)
def test_xen_guest_is_off_for_what_its_kernel_said_last(
    hypervisor: LibvirtHypervisor,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    last_words: str,
    reason: str,
) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    hypervisor.shutdown(UUID)
    log = tmp_path / f"guest-{NAME}.log"
    log.write_text(f"[   61.7] {last_words}\n")
    os.utime(log, (1_700_000_000, 1_700_000_000))
    monkeypatch.setitem(domus_libvirt.CONSOLE_LOGS, "xen", str(tmp_path / "guest-{name}.log"))
    monkeypatch.setattr(domus_libvirt, "GOING_DOWN", tmp_path / "nologin")
    hypervisor.kind = "xen"
    found = hypervisor.info(UUID)
    assert found is not None
    assert (found.power, found.power_reason) == ("stopped", reason)


def test_shutdown_while_dom0_goes_down_is_not_the_guests_own(
    hypervisor: LibvirtHypervisor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    hypervisor.shutdown(UUID)
    going_down = tmp_path / "nologin"
    going_down.touch()
    monkeypatch.setattr(domus_libvirt, "GOING_DOWN", going_down)
    hypervisor.kind = "kvm"
    found = hypervisor.info(UUID)
    assert found is not None
    assert (found.power, found.power_reason) == ("stopped", "unknown")


def test_start_of_a_guest_that_came_back_meanwhile_is_no_error(
    hypervisor: LibvirtHypervisor, context: dict[str, Any]
) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    ((_, connection),) = context.values()
    hypervisor._create(connection.lookupByUUIDString(UUID))
    assert power(hypervisor) == "running"


@pytest.mark.parametrize(("failures", "comes_up"), [(2, True), (3, False)])
def test_start_that_fails_is_tried_again_but_not_for_ever(
    hypervisor: LibvirtHypervisor, monkeypatch: pytest.MonkeyPatch, failures: int, comes_up: bool
) -> None:
    hypervisor.define(spec(), PATHS)
    create, left = libvirt.virDomain.create, list(range(failures))

    def flaky(domain: Any) -> int:
        if left:
            left.pop()
            raise libvirt.libvirtError("the disks did not come up")
        return int(create(domain))

    monkeypatch.setattr(libvirt.virDomain, "create", flaky)
    with nullcontext() if comes_up else pytest.raises(ToolFailed, match="could not start"):
        hypervisor.start(UUID)
    assert (power(hypervisor) == "running") is comes_up


def test_running_domu_is_not_undefined(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    with pytest.raises(Refused, match="stop it before it is undefined"):
        hypervisor.undefine(UUID)


def test_paused_domu_goes_on_when_it_is_started(
    hypervisor: LibvirtHypervisor, context: dict[str, Any]
) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    ((_, connection),) = context.values()
    connection.lookupByUUIDString(UUID).suspend()
    assert power(hypervisor) == "paused"
    hypervisor.start(UUID)
    assert power(hypervisor) == "running"


def test_memory_shrinks_live_and_grows_at_the_next_boot(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    assert hypervisor.set_memory(UUID, 256) == "live"
    assert hypervisor.info(UUID).memory_mib == 256
    assert hypervisor.set_memory(UUID, 2048) == "next boot"
    hypervisor.reboot(UUID, hard=True)
    assert hypervisor.info(UUID).memory_mib == 2048


def test_vcpus_grow_at_the_next_boot(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.start(UUID)
    assert hypervisor.set_vcpus(UUID, 4) == "next boot"
    hypervisor.reboot(UUID, hard=True)
    assert hypervisor.info(UUID).vcpus == 4


def test_autostart_is_remembered(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    hypervisor.set_autostart(UUID, True)
    assert hypervisor.info(UUID).autostart is True


def test_list_has_our_domu_and_the_foreign_one(hypervisor: LibvirtHypervisor) -> None:
    hypervisor.define(spec(), PATHS)
    assert {domu.name for domu in hypervisor.list()} == {NAME, "test"}


def test_capacity_versions_and_boot_id_are_plain_values(hypervisor: LibvirtHypervisor) -> None:
    assert hypervisor.capacity().memory_total_mib > 0
    assert set(hypervisor.versions()) == {"test", "libvirt"}
    assert len(hypervisor.boot_id()) == 36


def test_connection_is_kept_in_the_context(hypervisor: LibvirtHypervisor, context: dict[str, Any]) -> None:
    hypervisor.list()
    kept = dict(context)
    LibvirtHypervisor("xen", OPTIONS, FakeRunner(), context).list()
    assert context == kept


def test_connection_of_another_process_is_not_used(
    hypervisor: LibvirtHypervisor, context: dict[str, Any]
) -> None:
    hypervisor.list()
    ((key, (process, connection)),) = context.items()
    context[key] = (process + 1, connection)
    hypervisor.list()
    assert context[key][0] == process
    assert context[key][1] is not connection


def test_hypervisor_that_does_not_answer_is_a_failure_that_names_it() -> None:
    options = OPTIONS | {"libvirt_uri": "test:///nonexistent.xml"}
    with pytest.raises(ToolFailed, match=r"could not connect to test:///nonexistent\.xml"):
        LibvirtHypervisor("xen", options, FakeRunner(), {}).list()


def test_started_xen_guest_gets_its_share_of_the_cpus(
    hypervisor: LibvirtHypervisor, context: dict[str, Any]
) -> None:
    runner = FakeRunner(
        {("xl", "info"): (RECORDED / "xl-info-4.17.txt").read_text(), ("xl", "sched-credit2"): ""}
    )
    hypervisor.define(spec(cpu_weight=512, cpu_cap_percent=50), PATHS)
    driver = LibvirtHypervisor("xen", OPTIONS, runner, context)
    driver.kind = "xen"
    driver.start(UUID)
    assert runner.ran("xl", "sched-credit2") == [("xl", "sched-credit2", "-d", NAME, "-w", "512", "-c", "50")]


def test_guest_that_restarted_itself_gets_its_share_again(
    hypervisor: LibvirtHypervisor, context: dict[str, Any]
) -> None:
    runner = FakeRunner(
        {("xl", "info"): (RECORDED / "xl-info-4.17.txt").read_text(), ("xl", "sched-credit2"): ""}
    )
    hypervisor.define(spec(cpu_weight=512, cpu_cap_percent=50), PATHS)
    hypervisor.start(UUID)
    driver = LibvirtHypervisor("xen", OPTIONS, runner, context)
    driver.kind = "xen"
    driver.renew_shares()
    driver.renew_shares()
    assert len(runner.ran("xl", "sched-credit2")) == 1
    # To Xen a guest that restarts is a new domain.
    hypervisor.destroy(UUID)
    hypervisor.start(UUID)
    driver.renew_shares()
    assert runner.ran("xl", "sched-credit2")[1:] == [
        ("xl", "sched-credit2", "-d", NAME, "-w", "512", "-c", "50")
    ]


def test_share_that_could_not_be_given_is_tried_again(
    hypervisor: LibvirtHypervisor, context: dict[str, Any]
) -> None:
    hypervisor.define(spec(cpu_weight=512), PATHS)
    hypervisor.start(UUID)
    runner = FakeRunner({("xl", "info"): 1})
    driver = LibvirtHypervisor("xen", OPTIONS, runner, context)
    driver.kind = "xen"
    driver.renew_shares()
    runner.answers[("xl", "info")] = (RECORDED / "xl-info-4.17.txt").read_text()
    runner.answers[("xl", "sched-credit2")] = ""
    driver.renew_shares()
    assert len(runner.ran("xl", "sched-credit2")) == 1


def test_newest_kernel_is_found_by_number_and_not_by_letter(tmp_path: Path) -> None:
    for version in ("6.1.0-9-amd64", "6.1.0-25-amd64"):
        (tmp_path / f"vmlinuz-{version}").touch()
        (tmp_path / f"initrd.img-{version}").touch()
    (tmp_path / "vmlinuz-6.9.0-1-amd64").touch()
    assert newest_kernel(tmp_path)[0].name == "vmlinuz-6.1.0-25-amd64"


def test_missing_kernel_is_an_error_that_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="set domus:guest_kernel and domus:guest_initrd"):
        newest_kernel(tmp_path)
