"""What Salt's bus says of dom0s, read and handed on: returns of what they were called for, and their beacons.

Anybody who has a key on the master can put anything there. So all is read as a stranger's word: who speaks is
whom the tag names, and what brings facts bears the seal of its dom0.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from domus.core.texts import why_failed
from domus.db.engine import Database
from domus.provisioning.run_watch import RunWatch
from domus.workflows import console, work

log = logging.getLogger(__name__)

RETURN = re.compile(r"salt/job/(?P<jid>\d+)/ret/(?P<minion>.+)")
BEACON = re.compile(r"salt/beacon/(?P<minion>.+)/domus_(?P<topic>jobs|power)/")

#: A dom0 that was just set up, or became one only now, has not got our modules, its pillar or the key in it.
FETCH_ANEW = ("is not available", "has no pillar", "bears no seal")


def concerns_us(tag: str) -> bool:
    """Tell whether an event is worth reading."""
    return bool(RETURN.fullmatch(tag) or BEACON.fullmatch(tag))


class BusNews:
    """Hands on what the bus says; ``call`` calls a function on one minion without waiting for it."""

    def __init__(
        self,
        db: Database,
        watch: RunWatch,
        call: Callable[..., None],
        *,
        quarantine: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._db = db
        self._watch = watch
        self._call = call
        self._quarantine = quarantine
        self._clock = clock

    def take(self, tag: str, data: Any) -> bool:
        """Take one event; True when dom0s may be due for it at once."""
        match = RETURN.fullmatch(tag) or BEACON.fullmatch(tag)
        if match is None or not isinstance(data, Mapping) or data.get("id") != match["minion"]:
            # A beacon that failed on its minion says so without an id, too.
            log.info("event %s is not from whom it names; ignored", tag)
            return False
        minion_id = match["minion"]
        self._watch.heard(minion_id, now=self._clock())
        if match.re is RETURN:
            return self._take_return(minion_id, match["jid"], data)
        return self._take_beacon(minion_id, match["topic"], data)

    def _take_return(self, minion_id: str, jid: str, data: Mapping[str, Any]) -> bool:
        function, value = data.get("fun"), data.get("return")
        if function == "dom0.converge":
            return self._take_run(minion_id, jid, value)
        if function == "dom0.report" and self._is_genuine(value, minion_id, "report"):
            work.record_report(
                self._db, minion_id=minion_id, report=value, now=self._clock(), quarantine=self._quarantine
            )
        elif function == "dom0.console":
            self._take_console(minion_id, data)
        elif function == "saltutil.find_job":
            self._take_whereabouts(minion_id, _arguments(data), value)
        elif function == "saltutil.sync_all":
            work.dom0_started(self._db, minion_id=minion_id, now=self._clock())
            return True
        return False

    def _take_run(self, minion_id: str, jid: str, value: Any) -> bool:
        report, problem = None, ""
        if not isinstance(value, Mapping):
            # A failure bears no seal. It counts for the one run whose jid it names, and no other minion knows that.
            problem = why_failed(value)
        elif self._is_genuine(value, minion_id, "run"):
            report = value
        else:
            problem = f"The report of {minion_id} bears no seal of its own."
        if any(hint in problem for hint in FETCH_ANEW) and self._is_under_way(minion_id, jid):
            self._call(minion_id, "saltutil.sync_all")
        return work.record_run(
            self._db,
            minion_id=minion_id,
            jid=jid,
            report=report,
            problem=problem,
            now=self._clock(),
            quarantine=self._quarantine,
        )

    def _is_under_way(self, minion_id: str, jid: str) -> bool:
        runs = work.open_runs(self._db)
        return any(run.minion_id == minion_id and run.jid in (jid, None) for run in runs)

    def _take_whereabouts(self, minion_id: str, arguments: list[Any], value: Any) -> None:
        """Give a run that its dom0 is at work on more time; count how often a dom0 said that it does not know one."""
        jid = str(arguments[0]) if arguments else ""
        if not jid:
            return
        self._watch.answered(jid, is_known=bool(value))
        if value:
            work.run_goes_on(self._db, minion_id=minion_id, jid=jid, now=self._clock())

    def _take_console(self, minion_id: str, data: Mapping[str, Any]) -> None:
        arguments, value = _arguments(data), data.get("return")
        try:
            vps_id = uuid.UUID(str(arguments[0]))
        except (IndexError, ValueError):
            # An operator asked by name, or for something else; nobody waits for it here.
            return
        lines: list[str] | None = None
        if self._is_genuine(value, minion_id, "console") and value.get("uuid") == str(vps_id):
            said = value.get("lines")
            lines = [str(line) for line in said] if isinstance(said, list) else None
        console.store(
            self._db,
            minion_id=minion_id,
            vps_id=vps_id,
            lines=lines,
            problem="" if lines is not None else f"{minion_id} could not read the console.",
            now=self._clock(),
        )

    def _take_beacon(self, minion_id: str, topic: str, data: Mapping[str, Any]) -> bool:
        news = data.get("jobs" if topic == "jobs" else "changes")
        if not isinstance(news, list):
            log.warning("%s sent a beacon without a list; ignored", minion_id)
        elif not self._is_genuine(data, minion_id, topic):
            log.warning("a beacon in the name of %s bears no seal of its own; ignored", minion_id)
        elif topic == "power":
            work.record_power(self._db, minion_id=minion_id, changes=news, now=self._clock())
        else:
            return work.record_jobs(self._db, minion_id=minion_id, jobs=news, now=self._clock())
        return False

    def _is_genuine(self, message: Any, minion_id: str, kind: str) -> TypeGuard[Mapping[str, Any]]:
        return isinstance(message, Mapping) and work.is_genuine(
            self._db, minion_id=minion_id, kind=kind, message=message
        )


def _arguments(data: Mapping[str, Any]) -> list[Any]:
    """Return with what a function was called; what is no list is none."""
    arguments = data.get("fun_args")
    return list(arguments) if isinstance(arguments, list | tuple) else []
