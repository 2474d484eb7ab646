"""A bare Debian becomes a dom0 that works: what its states foretell, what they do, and what they leave."""

from collections.abc import Iterator
from typing import Any

import pytest

from domus_lab import LabImage
from domus_lab.archive import ArchiveServer
from domus_lab.bare import archive_of
from domus_lab.bare_machine import BareMachine
from domus_lab.bare_world import BareWorld, Made, States
from domus_lab.machine import VOLUME_GROUP
from domus_lab.world import MINION_ID

STORAGE = "domus-dom0-storage"
BOOT_LIMIT_SECONDS = 900


@pytest.fixture(scope="module")
def bare(bare_image: LabImage) -> Iterator[BareWorld]:
    """Offer a Domus whose only dom0 is a Debian yet."""
    with ArchiveServer(archive_of(bare_image)) as archive:
        machine = BareMachine(archive, image=bare_image, boot_limit_seconds=BOOT_LIMIT_SECONDS)
        with BareWorld(machine) as world:
            yield world


@pytest.fixture(scope="module")
def made(bare: BareWorld) -> Made:
    """Make a dom0 of it."""
    return bare.make_dom0()


def results(states: States) -> dict[str, Any]:
    return {identity: state["result"] for identity, state in states.items()}


def test_test_mode_foretells_what_will_change_and_changes_nothing(made: Made) -> None:
    foretold = {identity for identity, result in results(made.foretold).items() if result is None}
    changed = {identity for identity, state in made.first.items() if state["changes"]}
    # More is foretold: of the storage, and of services that packages start by themselves, nothing is known before.
    assert changed <= foretold
    assert False not in results(made.foretold).values()
    for word in ("xen", "libvirt", "lvm2", "bridge-utils", "mmdebstrap", "domus"):
        assert word not in made.untouched


def test_first_run_does_all_but_choose_a_disk_for_the_guests(made: Made) -> None:
    assert {i for i, result in results(made.first).items() if result is not True} == {STORAGE}
    assert f"vgcreate {VOLUME_GROUP}" in made.first[STORAGE]["comment"]


def test_it_boots_the_xen_that_it_installed(bare: BareWorld, made: Made) -> None:
    assert bare.stack.salt.call(MINION_ID, "dom0.ping", seconds=900)["hypervisor"] == "xen"
    run = bare.dom0.run
    assert "xen_version            : 4.17" in run(["xl", "info"]).stdout
    assert "Domain-0" in run(["virsh", "--connect", "xen:///system", "list"]).stdout
    assert run(["test", "-d", "/sys/class/net/xenbr0/bridge"], check=False).returncode == 0


def test_second_run_changes_nothing(made: Made) -> None:
    assert set(results(made.second).values()) == {True}
    assert {i: state["changes"] for i, state in made.second.items() if state["changes"]} == {}
    assert "MiB are free" in made.second[STORAGE]["comment"]
