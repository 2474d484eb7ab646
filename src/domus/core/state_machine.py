"""Tables of allowed transitions: one per thing that has states, enforced in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Generic, TypeVar

from domus.core.errors import Conflict

State = TypeVar("State", bound=StrEnum)


@dataclass(frozen=True)
class TransitionTable(Generic[State]):
    """Which event leads from which state to which, and how long a passing state may last.

    ``arrows`` maps ``(state, event)`` to the next state. ``limits`` maps an in-progress state to how long it may last and
    ``failed`` to the state it then falls into.
    """

    name: str
    arrows: Mapping[tuple[State, str], State]
    limits: Mapping[State, timedelta] = field(default_factory=dict)
    failed: Mapping[State, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = set(self.limits) - set(self.failed)
        if missing:
            raise ValueError(f"{self.name}: {missing} has a time limit and no failed state")

    def after(self, state: State, event: str) -> State:
        """Return the state that *event* leads to; raise Conflict when it is not allowed from *state*."""
        try:
            return self.arrows[(state, event)]
        except KeyError:
            raise Conflict(
                f"A {self.name} that is {state.value} cannot {event.replace('_', ' ')}; possible now: "
                f"{', '.join(sorted(self.events(state))) or 'nothing'}."
            ) from None

    def events(self, state: State) -> frozenset[str]:
        """Return the events that are allowed from *state*."""
        return frozenset(event for (source, event) in self.arrows if source == state)
