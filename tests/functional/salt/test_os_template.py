"""os_template on Salt's real loader and a simulated dom0; the worker is a real process."""

import importlib.util
from types import ModuleType
from typing import Any

import pytest
from domus_errors import NotValid
from domus_faults import Faults
from domus_os_jobs import Desk
from domus_state_dir import StateDir
from salt.exceptions import CommandExecutionError

from tests.support.installs import dom0_entry, template_entry, vps_entry, wait_for_worker
from tests.support.salt_loader import REPOSITORY, SaltDom0

UUID = vps_entry()["uuid"]


def pillar(*vps: dict[str, Any], method: str = "image") -> dict[str, Any]:
    """Return the pillar of a simulated dom0."""
    return {
        "schema_version": 1,
        "dom0": dom0_entry(),
        "templates": {"debian-12": template_entry(method)},
        "vps": {entry["uuid"]: entry for entry in vps},
    }


@pytest.fixture
def dom0(salt_dom0: SaltDom0) -> SaltDom0:
    """Offer a dom0 with one VPS to install, on which an installation takes no time."""
    salt_dom0.set_pillar(pillar(vps_entry()))
    return salt_dom0


def wait(dom0: SaltDom0) -> None:
    wait_for_worker(StateDir(dom0.state_dir))


def install(dom0: SaltDom0, uuid: str = UUID) -> dict[str, Any]:
    dom0.modules.os_template.install(uuid)
    wait(dom0)
    return dict(dom0.modules.os_template.progress(uuid))


@pytest.mark.parametrize("method", ["image", "bootstrap"])
def test_an_installation_ends_with_a_running_machine(dom0: SaltDom0, method: str) -> None:
    dom0.set_pillar(pillar(vps_entry(), method=method))
    job = install(dom0)
    assert (job["state"], job["percent"], job["error"]) == ("done", 100, None)
    assert {step["state"] for step in job["steps"]} == {"done"}
    assert dom0.modules.domu.info(UUID)["power"] == "running"
    assert dom0.modules.os_template.log(UUID, lines=1)


def test_the_guest_holds_what_the_order_said_as_plain_text(dom0: SaltDom0) -> None:
    key = f"ssh-ed25519 {'A' * 68} $(id) {{{{ 7*7 }}}} ]]> ../ !!python/object"
    dom0.set_pillar(pillar(vps_entry(ssh_keys=[key], hostname="yes.example.org")))
    install(dom0)
    root = dom0.state_dir / "simulated" / "guests" / UUID / "root"
    assert (root / "root/.ssh/authorized_keys").read_text() == f"{key}\n"
    assert (root / "etc/hostname").read_text() == "yes\n"
    assert (root / "etc/shadow").read_text().startswith("root:$6$saltsalt$")
    assert "address 192.0.2.10/24" in (root / "etc/network/interfaces").read_text()


def test_a_finished_installation_is_never_done_again(dom0: SaltDom0) -> None:
    install(dom0)
    mark = dom0.state_dir / "simulated" / "guests" / UUID / "root" / "customers-data"
    mark.write_text("precious")
    install(dom0)
    assert mark.exists()


def test_losing_every_record_neither_overwrites_the_disk_nor_fails(dom0: SaltDom0) -> None:
    install(dom0)
    shadow = dom0.state_dir / "simulated" / "guests" / UUID / "root" / "etc" / "shadow"
    shadow.write_text("changed by the customer")
    for path in (dom0.state_dir / "jobs").iterdir():
        path.unlink()
    assert install(dom0)["state"] == "done"
    assert shadow.read_text() == "changed by the customer"


def test_a_volume_that_no_record_speaks_of_is_not_overwritten_until_told_to(dom0: SaltDom0) -> None:
    install(dom0)
    for path in (dom0.state_dir / "jobs").iterdir():
        path.unlink()
    other = vps_entry(install_id="00000000-0000-4000-8000-000000000000")
    dom0.set_pillar(pillar(other))
    job = install(dom0)
    assert job["state"] == "failed"
    assert "is there already" in job["error"]
    dom0.modules.os_template.install(UUID, replace=True)
    wait(dom0)
    assert dom0.modules.os_template.progress(UUID)["state"] == "done"


def test_a_new_install_id_installs_anew_over_a_running_machine(dom0: SaltDom0) -> None:
    install(dom0)
    other = vps_entry(install_id="00000000-0000-4000-8000-000000000000", hostname="new.example.org")
    dom0.set_pillar(pillar(other))
    assert install(dom0)["state"] == "done"
    hostname = dom0.state_dir / "simulated" / "guests" / UUID / "root" / "etc" / "hostname"
    assert hostname.read_text() == "new\n"
    assert dom0.modules.domu.info(UUID)["power"] == "running"


def test_a_failed_installation_is_tried_again_only_when_the_pillar_asks(dom0: SaltDom0) -> None:
    Faults(StateDir(dom0.state_dir)).order("install", "the disk is full")
    job = install(dom0)
    assert job["state"] == "failed"
    assert "the disk is full" in job["error"]
    assert install(dom0)["state"] == "failed"
    dom0.set_pillar(pillar(vps_entry(attempt=2)))
    job = install(dom0)
    assert (job["state"], job["attempt"]) == ("done", 2)


def test_a_vps_that_is_by_now_to_be_down_is_not_started(dom0: SaltDom0) -> None:
    StateDir(dom0.state_dir).write("wanted", UUID, vps_entry() | {"wanted": "stopped"})
    assert install(dom0)["state"] == "done"
    assert dom0.modules.domu.info(UUID) is None


def test_a_failed_start_can_be_tried_again_without_touching_the_disk(dom0: SaltDom0) -> None:
    Faults(StateDir(dom0.state_dir)).order("start", "no memory left")
    job = install(dom0)
    assert job["state"] == "failed"
    mark = dom0.state_dir / "simulated" / "guests" / UUID / "root" / "mark"
    mark.touch()
    dom0.set_pillar(pillar(vps_entry(attempt=2)))
    assert install(dom0)["state"] == "done"
    assert mark.exists()
    assert dom0.modules.domu.info(UUID)["power"] == "running"


def test_one_that_fails_does_not_fail_its_neighbours(dom0: SaltDom0) -> None:
    entries = [vps_entry(number) for number in range(1, 6)]
    dom0.set_pillar(pillar(*entries))
    Faults(StateDir(dom0.state_dir)).order("install", "it is broken", uuid=entries[2]["uuid"])
    for entry in entries:
        dom0.modules.os_template.install(entry["uuid"])
    wait(dom0)
    states = [dom0.modules.os_template.progress(entry["uuid"])["state"] for entry in entries]
    assert states == ["done", "done", "failed", "done", "done"]


def test_a_hundred_installations_on_one_dom0_all_end_well(dom0: SaltDom0) -> None:
    entries = [vps_entry(number) for number in range(1, 101)]
    for entry in entries:
        entry["disks"][0]["size_mib"] = 256
    dom0.set_pillar(pillar(*entries))
    for entry in entries:
        dom0.modules.os_template.install(entry["uuid"])
    wait(dom0)
    states = {dom0.modules.os_template.progress(entry["uuid"])["state"] for entry in entries}
    assert states == {"done"}


def test_an_unknown_vps_is_an_error_that_names_it(dom0: SaltDom0) -> None:
    with pytest.raises(CommandExecutionError, match=r"NotValid: .*no VPS 'nobody'"):
        dom0.modules.os_template.install("nobody")


def test_a_template_that_the_pillar_does_not_name_is_an_error_with_those_allowed(dom0: SaltDom0) -> None:
    dom0.set_pillar(pillar(vps_entry(template="centos-5")))
    with pytest.raises(CommandExecutionError, match=r"centos-5.*allowed: debian-12"):
        dom0.modules.os_template.install(UUID)


def test_a_minion_that_is_no_dom0_says_so(dom0: SaltDom0) -> None:
    desk = Desk(dom0.loaders.opts, {})
    assert desk.templates() == []
    with pytest.raises(NotValid, match="no VPS"):
        desk.install(UUID)


def test_the_templates_are_listed_with_how_they_stand(dom0: SaltDom0) -> None:
    [template] = dom0.modules.os_template.list()
    assert (template["name"], template["method"], template["version"]) == ("debian-12", "image", "1")
    assert template["state"] == "ready"
    assert dom0.modules.os_template.info("debian-12") == template
    assert dom0.modules.os_template.info("other") is None


def test_the_state_installs_or_says_that_it_would(dom0: SaltDom0, testmode: bool) -> None:
    ret = dom0.state("os_template.installed", name="vps", uuid=UUID, test=testmode)
    wait(dom0)
    assert (ret["result"] is None) is testmode
    assert ("would be" in ret["comment"]) is testmode
    assert set(ret["changes"]) == {UUID}
    assert (dom0.modules.os_template.progress(UUID) is None) is testmode


def test_the_state_is_true_without_changes_once_installed(dom0: SaltDom0, testmode: bool) -> None:
    install(dom0)
    ret = dom0.state("os_template.installed", name="vps", uuid=UUID, test=testmode)
    assert ret["result"] is True
    assert ret["changes"] == {}


def test_the_state_tells_how_far_an_installation_is(dom0: SaltDom0) -> None:
    store_with_a_job(dom0, {"state": "running", "step": "unpack", "percent": 40})
    ret = dom0.state("os_template.installed", name="vps", uuid=UUID, test=True)
    assert ret["result"] is True
    assert ret["comment"] == "installing: unpack 40 %"


def test_the_state_is_false_with_the_error_of_a_failed_installation(dom0: SaltDom0, testmode: bool) -> None:
    Faults(StateDir(dom0.state_dir)).order("install", "the disk is full")
    install(dom0)
    ret = dom0.state("os_template.installed", name="vps", uuid=UUID, test=testmode)
    assert ret["result"] is False
    assert "the disk is full" in ret["comment"]
    assert ret["changes"] == {}


def store_with_a_job(dom0: SaltDom0, changes: dict[str, Any]) -> None:
    install(dom0)
    state_dir = StateDir(dom0.state_dir)
    state_dir.write("jobs", UUID, (state_dir.read("jobs", UUID) or {}) | changes)
    state_dir.write("requests", UUID, {})


def test_the_state_present_is_true_where_nothing_has_to_be_built(dom0: SaltDom0, testmode: bool) -> None:
    ret = dom0.state("os_template.present", name="debian-12", test=testmode)
    assert (ret["result"], ret["changes"]) == (True, {})


def test_the_state_present_is_false_for_a_template_that_the_pillar_does_not_name(dom0: SaltDom0) -> None:
    ret = dom0.state("os_template.present", name="centos-5")
    assert ret["result"] is False
    assert "centos-5" in ret["comment"]


def load_beacon(dom0: SaltDom0) -> ModuleType:
    path = REPOSITORY / "salt" / "_beacons" / "domus_jobs.py"
    spec = importlib.util.spec_from_file_location("beacon_domus_jobs", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    vars(module)["__salt__"] = dom0.loaders.modules
    return module


def test_the_beacon_reports_changes_and_repeats_them_after_a_restart(dom0: SaltDom0) -> None:
    beacon = load_beacon(dom0)
    config: list[dict[str, Any]] = [{"interval": 1}]
    assert beacon.validate(config)[0] is True
    assert beacon.beacon(config) == []
    install(dom0)
    [event] = beacon.beacon(config)
    assert [(job["uuid"], job["state"]) for job in event["jobs"]] == [(UUID, "done")]
    assert "may_format" not in event["jobs"][0]
    assert beacon.beacon(config) == []
    dom0.loaders.modules.pack["__context__"].clear()
    assert beacon.beacon(config) == [event]


def test_the_beacon_refuses_options_that_it_does_not_know(dom0: SaltDom0) -> None:
    valid, why = load_beacon(dom0).validate([{"intervall": 1}])
    assert not valid
    assert "intervall" in why
