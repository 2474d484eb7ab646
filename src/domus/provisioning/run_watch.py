"""Which open runs are to be asked for, and which are given up: by what their dom0s said, and when.

It lives as long as the engine does. When that is started anew, all are heard as of the beginning of their runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domus.provisioning.runs import OpenRun

#: A dom0 is asked for its run when it takes this long, and again and again.
ASK_AFTER = timedelta(seconds=3)
#: One question at a time: a slow dom0 that is asked anew before it could answer gets slower with each question.
ASK_AGAIN_AFTER = timedelta(seconds=30)
#: Whoever may be silent for long is asked the less often: to answer costs a slow dom0 as much as a short run.
QUESTIONS_OF_A_SILENCE = 5
#: A run is given up when its dom0 says so often that it does not know it (the return may be on its way the first
#: time), or when the dom0 says nothing for so long.
DENIALS = 2
GIVE_UP_AFTER = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Question:
    """A dom0 that is to be asked whether it is at work on a run."""

    minion_id: str
    jid: str


@dataclass(frozen=True, slots=True)
class LostRun:
    """A run that is given up, and why."""

    run_id: int
    problem: str


class RunWatch:
    """Remembers who was heard and asked about the runs that are open."""

    def __init__(self, *, give_up_after: timedelta = GIVE_UP_AFTER) -> None:
        self._give_up_after = give_up_after
        self._first = max(ASK_AFTER, give_up_after / QUESTIONS_OF_A_SILENCE)
        self._again = max(ASK_AGAIN_AFTER, give_up_after * 2 / QUESTIONS_OF_A_SILENCE)
        self._heard: dict[str, datetime] = {}
        self._asked: dict[int, datetime] = {}
        self._unanswered: set[str] = set()
        self._denials: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many dom0s are remembered."""
        return len(self._heard)

    def heard(self, minion_id: str, *, now: datetime) -> None:
        """Note that a dom0 said something."""
        self._heard[minion_id] = now

    def answered(self, jid: str, *, is_known: bool) -> None:
        """Note the answer to a question."""
        self._unanswered.discard(jid)
        if not is_known:
            self._denials[jid] = self._denials.get(jid, 0) + 1

    def look(self, runs: Sequence[OpenRun], *, now: datetime) -> Iterator[Question | LostRun]:
        """Yield what is to be done about the open runs now, and then forget what is not about any of them."""
        for run in runs:
            problem = self._problem_of(run, now)
            if problem:
                yield LostRun(run.run_id, problem)
            elif run.jid and now - self._asked.get(run.run_id, run.started_at) >= self._ask_after(run.jid):
                self._asked[run.run_id] = now
                self._unanswered.add(run.jid)
                yield Question(run.minion_id, run.jid)
        self._forget_all_but(runs)

    def _ask_after(self, jid: str) -> timedelta:
        return self._again if jid in self._unanswered else self._first

    def _problem_of(self, run: OpenRun, now: datetime) -> str:
        if self._denials.get(run.jid or "", 0) >= DENIALS:
            return f"{run.minion_id} does not know the run: it was lost on its way there or back."
        heard = max(run.started_at, self._heard.get(run.minion_id, run.started_at))
        silent, unsent = now - heard, run.jid is None and now - run.started_at >= self._give_up_after
        if silent >= self._give_up_after or unsent:
            return f"{run.minion_id} does not answer."
        return ""

    def _forget_all_but(self, runs: Sequence[OpenRun]) -> None:
        """Anybody can speak in names that no minion has; only those that are waited for are worth remembering."""
        minions, ids = {run.minion_id for run in runs}, {run.run_id for run in runs}
        jids = {run.jid for run in runs if run.jid}
        self._heard = {minion: at for minion, at in self._heard.items() if minion in minions}
        self._asked = {run_id: at for run_id, at in self._asked.items() if run_id in ids}
        self._unanswered &= jids
        self._denials = {jid: count for jid, count in self._denials.items() if jid in jids}
