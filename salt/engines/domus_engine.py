"""
The link between Domus's database and Salt's event bus; it runs on the master.

To Salt it brings what the database wants: outbox messages, and the dom0s that are due. To the database it brings
what the dom0s say: the returns of state runs, progress of installations, changes of power. It keeps nothing to
itself: whenever it is killed, the next one goes on from the database.

.. code-block:: yaml

    engines_dirs: [/opt/domus/salt/engines]
    engines:
    - domus_engine: {}
    domus:
      database_url_file: /etc/domus/database_url
"""

import gc
import logging
import os
import re
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import salt.client
import salt.exceptions
import salt.utils.event
import sqlalchemy as sa

from domus.core.clock import utc_now
from domus.core.errors import DomusError
from domus.core.settings import address_quarantine
from domus.core.texts import first_line, why_failed
from domus.db.doorbell import Doorbell, doorbell
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.provisioning.outbox import CHANNEL
from domus.workflows import console, housekeeping, work

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.05
# However much comes from the bus, the database's wishes get their turn.
EVENTS_PER_TURN = 200
# What could not be written while the database was away; past it the oldest is dropped, and a sweep repairs it.
BACKLOG = 10_000
SWEEP = timedelta(seconds=1)
TICK = timedelta(seconds=10)
CLEAN_UP = timedelta(hours=1)
LONGEST_PAUSE_SECONDS = 10.0
# A dom0 is asked for its run when it takes this long, and again and again.
ASK_AFTER = timedelta(seconds=3)
# One question at a time: a slow dom0 that is asked anew before it could answer gets slower with each question.
ASK_AGAIN_AFTER = timedelta(seconds=30)
# A run is given up when its dom0 says so often that it does not know it (the return may be on its way the first
# time), or when the dom0 says nothing for so long.
DENIALS = 2
GIVE_UP_AFTER = timedelta(seconds=15)

RETURN = re.compile(r"salt/job/(?P<jid>\d+)/ret/(?P<minion>.+)")
BEACON = re.compile(r"salt/beacon/(?P<minion>.+)/domus_(?P<topic>jobs|power)/")

# A dom0 that was just set up, or became one only now, has not got our modules, its pillar or the key in it.
FETCH_ANEW = ("is not available", "has no pillar", "bears no seal")

DATABASE_AWAY = (
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,
    psycopg.OperationalError,
)


def __virtual__() -> bool:
    # The master loads its engines and then forks its workers. What the garbage collector does not look at any
    # more stays shared between all of them: without this each would soon have a copy of all that we import.
    gc.collect()
    gc.freeze()
    return True


class Bus(Protocol):
    """The part of Salt's event bus that is used here."""

    def get_event(
        self, *, wait: float, full: bool, no_block: bool, auto_reconnect: bool
    ) -> Mapping[str, Any] | None:
        """Return the next event, or None when there is none for so long."""

    def fire_event(self, data: dict[str, Any], tag: str) -> bool:
        """Put an event on the bus."""


class Caller:
    """Calls functions on single minions without waiting for them; the answers come over the bus."""

    def __init__(self, opts: Mapping[str, Any]) -> None:
        self._opts = opts
        self._client: salt.client.LocalClient | None = None

    def __call__(self, minion_id: str, function: str, *arguments: str) -> None:
        """Call a function on one minion; a master that cannot do so now is only logged."""
        if self._client is None:
            self._client = salt.client.LocalClient(mopts=dict(self._opts))
        try:
            self._client.cmd_async([minion_id], function, arguments, tgt_type="list")
        except salt.exceptions.SaltException as error:
            log.warning("could not call %s on %s: %s", function, minion_id, error)


class Engine:
    """One turn: take what the bus has, then bring what the database wants."""

    def __init__(
        self,
        db: Database,
        bus: Bus,
        call: Callable[..., None],
        *,
        quarantine: timedelta = work.ADDRESS_QUARANTINE,
        give_up_after: timedelta = GIVE_UP_AFTER,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._db = db
        self._bus = bus
        self._call = call
        self._quarantine = quarantine
        self._give_up_after = give_up_after
        self._clock = clock
        self._backlog: deque[Mapping[str, Any]] = deque(maxlen=BACKLOG)
        self._heard: dict[str, datetime] = {}
        self._asked: dict[int, datetime] = {}
        self._unanswered: set[str] = set()
        self._denials: dict[str, int] = {}
        self._bell: Doorbell | None = None
        self._next_sweep = self._next_tick = self._next_clean_up = clock()
        self._failures = 0

    def run(self, *, alive: Callable[[], bool]) -> None:
        """Take turns while we are wanted."""
        while alive():
            pause = self.safe_turn()
            if pause:
                time.sleep(pause)

    def safe_turn(self) -> float:
        """Take a turn; when it cannot be finished, log why and return how many seconds to pause."""
        try:
            self.turn()
        except DATABASE_AWAY as error:
            self._forget_bell()
            self._failures += 1
            # Its traceback says nothing more, and would come every few seconds while the database is away.
            log.warning("the database does not answer (time %s): %s", self._failures, first_line(error))
            return float(min(0.5 * 2 ** min(self._failures, 6), LONGEST_PAUSE_SECONDS))
        except (DomusError, sa.exc.SQLAlchemyError, salt.exceptions.SaltException):
            log.exception("this turn failed")
            return 1.0
        self._failures = 0
        return 0.0

    def turn(self) -> None:
        """Do all that is to be done now; wait for an event a little while when there is nothing."""
        self._take_events()
        self._write_backlog()
        now = self._clock()
        if self._rang() or now >= self._next_sweep:
            self._fire_messages(now)
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP
            self._fire_due_dom0s(now)
            self._look_after_runs(now)
        if now >= self._next_tick:
            self._next_tick = now + TICK
            work.tick(self._db, now=now)
        if now >= self._next_clean_up:
            self._next_clean_up = now + CLEAN_UP
            housekeeping.clean_up(self._db, now=now)

    # From the bus to the database

    def _take_events(self) -> None:
        # To Salt, waiting for no time means waiting for ever; not to wait is an option of its own.
        no_block = bool(self._backlog)
        for _ in range(EVENTS_PER_TURN):
            event = self._bus.get_event(wait=WAIT_SECONDS, full=True, no_block=no_block, auto_reconnect=True)
            if event is None:
                return
            no_block = True
            if RETURN.fullmatch(event["tag"]) or BEACON.fullmatch(event["tag"]):
                self._backlog.append(event)

    def _write_backlog(self) -> None:
        """Write the events in their order; one that the database refuses is dropped, one that it cannot take now is kept."""
        while self._backlog:
            event = self._backlog[0]
            try:
                self._handle(event["tag"], event["data"])
            except DATABASE_AWAY:
                raise
            except (DomusError, sa.exc.SQLAlchemyError) as error:
                log.warning(
                    "event %s was not taken: %s: %s", event["tag"], type(error).__name__, first_line(error)
                )
            except Exception:
                # A minion can say anything, and must not end what serves all dom0s.
                log.exception("event %s could not be read", event["tag"])
            self._backlog.popleft()

    def _handle(self, tag: str, data: Any) -> None:
        match = RETURN.fullmatch(tag) or BEACON.fullmatch(tag)
        if match is None or not isinstance(data, Mapping) or data.get("id") != match["minion"]:
            # A beacon that failed on its minion says so without an id, too.
            log.info("event %s is not from whom it names; ignored", tag)
            return
        minion_id = match["minion"]
        self._heard[minion_id] = self._clock()
        if match.re is RETURN:
            self._handle_return(minion_id, match["jid"], data)
        else:
            self._handle_beacon(minion_id, match["topic"], data)

    def _handle_return(self, minion_id: str, jid: str, data: Mapping[str, Any]) -> None:
        function, value = data.get("fun"), data.get("return")
        if function == "dom0.converge":
            self._handle_run(minion_id, jid, value)
        elif function == "dom0.report" and self._is_genuine(minion_id, "report", value):
            work.record_report(
                self._db, minion_id=minion_id, report=value, now=self._clock(), quarantine=self._quarantine
            )
        elif function == "dom0.console":
            self._handle_console(minion_id, data)
        elif function == "saltutil.find_job":
            self._handle_whereabouts(minion_id, _arguments(data), value)
        elif function == "saltutil.sync_all":
            work.dom0_started(self._db, minion_id=minion_id, now=self._clock())
            self._sweep_now()

    def _handle_run(self, minion_id: str, jid: str, value: Any) -> None:
        report, problem = None, ""
        if not isinstance(value, Mapping):
            # A failure bears no seal. It counts for the one run whose jid it names, and no other minion knows that.
            problem = why_failed(value)
        elif self._is_genuine(minion_id, "run", value):
            report = value
        else:
            problem = f"The report of {minion_id} bears no seal of its own."
        if any(hint in problem for hint in FETCH_ANEW) and self._is_under_way(minion_id, jid):
            self._call(minion_id, "saltutil.sync_all")
        more = work.record_run(
            self._db,
            minion_id=minion_id,
            jid=jid,
            report=report,
            problem=problem,
            now=self._clock(),
            quarantine=self._quarantine,
        )
        if more:
            self._sweep_now()

    def _is_under_way(self, minion_id: str, jid: str) -> bool:
        runs = work.open_runs(self._db)
        return any(run.minion_id == minion_id and run.jid in (jid, None) for run in runs)

    def _handle_whereabouts(self, minion_id: str, arguments: list[Any], value: Any) -> None:
        """Give a run that its dom0 is at work on more time; count how often a dom0 said that it does not know one."""
        jid = str(arguments[0]) if arguments else ""
        self._unanswered.discard(jid)
        if jid and value:
            work.run_goes_on(self._db, minion_id=minion_id, jid=jid, now=self._clock())
        elif jid:
            self._denials[jid] = self._denials.get(jid, 0) + 1

    def _handle_console(self, minion_id: str, data: Mapping[str, Any]) -> None:
        arguments, value = _arguments(data), data.get("return")
        try:
            vps_id = uuid.UUID(str(arguments[0]))
        except (IndexError, ValueError):
            # An operator asked by name, or for something else; nobody waits for it here.
            return
        lines: list[str] | None = None
        if self._is_genuine(minion_id, "console", value) and value.get("uuid") == str(vps_id):
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

    def _handle_beacon(self, minion_id: str, topic: str, data: Mapping[str, Any]) -> None:
        news = data.get("jobs" if topic == "jobs" else "changes")
        if not isinstance(news, list):
            log.warning("%s sent a beacon without a list; ignored", minion_id)
        elif not self._is_genuine(minion_id, topic, data):
            log.warning("a beacon in the name of %s bears no seal of its own; ignored", minion_id)
        elif topic == "power":
            work.record_power(self._db, minion_id=minion_id, changes=news, now=self._clock())
        elif work.record_jobs(self._db, minion_id=minion_id, jobs=news, now=self._clock()):
            self._sweep_now()

    def _is_genuine(self, minion_id: str, kind: str, message: Any) -> bool:
        return isinstance(message, Mapping) and work.is_genuine(
            self._db, minion_id=minion_id, kind=kind, message=message
        )

    # From the database to the bus

    def _fire_messages(self, now: datetime) -> None:
        """Fire what the outbox holds. A message stays in it until whoever acts on it records the outcome."""
        for message in work.claim_messages(self._db, now=now):
            self._bus.fire_event(message.payload, message.tag)

    def _fire_due_dom0s(self, now: datetime) -> None:
        for dom0 in work.due_dom0s(self._db, now=now):
            self._bus.fire_event({"dom0_id": dom0.dom0_id}, "domus/dom0/due")

    def _look_after_runs(self, now: datetime) -> None:
        """Ask for the runs that take long; give up those whose dom0 is silent or does not know them."""
        runs = work.open_runs(self._db)
        for run in runs:
            problem = self._problem_of(run, now)
            if problem:
                log.warning("run %s is given up: %s", run.run_id, problem)
                work.run_failed(self._db, run_id=run.run_id, problem=problem, now=now)
            elif run.jid and now - self._asked.get(run.run_id, run.started_at) >= self._ask_after(run.jid):
                self._asked[run.run_id] = now
                self._unanswered.add(run.jid)
                self._call(run.minion_id, "saltutil.find_job", run.jid)
        # Anybody can speak in names that no minion has; only those that are waited for are worth remembering.
        self._heard = {
            run.minion_id: self._heard[run.minion_id] for run in runs if run.minion_id in self._heard
        }
        self._asked = {run.run_id: self._asked[run.run_id] for run in runs if run.run_id in self._asked}
        self._unanswered &= {run.jid for run in runs if run.jid}
        self._denials = {run.jid: self._denials[run.jid] for run in runs if run.jid in self._denials}

    def _ask_after(self, jid: str) -> timedelta:
        return ASK_AGAIN_AFTER if jid in self._unanswered else ASK_AFTER

    def _problem_of(self, run: work.OpenRun, now: datetime) -> str:
        if self._denials.get(run.jid or "", 0) >= DENIALS:
            return f"{run.minion_id} does not know the run: it was lost on its way there or back."
        heard = max(run.started_at, self._heard.get(run.minion_id, run.started_at))
        silent, unsent = now - heard, run.jid is None and now - run.started_at >= self._give_up_after
        if silent >= self._give_up_after or unsent:
            return f"{run.minion_id} does not answer."
        return ""

    def _sweep_now(self) -> None:
        self._next_sweep = self._clock()

    def _rang(self) -> bool:
        if self._bell is None:
            self._bell = doorbell(self._db, CHANNEL)
        return self._bell.rang()

    def _forget_bell(self) -> None:
        bell, self._bell = self._bell, None
        if bell is not None:
            try:
                bell.close()
            except (sa.exc.SQLAlchemyError, psycopg.Error) as error:
                log.debug("the old connection did not close: %s", error)


def start(give_up_after_seconds: float = GIVE_UP_AFTER.total_seconds()) -> None:
    """
    Serve until the master ends.

    give_up_after_seconds
        For how long a dom0 may be silent before its run is given up and begun anew. Defaults to ``15``; raise it
        where a dom0 is so busy that its minion answers slower than that.

    An engine that outlived its master would claim messages and fire them into nothing, so it ends when its
    parent does.
    """
    parent = os.getppid()
    db = shared_database(__opts__.get("domus"), os.environ)
    quarantine = address_quarantine(__opts__.get("domus"), os.environ)
    with salt.utils.event.get_master_event(__opts__, __opts__["sock_dir"], listen=True) as bus:
        engine = Engine(
            db,
            bus,
            Caller(__opts__),
            quarantine=quarantine,
            give_up_after=timedelta(seconds=give_up_after_seconds),
        )
        engine.run(alive=lambda: os.getppid() == parent)


def _arguments(data: Mapping[str, Any]) -> list[Any]:
    """Return with what a function was called; what is no list is none."""
    arguments = data.get("fun_args")
    return list(arguments) if isinstance(arguments, list | tuple) else []
