"""Plays a year from its first day to its last, and has it judged every week and at the end."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from argon2 import PasswordHasher

from domus.accounts import passwords
from domus.accounts.models import Account
from domus.core.errors import PreconditionFailed
from domus.db import migrate
from domus.db.engine import Database
from domus.inventory.models import Location
from domus.simulation.clock import Agenda
from domus.simulation.judging.judge import Judge
from domus.simulation.moods import MOODS
from domus.simulation.people import invite
from domus.simulation.plan import Plan, check_plan
from domus.simulation.report import Report, make_report
from domus.simulation.setting import open_shop
from domus.simulation.timers import set_timers
from domus.simulation.world import World

#: Told how many days are done.
Progress = Callable[[int], None]

#: How often the judge looks.
A_WEEK = timedelta(days=7)


def simulate(plan: Plan, *, url: str | None = None, progress: Progress | None = None) -> Report:
    """Play a plan in a throw-away SQLite file, or in an empty database; return what became of it.

    Raises InvalidInput for a plan that is out of range, and PreconditionFailed for a database that has something in it.
    """
    check_plan(plan)
    with _database(url) as db, quietly():
        world = prepare(db, plan)
        return make_report(play(world, progress=progress))


def prepare(db: Database, plan: Plan) -> World:
    """Open the shop in an empty database, and write all that will happen by itself on the agenda."""
    setting = open_shop(db, accounts=plan.accounts, now=plan.begin)
    world = World(plan, db, setting, Agenda(plan.begin))
    invite(world, MOODS)
    set_timers(world)
    return world


def play(world: World, *, progress: Progress | None = None) -> Judge:
    """Let everything happen; return the judge, who has looked each week and at the end."""
    judge, plan = Judge(world), world.plan
    while world.now < plan.rest_ends:
        following = world.now + timedelta(days=1)
        world.agenda.run_until(following)
        is_last = following >= plan.rest_ends
        if is_last or (following - plan.begin) % A_WEEK == timedelta():
            judge.look(final=is_last)
        if progress is not None:
            progress(min((following - plan.begin).days, plan.days))
    return judge


@contextmanager
def _database(url: str | None) -> Iterator[Database]:
    if url is not None:
        _upgrade(url)
        db = Database(url)
        try:
            _refuse_used(db)
            yield db
        finally:
            db.dispose()
        return
    with tempfile.TemporaryDirectory(prefix="domus-simulation-") as folder:
        url = f"sqlite:///{Path(folder) / 'simulation.sqlite'}"
        migrate.upgrade(url)
        db = Database(url)
        # Nobody needs it after a power cut.
        sa.event.listen(
            db.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF")
        )
        try:
            yield db
        finally:
            db.dispose()


def _upgrade(url: str) -> None:
    """Make the tables of an empty database; one that has some has to have those of this release."""
    revision = migrate.current(url)
    if revision is None:
        migrate.upgrade(url)
    elif revision != migrate.newest():
        raise PreconditionFailed(
            f"The database is at revision {revision} and this release needs {migrate.newest()}; name an empty one."
        )


def _refuse_used(db: Database) -> None:
    """Raise PreconditionFailed for a database that is somebody's shop."""
    with db.reading() as session:
        is_used = any(
            session.scalar(sa.select(sa.exists().where(model.id > 0))) for model in (Account, Location)
        )
    if is_used:
        raise PreconditionFailed(
            "The database has accounts or places already; a simulation needs an empty one."
        )


@contextmanager
def quietly() -> Iterator[None]:
    """Keep refusals, of which a year has thousands, out of the log, and passwords, of which nobody knows one, cheap."""
    before = logging.root.manager.disable
    hasher = passwords.hasher()
    logging.disable(logging.WARNING)
    passwords.use_hasher(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    try:
        yield
    finally:
        passwords.use_hasher(hasher)
        logging.disable(before)
