"""A customer's disk outlives restored databases, lost records, a dom0 set up anew and a clock that is wrong."""

import shutil
from typing import Any

import pytest
from domus_state_dir import StateDir

from tests.support.installs import dom0_entry, template_entry, vps_entry, wait_for_worker
from tests.support.salt_loader import SaltDom0

UUID = vps_entry()["uuid"]
FIRST = "00000000-0000-4000-8000-00000000000a"
SECOND = "00000000-0000-4000-8000-00000000000b"
TOKEN = "00000000-0000-4000-8000-00000000dead"


def pillar(entry: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the pillar of a simulated dom0 with one VPS."""
    return {
        "schema_version": 1,
        "dom0": dom0_entry(),
        "templates": {"debian-12": template_entry()},
        "vps": {entry["uuid"]: entry},
        **more,
    }


def install(dom0: SaltDom0, **system: Any) -> dict[str, Any]:
    """Let the state do what it does about an installation, and return the job on record afterwards."""
    dom0.set_pillar(pillar(vps_entry(**system)))
    dom0.state("os_template.installed", name="vps", uuid=UUID)
    wait_for_worker(StateDir(dom0.state_dir))
    return dict(dom0.modules.os_template.progress(UUID))


def borne_installation(dom0: SaltDom0) -> str:
    """Return the installation that the disk itself bears."""
    return (dom0.state_dir / "simulated" / "guests" / UUID / "installed").read_text()


@pytest.mark.parametrize("handed_over", [True, False])
def test_a_database_from_yesterday_does_not_bring_back_an_installation_that_was_replaced(
    salt_dom0: SaltDom0, handed_over: bool
) -> None:
    install(salt_dom0, install_id=FIRST)
    install(salt_dom0, install_id=SECOND)
    job = install(salt_dom0, install_id=FIRST, installed=handed_over)
    assert job["state"] == "failed"
    assert borne_installation(salt_dom0) == SECOND
    assert install(salt_dom0, install_id=SECOND, installed=True)["state"] == "done"
    assert borne_installation(salt_dom0) == SECOND


def test_an_installation_that_was_handed_over_is_not_made_anew_on_a_dom0_that_lost_everything(
    salt_dom0: SaltDom0,
) -> None:
    install(salt_dom0, install_id=FIRST)
    shutil.rmtree(salt_dom0.state_dir)
    job = install(salt_dom0, install_id=FIRST, installed=True)
    assert "handed over" in job["error"]
    assert salt_dom0.modules.domus_volume.list() == []


def test_a_handed_over_installation_is_taken_from_its_disk_when_only_the_records_are_lost(
    salt_dom0: SaltDom0,
) -> None:
    install(salt_dom0, install_id=FIRST)
    shutil.rmtree(salt_dom0.state_dir / "jobs")
    assert install(salt_dom0, install_id=FIRST, installed=True)["state"] == "done"


def test_an_operator_may_order_a_handed_over_vps_installed_anew(salt_dom0: SaltDom0) -> None:
    salt_dom0.set_pillar(pillar(vps_entry(install_id=FIRST, installed=True)))
    salt_dom0.modules.os_template.install(UUID, replace=True)
    wait_for_worker(StateDir(salt_dom0.state_dir))
    assert salt_dom0.modules.os_template.progress(UUID)["state"] == "done"


def going(not_before: str) -> dict[str, Any]:
    """Return the entry of a VPS with a tombstone."""
    return vps_entry(install_id=FIRST) | {
        "wanted": "absent",
        "revision": 2,
        "tombstone": {"token": TOKEN, "not_before": not_before},
    }


def remove(dom0: SaltDom0, entry: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Let a state run's two states about a VPS that is to go do what they do."""
    dom0.set_pillar(pillar(entry, **more))
    dom0.state("domu.noted", name="wishes")
    return dom0.state("domu.absent", name=entry["name"], uuid=UUID)


def test_a_dom0_whose_clock_runs_ahead_of_the_master_removes_nothing_early(salt_dom0: SaltDom0) -> None:
    install(salt_dom0, install_id=FIRST)
    # By this dom0's clock it is due since years; by the master's it is not.
    returned = remove(salt_dom0, going("2020-01-01T00:00:00Z"), rendered_at="2019-12-25T00:00:00Z")
    assert "kept until 2020-01-01" in returned["comment"]
    assert salt_dom0.modules.domus_volume.list()


@pytest.mark.parametrize("more", [{}, {"rendered_at": "2020-01-01T00:00:01Z"}])
def test_a_removal_that_is_due_by_both_clocks_is_done(salt_dom0: SaltDom0, more: dict[str, str]) -> None:
    install(salt_dom0, install_id=FIRST)
    remove(salt_dom0, going("2020-01-01T00:00:00Z"), **more)
    assert salt_dom0.modules.domus_volume.list() == []


def test_a_tombstone_that_was_withdrawn_never_removes_anything(salt_dom0: SaltDom0) -> None:
    """A database that was restored from a backup may have it again, and it may be due by now."""
    install(salt_dom0, install_id=FIRST)
    remove(salt_dom0, going("2999-01-01T00:00:00Z"))
    salt_dom0.set_pillar(pillar(vps_entry(install_id=FIRST) | {"revision": 3}))
    salt_dom0.state("domu.noted", name="wishes")
    for _ in range(2):
        returned = remove(salt_dom0, going("2020-01-01T00:00:00Z"))
        assert returned["result"] is False
        assert "withdrawn" in returned["comment"]
    assert salt_dom0.modules.domus_volume.list()
