"""Stories that hypothesis makes up, over the state tables of orders, VPSs and jobs."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.billing.models import OrderState
from domus.billing.states import ORDER_TRANSITIONS
from domus.core.errors import Conflict
from domus.core.state_machine import TransitionTable
from domus.provisioning.models import JobState
from domus.provisioning.states import JOB_TRANSITIONS
from domus.vps.models import VpsState
from domus.vps.states import GONE, VPS_TRANSITIONS

#: (table, all states, the first one, those that nothing leads out of).
TABLES: tuple[tuple[TransitionTable[Any], type[StrEnum], StrEnum, set[StrEnum]], ...] = (
    (ORDER_TRANSITIONS, OrderState, OrderState.PLACED, {OrderState.CANCELLED, OrderState.REFUNDED}),
    (VPS_TRANSITIONS, VpsState, VpsState.RESERVED, set(GONE)),
    (JOB_TRANSITIONS, JobState, JobState.QUEUED, {JobState.DONE, JobState.SUPERSEDED}),
)
EVENTS = sorted({event for table, *_ in TABLES for _, event in table.arrows} | {"explode", "", "PAY"})
stories = st.lists(st.sampled_from(EVENTS), max_size=30)


def walk(table: TransitionTable[Any], state: StrEnum, story: Sequence[str]) -> list[StrEnum]:
    """Return the states that a story goes through; what is refused leaves it where it is."""
    seen = [state]
    for event in story:
        possible = table.events(state)
        if event in possible:
            state = table.after(state, event)
        else:
            with pytest.raises(Conflict) as refused:
                table.after(state, event)
            assert all(known in str(refused.value) for known in possible)
        seen.append(state)
    return seen


@given(st.sampled_from(TABLES), stories)
def test_whatever_happens_leads_to_a_known_state_and_never_out_of_an_end(
    which: tuple[TransitionTable[Any], type[StrEnum], StrEnum, set[StrEnum]], story: list[str]
) -> None:
    table, states, first, ends = which
    seen = walk(table, first, story)
    assert set(seen) <= set(states)
    ended = next((place for place, state in enumerate(seen) if state in ends), len(seen))
    assert len(set(seen[ended:])) <= 1


@given(stories)
def test_no_order_is_both_cancelled_and_paid_or_fulfilled_after_its_refund(story: list[str]) -> None:
    seen = walk(ORDER_TRANSITIONS, OrderState.PLACED, story)
    if OrderState.CANCELLED in seen:
        assert OrderState.PAID not in seen
    if OrderState.REFUNDED in seen:
        assert seen.index(OrderState.PAID) < seen.index(OrderState.REFUNDED)
        assert seen[-1] is OrderState.REFUNDED


@given(stories)
def test_no_vps_is_removed_without_having_been_told_to_go_or_made_without_payment(story: list[str]) -> None:
    seen = walk(VPS_TRANSITIONS, VpsState.RESERVED, story)
    if VpsState.REMOVED in seen:
        assert seen[seen.index(VpsState.REMOVED) - 1] in (VpsState.REMOVING, VpsState.REMOVED)
    if VpsState.ACTIVE in seen:
        assert VpsState.PROVISIONING in seen[: seen.index(VpsState.ACTIVE)]
    if VpsState.CANCELLED in seen:
        assert set(seen) <= {VpsState.RESERVED, VpsState.CANCELLED}


@pytest.mark.parametrize("which", TABLES, ids=lambda which: which[0].name)
def test_every_state_can_be_reached_and_every_limit_has_its_way_out(
    which: tuple[TransitionTable[Any], type[StrEnum], StrEnum, set[StrEnum]],
) -> None:
    table, states, first, ends = which
    reached, last = {first}, set()
    while reached != last:
        last = set(reached)
        reached |= {target for (source, _), target in table.arrows.items() if source in reached}
    assert reached == set(states)
    assert {state for state in states if not table.events(state)} == ends
    for state, failed in table.failed.items():
        assert failed in {target for (source, _), target in table.arrows.items() if source is state}
