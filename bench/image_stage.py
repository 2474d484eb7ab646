"""P1: from an empty disk to a customised, unmounted and synced one, beside the installers that the field uses."""

from __future__ import annotations

from collections.abc import Iterator

from bench.dom0_side import (
    CACHE,
    ensure_template,
    finished_tree,
    fresh_target,
    install_once,
    require_root,
    template_spec,
)
from bench.harness import LeftOut, Result, benchmark, compare, in_turn, seconds
from bench.peers.installers import ganeti_instance_debootstrap, mmdebstrap, xen_create_image

COMMAND = "make bench ONLY=image-stage"


@benchmark("image-stage")
def image_stage(rounds: int) -> Iterator[Result]:
    """Install by image beside ganeti-instance-debootstrap (cached) and xen-create-image (by tar)."""
    require_root()
    tree = finished_tree(ensure_template())
    with fresh_target() as folder:
        ours, ganeti = in_turn(
            rounds,
            lambda: seconds(lambda: install_once(folder, "image")),
            lambda: ganeti_instance_debootstrap(folder, tree),
        )
    yield compare(
        "P1 image stage, by image", "s", ours, peer="ganeti-instance-debootstrap, cached", theirs=ganeti,
        at_most=0.6, command=COMMAND,
    )  # fmt: skip
    try:
        with fresh_target() as folder:
            ours, xen_tools = in_turn(
                min(rounds, 3),
                lambda: seconds(lambda: install_once(folder, "image")),
                lambda: xen_create_image(folder, tree),
            )
    except RuntimeError as failure:
        raise LeftOut(f"xen-create-image: {failure}") from failure
    yield compare(
        "P1 image stage, by image (xen-tools)", "s", ours, peer="xen-create-image by tar", theirs=xen_tools,
        at_most=1 / 8, command=COMMAND,
    )  # fmt: skip


@benchmark("bootstrap")
def bootstrap(rounds: int) -> Iterator[Result]:
    """Install by bootstrap with a warm cache beside plain mmdebstrap with the same packages at hand."""
    require_root()
    ensure_template()
    from domus_apt_sources import guest_sources
    from domus_bootstrap import PACKAGES

    spec = template_spec("bootstrap")
    cache = CACHE / "state" / "cache" / f"{spec.release}-{spec.arch}"
    with fresh_target() as folder:
        install_once(folder, "bootstrap")  # Renews the cache where it is old.
        ours, plain = in_turn(
            min(rounds, 3),
            lambda: seconds(lambda: install_once(folder, "bootstrap")),
            lambda: mmdebstrap(folder, cache, PACKAGES, guest_sources(spec)),
        )
    yield compare(
        "P1 image stage, by warm bootstrap", "s", ours, peer="plain mmdebstrap, warm cache", theirs=plain,
        at_most=1.1, command="make bench ONLY=bootstrap",
    )  # fmt: skip
