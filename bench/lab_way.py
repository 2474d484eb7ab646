"""P3: from a payment to ssh on a real Xen dom0, beside clones by hand of the same image, and xen-create-image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.harness import Result, absolute, benchmark, compare, in_turn
from bench.lab_house import SMALL_DOM0_MIB, LabHouse, lab_house
from bench.peers.lab_hands import ByHand, Sizes
from domus_lab.world import BOOTSTRAP, IMAGE

COMMAND = "make bench ONLY=lab-provisioning"
#: Everything is emulated: a way takes a minute or two.
ROUNDS = 3
PRODUCT = "Mini VPS"
SIZES = Sizes(memory_mib=256, disk_mib=5120, swap_mib=256)
TEMPLATE_IMAGE = "/var/lib/domus/templates/debian-12-image_1/root.ext4"
GOLDEN = "golden-debian-12-image-1"
LIMIT = 1.15


@benchmark("lab-provisioning")
def lab_provisioning(rounds: int) -> Iterator[Result]:
    """Pay and log in: by image on thick volumes and by packages in one lab, by thin snapshot in another."""
    rounds = min(rounds, ROUNDS)
    with lab_house(product=PRODUCT, storage_backend="lvm") as house:
        yield from _by_image(house, rounds)
    with lab_house(product=PRODUCT, storage_backend="lvm_thin", dom0_mem_mib=SMALL_DOM0_MIB) as house:
        yield from _by_snapshot(house, rounds)


def _by_image(house: LabHouse, rounds: int) -> Iterator[Result]:
    hand = ByHand(house.world.dom0, SIZES)
    ours, theirs = in_turn(
        rounds, lambda: house.seconds_paid_to_ssh(IMAGE), lambda: hand.clone_image(TEMPLATE_IMAGE)
    )
    yield _compared("P3 paid > ssh, by image", ours, "clone by hand (e2image, xl)", theirs, at_most=LIMIT)
    yield _beside_xen_tools("P3 paid > ssh, by image (xen-tools)", ours, hand)
    (packages,) = in_turn(1, lambda: house.seconds_paid_to_ssh(BOOTSTRAP))
    yield absolute("P3 paid > ssh, by warm bootstrap", "s", packages, command=COMMAND)


def _by_snapshot(house: LabHouse, rounds: int) -> Iterator[Result]:
    hand = ByHand(house.world.dom0, SIZES)
    # Fills the golden volume, which is done once for each dom0.
    (first,) = in_turn(1, lambda: house.seconds_paid_to_ssh(IMAGE))
    yield absolute("P3 paid > ssh, by thin snapshot, the first of a dom0", "s", first, command=COMMAND)
    ours, theirs = in_turn(
        rounds, lambda: house.seconds_paid_to_ssh(IMAGE), lambda: hand.clone_snapshot(GOLDEN)
    )
    peer = "clone by hand (lvcreate, xl)"
    yield _compared("P3 paid > ssh, by thin snapshot", ours, peer, theirs, at_most=LIMIT)
    yield _beside_xen_tools("P3 paid > ssh, by thin snapshot (xen-tools)", ours, hand)


def _beside_xen_tools(name: str, ours: list[float], hand: ByHand) -> Result:
    hand.prepare_xen_tools(TEMPLATE_IMAGE)
    (xen_tools,) = in_turn(1, hand.xen_create_image)
    return _compared(name, ours, "xen-create-image by tar, xl", xen_tools)


def _compared(name: str, ours: list[float], peer: str, theirs: list[float], **limit: Any) -> Result:
    return compare(name, "s", ours, peer=peer, theirs=theirs, command=COMMAND, **limit)
