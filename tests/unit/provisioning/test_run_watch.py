"""Which open runs are asked for and which are given up, by what was heard and when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from domus.provisioning.run_watch import LostRun, Question, RunWatch
from domus.provisioning.runs import OpenRun

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
JID = "20261120120000000001"
RUN = OpenRun(run_id=1, minion_id="dom0-a", jid=JID, started_at=START)
QUESTION = Question("dom0-a", JID)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def look(watch: RunWatch, seconds: float, *runs: OpenRun) -> list[Question | LostRun]:
    return list(watch.look(runs or (RUN,), now=after(seconds)))


def test_a_run_is_asked_for_after_three_seconds_and_again_once_it_was_answered() -> None:
    watch = RunWatch()
    assert look(watch, 2) == []
    assert look(watch, 3) == [QUESTION]
    assert look(watch, 7) == []
    watch.heard("dom0-a", now=after(8))
    watch.answered(JID, is_known=True)
    assert look(watch, 8) == [QUESTION]


def test_a_question_that_nobody_answers_is_not_repeated_for_half_a_minute() -> None:
    watch = RunWatch()
    assert look(watch, 3) == [QUESTION]
    watch.heard("dom0-a", now=after(32))
    assert look(watch, 32) == []
    assert look(watch, 33) == [QUESTION]


def test_a_dom0_that_may_be_silent_for_long_is_asked_the_less_often() -> None:
    watch = RunWatch(give_up_after=timedelta(minutes=5))
    assert look(watch, 59) == []
    assert look(watch, 60) == [QUESTION]
    assert look(watch, 179) == []
    assert look(watch, 180) == [QUESTION]


def test_a_dom0_that_is_silent_loses_its_run_and_one_that_speaks_keeps_it() -> None:
    watch = RunWatch()
    watch.heard("dom0-a", now=after(10))
    assert not any(isinstance(deed, LostRun) for deed in look(watch, 24))
    assert look(watch, 25) == [LostRun(1, "dom0-a does not answer.")]


def test_a_run_that_was_never_sent_is_given_up_whoever_speaks() -> None:
    watch = RunWatch()
    watch.heard("dom0-a", now=after(15))
    unsent = OpenRun(run_id=2, minion_id="dom0-a", jid=None, started_at=START)
    assert look(watch, 15, unsent) == [LostRun(2, "dom0-a does not answer.")]


def test_a_run_that_was_denied_twice_is_given_up() -> None:
    watch = RunWatch()
    watch.answered(JID, is_known=False)
    assert look(watch, 1) == []
    watch.answered(JID, is_known=False)
    (lost,) = look(watch, 1)
    assert isinstance(lost, LostRun)
    assert "does not know the run" in lost.problem


def test_only_dom0s_that_are_waited_for_are_remembered() -> None:
    watch = RunWatch()
    for number in range(1000):
        watch.heard(f"nobody-{number}", now=after(1))
    watch.heard("dom0-a", now=after(1))
    look(watch, 1)
    assert len(watch) == 1
