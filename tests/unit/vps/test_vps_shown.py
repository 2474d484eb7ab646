"""What people are shown: every cell of the table, and the rules that run through it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from domus.provisioning.models import JobKind
from domus.vps.models import Power, VpsState
from domus.vps.shown import Tone, shown

UP, DOWN = Power.RUNNING, Power.STOPPED


@dataclass
class FakeJob:
    kind: JobKind = JobKind.START
    is_open: bool = True
    percent: int = 0
    note: str = ""


@pytest.mark.parametrize(
    ("state", "label", "tone"),
    [
        (VpsState.RESERVED, "Waiting for payment", Tone.WARNING),
        (VpsState.PROVISIONING, "Installing", Tone.BUSY),
        (VpsState.PROVISION_FAILED, "Installation failed", Tone.DANGER),
        (VpsState.REMOVING, "Removing", Tone.BUSY),
        (VpsState.REMOVED, "Removed", Tone.OFF),
        (VpsState.CANCELLED, "Cancelled", Tone.OFF),
    ],
)
def test_before_and_after_its_life_the_state_alone_is_shown(state, label, tone):
    for wanted, observed, suspended in itertools.product((UP, DOWN), Power, (False, True)):
        found = shown(state, wanted, observed, suspended=suspended)
        assert (found.label, found.tone) == (label, tone)


@pytest.mark.parametrize(
    ("wanted", "observed", "label", "tone"),
    [
        (UP, Power.RUNNING, "Running", Tone.OK),
        (UP, Power.STOPPED, "Stopped", Tone.WARNING),
        (UP, Power.CRASHED, "Crashed", Tone.DANGER),
        (UP, Power.PAUSED, "Paused", Tone.WARNING),
        (UP, Power.ABSENT, "Missing", Tone.DANGER),
        (DOWN, Power.RUNNING, "Running", Tone.WARNING),
        (DOWN, Power.STOPPED, "Stopped", Tone.OFF),
        (DOWN, Power.CRASHED, "Crashed", Tone.WARNING),
        (DOWN, Power.PAUSED, "Paused", Tone.WARNING),
        (DOWN, Power.ABSENT, "Stopped", Tone.OFF),
    ],
)
def test_an_active_vps_shows_what_was_seen(wanted, observed, label, tone):
    found = shown(VpsState.ACTIVE, wanted, observed, suspended=False)
    assert (found.label, found.tone) == (label, tone)


@pytest.mark.parametrize("wanted", [UP, DOWN])
@pytest.mark.parametrize(
    ("observed", "label"),
    [
        (Power.RUNNING, "Suspending"),
        (Power.PAUSED, "Suspending"),
        (Power.STOPPED, "Suspended"),
        (Power.CRASHED, "Suspended"),
        (Power.ABSENT, "Suspended"),
    ],
)
def test_a_suspension_is_shown_whatever_is_wanted(wanted, observed, label):
    assert shown(VpsState.ACTIVE, wanted, observed, suspended=True, job=FakeJob()).label == label


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (JobKind.START, "Starting"),
        (JobKind.SHUTDOWN, "Shutting down"),
        (JobKind.POWER_OFF, "Powering off"),
        (JobKind.REBOOT, "Rebooting"),
    ],
)
def test_a_job_under_way_is_shown_instead_of_the_power(kind, label):
    found = shown(VpsState.ACTIVE, UP, Power.STOPPED, suspended=False, job=FakeJob(kind))
    assert (found.label, found.tone) == (label, Tone.BUSY)


def test_a_job_that_ended_is_not_shown():
    found = shown(VpsState.ACTIVE, UP, UP, suspended=False, job=FakeJob(is_open=False, note="waits"))
    assert (found.label, found.sentence) == ("Running", "It runs.")


def test_an_installation_shows_its_percent():
    job = FakeJob(JobKind.PROVISION, percent=40)
    assert (
        shown(VpsState.PROVISIONING, UP, Power.ABSENT, suspended=False, job=job).label == "Installing, 40 %"
    )


def test_what_a_job_waits_for_is_said_in_the_sentence():
    job = FakeJob(JobKind.PROVISION, note="dom0-a does not answer")
    found = shown(VpsState.PROVISIONING, UP, Power.ABSENT, suspended=False, job=job)
    assert found.sentence.endswith("Dom0-a does not answer.")


def test_a_problem_is_told_and_never_shown_as_all_right():
    found = shown(VpsState.ACTIVE, UP, UP, suspended=False, problem="the disk is too small")
    assert found.tone is Tone.WARNING
    assert found.sentence == "It runs. The disk is too small."


def test_a_problem_of_what_is_gone_is_nobodys_business():
    assert shown(VpsState.REMOVED, DOWN, Power.ABSENT, suspended=False, problem="x").tone is Tone.OFF


def test_every_cell_has_a_label_and_a_whole_sentence():
    for state, wanted, observed, suspended in itertools.product(VpsState, (UP, DOWN), Power, (False, True)):
        found = shown(state, wanted, observed, suspended=suspended)
        assert found.label
        assert found.sentence.endswith(".")
