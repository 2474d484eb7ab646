"""The choice of a dom0: pure, and the same for the same snapshot."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from domus.placement.choose import Candidate, Need, in_order_of_choice

NEED = Need(memory_mib=512, disk_mib=1000, vcpus=1)


def candidate(dom0_id: int, **columns: int) -> Candidate:
    defaults = {
        "memory_capacity_mib": 8192,
        "memory_free_mib": 4096,
        "disk_free_mib": 100_000,
        "vcpus_free": 8,
        "vps_count": 0,
    }
    return Candidate(dom0_id=dom0_id, **defaults | columns)


def ids(candidates: list[Candidate]) -> list[int]:
    return [candidate.dom0_id for candidate in candidates]


def test_what_lacks_room_in_any_dimension_is_no_candidate():
    full = [
        candidate(1, memory_free_mib=511),
        candidate(2, disk_free_mib=999),
        candidate(3, vcpus_free=0),
        candidate(4, memory_free_mib=512, disk_free_mib=1000, vcpus_free=1),
    ]
    assert ids(in_order_of_choice(full, NEED)) == [4]


def test_the_largest_share_of_free_memory_comes_first_not_the_largest_amount():
    small = candidate(1, memory_capacity_mib=4096, memory_free_mib=4096)
    large = candidate(2, memory_capacity_mib=65536, memory_free_mib=16384)
    assert ids(in_order_of_choice([large, small], NEED)) == [1, 2]


def test_ties_go_to_fewer_vps_and_then_to_the_lower_id():
    crowded, late, early = candidate(1, vps_count=3), candidate(3, vps_count=1), candidate(2, vps_count=1)
    assert ids(in_order_of_choice([crowded, late, early], NEED)) == [2, 3, 1]


def test_orders_spread_over_equal_dom0s():
    dom0s = {n: candidate(n) for n in (1, 2, 3)}
    for _ in range(6):
        best = in_order_of_choice(dom0s.values(), NEED)[0]
        dom0s[best.dom0_id] = candidate(
            best.dom0_id,
            memory_free_mib=best.memory_free_mib - NEED.memory_mib,
            vps_count=best.vps_count + 1,
        )
    assert [dom0.vps_count for dom0 in dom0s.values()] == [2, 2, 2]


def test_places_are_counted_by_the_scarcest_thing():
    assert candidate(1, vcpus_free=3).places(NEED) == 3
    assert candidate(1, memory_free_mib=0).places(NEED) == 0
    assert candidate(1, disk_free_mib=2500).places(NEED) == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 8192), st.integers(0, 5000), st.integers(0, 4), st.integers(0, 9)),
        max_size=8,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_does_not_depend_on_how_the_snapshot_was_read(rows, shuffler: random.Random):
    snapshot = [
        candidate(n, memory_free_mib=m, disk_free_mib=d, vcpus_free=v, vps_count=c)
        for n, (m, d, v, c) in enumerate(rows)
    ]
    chosen = in_order_of_choice(snapshot, NEED)
    shuffler.shuffle(snapshot)
    assert in_order_of_choice(snapshot, NEED) == chosen
    assert all(one.places(NEED) >= 1 for one in chosen)
    assert all(one.places(NEED) == 0 for one in snapshot if one not in chosen)
