"""A business to begin with: the sample that Domus is shipped with, and simulated dom0s in its places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.workflows import seeding

ACTOR = Actor.system("seed")


@dataclass(frozen=True)
class SimulatedDom0:
    """How large a simulated dom0 is, for the database and for its minion alike."""

    minion_id: str
    location: str = "Frankfurt"
    memory_mib: int = 65536
    disk_mib: int = 4_000_000
    vcpus: int = 128
    install_seconds: float = 2.0
    parallel_installs: int = 4

    def minion_options(self) -> dict[str, int | float]:
        """Return what stands below ``domus:simulated`` in the minion's configuration."""
        return {
            "memory_mib": self.memory_mib,
            "disk_mib": self.disk_mib,
            "vcpus": self.vcpus,
            "install_seconds": self.install_seconds,
        }

    def catalogue_entry(self) -> dict[str, object]:
        """Return the dom0 as a catalogue file describes it."""
        return {
            "minion_id": self.minion_id,
            "hypervisor": "simulated",
            "storage_backend": "simulated",
            "memory_capacity_mib": self.memory_mib,
            "disk_capacity_mib": self.disk_mib,
            "vcpus_capacity": self.vcpus,
            "max_parallel_installs": self.parallel_installs,
        }


def seed(db: Database, dom0s: Sequence[SimulatedDom0]) -> None:
    """Add what is not there yet."""
    seeding.seed(db, actor=ACTOR, now=utc_now())
    for dom0 in dom0s:
        add_dom0(db, dom0.location, dom0.catalogue_entry())


def add_dom0(db: Database, location: str, entry: dict[str, object]) -> None:
    """Add a dom0 to one of the places; ``entry`` is what a catalogue file says of it (inventory.Dom0Fields)."""
    document = {"locations": [{"name": location, "dom0s": [entry]}]}
    seeding.seed(db, text=yaml.safe_dump(document), actor=ACTOR, now=utc_now())
