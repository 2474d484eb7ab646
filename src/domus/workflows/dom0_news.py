"""What dom0s bring back: the returns of runs, reports, how far installations are, changes of power.

A dom0 is believed about the VPSs on it alone. Every function is one transaction and may be called any number of
times. Doors call them as `work.record_run` and so on.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.core.errors import InvalidInput
from domus.db.engine import Database
from domus.inventory.models import Dom0
from domus.inventory.queries import lock_dom0
from domus.provisioning import facts, jobs, reports, runs, seals
from domus.provisioning.models import Dom0Run
from domus.vps.models import Power, Vps, VpsState

log = logging.getLogger(__name__)

#: How long an address rests that was in use, where nobody set it.
ADDRESS_QUARANTINE = timedelta(days=1)


def is_genuine(db: Database, *, minion_id: str, kind: str, message: Mapping[str, Any]) -> bool:
    """Tell whether a message bears the seal of the dom0 that it names.

    Salt's bus does not: any minion may put any tag with any data on it.
    """
    with db.reading() as session:
        key = session.scalar(sa.select(Dom0.report_key).where(Dom0.minion_id == minion_id))
    return key is not None and seals.is_genuine(key, kind, message)


def record_run(
    db: Database,
    *,
    minion_id: str,
    jid: str,
    report: Mapping[str, Any] | None,
    problem: str = "",
    now: datetime,
    quarantine: timedelta = ADDRESS_QUARANTINE,
) -> bool:
    """Take the return of a run: end it, write what the dom0 saw. True when more work is due there at once.

    A return that comes late, of a run that was given up, still brings facts, but does not end the run after
    it.
    """
    with db.unit_of_work() as session:
        dom0 = lock_dom0(session, minion_id=minion_id)
        if dom0 is None:
            log.warning("%s is no dom0 of ours; its return %s is ignored", minion_id, jid)
            return False
        refused = problem
        seen: reports.Report | None = None
        run = runs.find(session, dom0.id, jid)
        if report is not None:
            # What an open run returns was seen after it began, whatever the dom0's clock says.
            since = run.started_at if run is not None else None
            refused, seen = _apply(session, dom0, report, since=since, quarantine=quarantine, now=now)
        if run is None:
            log.info("the return %s of %s belongs to no open run", jid, minion_id)
        elif refused or seen is None:
            runs.end(session, run, outcome=refused or "returned nothing", now=now, jid=jid)
            runs.back_off(session, dom0.id, problem=refused or "The state run returned nothing.", now=now)
        else:
            runs.end(session, run, outcome="done", now=now, jid=jid)
            runs.settle_down(session, dom0, problem=seen.problem, hints=seen.hints, now=now)
        return bool(runs.due(session, now=now, dom0_id=dom0.id))


def record_report(
    db: Database,
    *,
    minion_id: str,
    report: Mapping[str, Any],
    now: datetime,
    quarantine: timedelta = ADDRESS_QUARANTINE,
) -> None:
    """Write what a dom0 reports outside of a run."""
    with db.unit_of_work() as session:
        dom0 = lock_dom0(session, minion_id=minion_id)
        if dom0 is not None:
            _apply(session, dom0, report, quarantine=quarantine, now=now)


def record_jobs(db: Database, *, minion_id: str, jobs: Sequence[Any], now: datetime) -> bool:
    """Write how far installations are.

    True when one ended of which no run told: then its dom0 is due for the run that takes it from there.
    """
    with db.unit_of_work() as session:
        witness = _witness(session, minion_id, now)
        if witness is None:
            return False
        news = [
            job for job in (_readable(reports.parse_job, job, minion_id) for job in jobs) if job is not None
        ]
        own = witness.vps_of({job.vps_id for job in news})
        for job in news:
            if job.vps_id in own:
                facts.apply_job(witness, own[job.vps_id], job)
        ended = [own[job.vps_id] for job in news if job.ended and job.vps_id in own]
        # A run that came back before the beacon has told all of it already.
        is_news = any(vps.applied_revision != vps.revision for vps in ended)
        if is_news:
            runs.call_soon(session, witness.dom0_id, at=now)
        return is_news


def record_power(db: Database, *, minion_id: str, changes: Sequence[Any], now: datetime) -> None:
    """Write power changes that happened behind our back; what is not as wanted is looked at soon."""
    with db.unit_of_work() as session:
        witness = _witness(session, minion_id, now)
        if witness is None:
            return
        news = [
            _readable(lambda change: reports.parse_power_change(change, now=now), c, minion_id)
            for c in changes
        ]
        seen = sorted((change for change in news if change is not None), key=lambda change: change.at)
        # A beacon tells the newest of each VPS; whoever sends more must not fill the history.
        newest = {change.vps_id: change for change in seen}
        own = witness.vps_of(set(newest))
        for change in newest.values():
            vps = own.get(change.vps_id)
            if vps is None:
                continue
            # A beacon does not say what its dom0 knew; with nothing under way it can only have known the
            # newest wish.
            up_to_date = vps.applied_revision == vps.revision
            if _is_late_and_different(vps, change):
                # Overtaken by a newer word, or from a clock that was set back: a run finds out which.
                runs.call_soon(session, witness.dom0_id, at=now + runs.LOOK_AGAIN)
                continue
            if facts.apply_power(witness, vps, change, up_to_date=up_to_date):
                runs.call_soon(session, witness.dom0_id, at=now + runs.LOOK_AGAIN)
            elif not up_to_date and not _is_just_defined(vps, change):
                # What was asked for may just have come about; a run makes sure.
                runs.call_soon(session, witness.dom0_id, at=now)


def run_goes_on(db: Database, *, minion_id: str, jid: str, now: datetime) -> None:
    """Give a run more time, whose dom0 says that it is at work on it: many changes at once take long."""
    with db.reading() as session:
        is_short = runs.is_running_out(session, minion_id=minion_id, jid=jid, now=now)
    if is_short:
        with db.unit_of_work() as session:
            runs.extend(session, jid, now=now)


def dom0_started(db: Database, *, minion_id: str, now: datetime) -> None:
    """A minion came up: whatever ran there is over, and what waits for it is due at once.

    Any minion can say this of another. So a run that has only just begun goes on; if it is lost, its dom0
    will say so when it is asked.
    """
    with db.unit_of_work() as session:
        dom0 = lock_dom0(session, minion_id=minion_id)
        if dom0 is None:
            return
        dom0.seen_at = now
        run = session.scalar(sa.select(Dom0Run).where(Dom0Run.dom0_id == dom0.id, Dom0Run.ended_at.is_(None)))
        if run is not None and run.started_at <= now - runs.JUST_BEGUN:
            runs.end(session, run, outcome="lost: the minion was started anew", now=now)
        dom0.next_run_at = now


def _is_late_and_different(vps: Vps, change: reports.PowerSeen) -> bool:
    is_late = vps.observed_at is not None and change.at < vps.observed_at
    return is_late and change.power is not vps.observed_power


def _is_just_defined(vps: Vps, change: reports.PowerSeen) -> bool:
    """Tell whether a new machine was seen before its first start; whoever defined it is starting it."""
    return vps.state is VpsState.PROVISIONING and change.power is Power.STOPPED


def _witness(session: Session, minion_id: str, now: datetime) -> facts.Witness | None:
    dom0 = lock_dom0(session, minion_id=minion_id)
    if dom0 is None:
        log.warning("%s is no dom0 of ours; what it says is ignored", minion_id)
        return None
    dom0.seen_at = now
    session.flush()
    return facts.Witness(session=session, dom0_id=dom0.id, actor=Actor.dom0(minion_id), now=now)


def _apply(
    session: Session,
    dom0: Dom0,
    value: Mapping[str, Any],
    *,
    since: datetime | None = None,
    quarantine: timedelta,
    now: datetime,
) -> tuple[str, reports.Report | None]:
    """Write a report; return why it could not be read, or nothing, and what stands in it."""
    dom0.seen_at = now
    try:
        report = reports.parse_report(value, minion_id=dom0.minion_id, since=since, now=now)
    except InvalidInput as error:
        log.warning("the report of %s could not be read: %s", dom0.minion_id, error)
        return f"Its report could not be read: {error}", None
    for entry in report.refused:
        log.warning("an entry in the report of %s could not be read: %s", dom0.minion_id, entry)
    if dom0.failed_runs:
        jobs.set_note(session, dom0.id, "")  # It answers again.
    dom0.boot_id = report.boot_id
    dom0.facts = dict(report.capacity)
    session.flush()
    witness = facts.Witness(session=session, dom0_id=dom0.id, actor=Actor.dom0(dom0.minion_id), now=now)
    if facts.apply_report(witness, report.vps, quarantine=quarantine):
        runs.call_soon(session, dom0.id, at=now + runs.LOOK_AGAIN_LATER)
    return "", report


def _readable(parse: Any, value: Any, minion_id: str) -> Any:
    """Return the parsed value, or None for one that cannot be read: the others beside it still count."""
    try:
        return parse(value)
    except InvalidInput as error:
        log.warning("%s sent something that could not be read: %s", minion_id, error)
        return None
