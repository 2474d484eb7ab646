"""Which dom0 takes a new VPS: a pure choice over a snapshot of capacity.

Domus spreads: the dom0 that would keep the largest share of its memory free comes first. A dom0 that fails
then takes the fewest customers with it, and neighbours share CPU and disk heads evenly. Packing would keep
room for a very large VPS, at the price of hot machines; an operator who wants it drains dom0s instead. Ties
go to the dom0 with fewer VPSs, then to the lower id, so that the same snapshot gives the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one VPS takes from a dom0."""

    memory_mib: int
    disk_mib: int
    vcpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A dom0 that takes new VPSs: its capacity, and how much of it is free."""

    dom0_id: int
    memory_capacity_mib: int
    memory_free_mib: int
    disk_free_mib: int
    vcpus_free: int
    vps_count: int

    def fits(self, need: Need) -> bool:
        """Tell whether there is room in every dimension."""
        return (
            need.memory_mib <= self.memory_free_mib
            and need.disk_mib <= self.disk_free_mib
            and need.vcpus <= self.vcpus_free
        )

    def lacks(self, need: Need) -> tuple[str, ...]:
        """Return what there is too little of, in words."""
        dimensions = (
            ("memory", self.memory_free_mib, need.memory_mib),
            ("disk", self.disk_free_mib, need.disk_mib),
            ("vCPUs", self.vcpus_free, need.vcpus),
        )
        return tuple(name for name, free, size in dimensions if size > free)

    def places(self, need: Need) -> int:
        """Return how many VPSs of this size there is room for."""
        dimensions = (
            (self.memory_free_mib, need.memory_mib),
            (self.disk_free_mib, need.disk_mib),
            (self.vcpus_free, need.vcpus),
        )
        return max(0, min(free // size for free, size in dimensions if size))


def in_order_of_choice(candidates: Iterable[Candidate], need: Need) -> list[Candidate]:
    """Return the candidates that fit, best first."""

    def rank(candidate: Candidate) -> tuple[Fraction, int, int]:
        left = candidate.memory_free_mib - need.memory_mib
        return -Fraction(left, candidate.memory_capacity_mib), candidate.vps_count, candidate.dom0_id

    return sorted((c for c in candidates if c.fits(need)), key=rank)
