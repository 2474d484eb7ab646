"""A transition table allows what it says and nothing else."""

from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from domus.core.clock import iso_z, require_aware, utc_now
from domus.core.errors import Conflict
from domus.core.state_machine import TransitionTable


class Door(StrEnum):
    OPEN = "open"
    SHUT = "shut"
    WALLED_UP = "walled_up"


TABLE = TransitionTable(
    "door",
    {(Door.OPEN, "shut"): Door.SHUT, (Door.SHUT, "open"): Door.OPEN, (Door.SHUT, "wall_up"): Door.WALLED_UP},
)


def test_an_event_leads_where_the_table_says() -> None:
    assert TABLE.after(Door.OPEN, "shut") is Door.SHUT
    assert TABLE.events(Door.SHUT) == {"open", "wall_up"}


def test_what_the_table_does_not_say_is_refused_with_what_is_possible() -> None:
    with pytest.raises(Conflict, match=r"A door that is open cannot wall up; possible now: shut\."):
        TABLE.after(Door.OPEN, "wall_up")
    with pytest.raises(Conflict, match="possible now: nothing"):
        TABLE.after(Door.WALLED_UP, "open")


def test_a_time_limit_needs_a_state_to_fall_into() -> None:
    with pytest.raises(ValueError, match="no failed state"):
        TransitionTable("door", {}, limits={Door.OPEN: timedelta(hours=1)})


def test_moments_are_aware_and_written_in_utc() -> None:
    with pytest.raises(ValueError, match="naive"):
        require_aware(datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is refused
    east = datetime(2026, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert iso_z(east) == "2025-12-31T23:30:00Z"
    assert utc_now().tzinfo is UTC
