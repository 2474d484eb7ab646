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
import time
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
from domus.core.texts import first_line
from domus.db.doorbell import Doorbell, doorbell
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.provisioning.outbox import CHANNEL
from domus.provisioning.run_watch import GIVE_UP_AFTER, LostRun, RunWatch
from domus.workflows import housekeeping, work
from domus.workflows.bus_news import BusNews, concerns_us

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
        self._clock = clock
        self._watch = RunWatch(give_up_after=give_up_after)
        self._news = BusNews(db, self._watch, call, quarantine=quarantine, clock=clock)
        self._backlog: deque[Mapping[str, Any]] = deque(maxlen=BACKLOG)
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
            if concerns_us(event["tag"]):
                self._backlog.append(event)

    def _write_backlog(self) -> None:
        """Write the events in their order; one that the database refuses is dropped, one that it cannot take now is kept."""
        while self._backlog:
            event = self._backlog[0]
            try:
                if self._news.take(event["tag"], event["data"]):
                    self._sweep_now()
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
        for deed in self._watch.look(work.open_runs(self._db), now=now):
            if isinstance(deed, LostRun):
                log.warning("run %s is given up: %s", deed.run_id, deed.problem)
                work.run_failed(self._db, run_id=deed.run_id, problem=deed.problem, now=now)
            else:
                self._call(deed.minion_id, "saltutil.find_job", deed.jid)

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
