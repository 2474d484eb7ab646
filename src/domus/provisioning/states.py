"""The life of a job as a table; `jobs` is the only code that walks it."""

from __future__ import annotations

from domus.core.state_machine import TransitionTable
from domus.provisioning.models import JobKind, JobState

JOB_TRANSITIONS = TransitionTable(
    name="job",
    arrows={
        (JobState.QUEUED, "begin"): JobState.RUNNING,
        (JobState.QUEUED, "finish"): JobState.DONE,
        (JobState.QUEUED, "fail"): JobState.FAILED,
        (JobState.QUEUED, "supersede"): JobState.SUPERSEDED,
        (JobState.RUNNING, "finish"): JobState.DONE,
        (JobState.RUNNING, "fail"): JobState.FAILED,
        (JobState.RUNNING, "supersede"): JobState.SUPERSEDED,
        # What was given up as overdue may still end well.
        (JobState.FAILED, "finish"): JobState.DONE,
    },
)

OPEN = (JobState.QUEUED, JobState.RUNNING)

POWER_KINDS = (JobKind.START, JobKind.SHUTDOWN, JobKind.POWER_OFF, JobKind.REBOOT)
