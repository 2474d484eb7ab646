"""Renewals a second: invoice, line, payment, bookings, number, next date, by the production code, beside bare set-based SQL.

One peer writes the least that a renewal can be (invoice, line, two ledger rows, balance, next date) with `INSERT ... SELECT`
in chunks into tables of its own, without triggers and with one index each, on the same server or disk in the same run.
The other is Tryton's ``sale_subscription``, which makes draft invoices in a database in memory.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import sqlalchemy as sa

from bench.databases import postgresql, sqlite_files
from bench.harness import Result, absolute, benchmark, compare, in_turn, seconds
from bench.peers import tryton
from bench.renewal_rows import NOW, make_business
from domus.db import migrate
from domus.db.engine import Database, make_engine
from domus.workflows.renewals import running

CONTRACTS = 20_000
CHUNK = 1000
#: Renewals a second that have to be reached, and the share of the peer's that is aimed at.
TARGET = 5000
#: Subscriptions that Tryton renews, which takes it seconds; and how many times its rate has to be reached.
TRYTON_CONTRACTS = 200
TIMES_TRYTON = 50
COMMAND = "make bench ONLY=renewals"

_TABLES = (
    "CREATE TABLE c (id BIGINT PRIMARY KEY, account BIGINT, until_day INTEGER, amount BIGINT)",
    "CREATE TABLE b (account BIGINT PRIMARY KEY, amount BIGINT)",
    "CREATE TABLE i (id BIGINT PRIMARY KEY, account BIGINT, amount BIGINT)",
    "CREATE TABLE l (invoice BIGINT, label TEXT, amount BIGINT)",
    "CREATE TABLE e (invoice BIGINT, account BIGINT, amount BIGINT)",
)
_STEPS = (
    "INSERT INTO i SELECT id, account, amount FROM c WHERE id BETWEEN :first AND :last",
    "INSERT INTO l SELECT id, 'VPS, 1 month', amount FROM c WHERE id BETWEEN :first AND :last",
    "INSERT INTO e SELECT id, account, amount FROM c WHERE id BETWEEN :first AND :last",
    "INSERT INTO e SELECT id, 0, -amount FROM c WHERE id BETWEEN :first AND :last",
    "UPDATE b SET amount = amount - 1000 WHERE account BETWEEN :first AND :last",
    "UPDATE c SET until_day = until_day + 30 WHERE id BETWEEN :first AND :last",
)


@benchmark("renewals")
def measure(rounds: int) -> Iterator[Result]:
    """Yield renewals a second on SQLite and PostgreSQL, and the memory of four times as many."""
    with tempfile.TemporaryDirectory(prefix="domus-bench-") as folder:
        yield from _rates("SQLite", rounds, sqlite_files(folder))
        yield from _memory(folder)
    with postgresql() as new_database:
        yield from _rates("PostgreSQL", rounds, new_database)
    with tempfile.TemporaryDirectory(prefix="domus-bench-") as folder:
        yield _beside_tryton(rounds, sqlite_files(folder))


def _rates(name: str, rounds: int, new_database: Callable[[], str]) -> Iterator[Result]:
    again: list[float] = []
    theirs, own = in_turn(rounds, lambda: _bare(new_database()), lambda: _ours(new_database(), again))
    yield compare(
        f"renewals a second, {name}", "renewals/s", own, peer="bare set-based SQL", theirs=theirs,
        command=COMMAND,
    )  # fmt: skip
    median = statistics.median(own)
    yield Result(
        name=f"renewals a second, {name}, at least {TARGET}", value=round(median), unit="renewals/s",
        limit=f">= {TARGET}", holds=median >= TARGET, command=COMMAND, rounds=len(own),
        spread=(round(min(own)), round(max(own))),
    )  # fmt: skip
    yield absolute(f"a second run that finds nothing, {name}", "s", again, command=COMMAND)


def _ours(url: str, again: list[float]) -> float:
    """Return how many renewals a second the production code does; add the seconds of a second run to *again*."""
    migrate.upgrade(url)
    db = Database(url)
    try:
        make_business(db, CONTRACTS)
        _analyze(db)
        took = seconds(lambda: _renew_all(db))
        again.append(seconds(lambda: _renew_nothing(db)))
    finally:
        db.dispose()
    return CONTRACTS / took


def _beside_tryton(rounds: int, new_database: Callable[[], str]) -> Result:
    theirs, own = in_turn(
        min(rounds, 3),
        lambda: tryton.renewals_per_second(TRYTON_CONTRACTS),
        lambda: _ours(new_database(), []),
    )
    return compare(
        "renewals a second, SQLite (Tryton)", "renewals/s", own, peer="Tryton 7.0 sale_subscription, in memory",
        theirs=theirs, at_least=TIMES_TRYTON, command=COMMAND,
    )  # fmt: skip


def _memory(folder: str) -> Iterator[Result]:
    """Run in processes of their own: what 20,000 renewals need beyond 5,000 has to be next to nothing."""
    peaks = []
    for contracts in (CONTRACTS // 4, CONTRACTS):
        url = f"sqlite:///{Path(folder) / f'memory{contracts}.sqlite'}"
        migrate.upgrade(url)
        db = Database(url)
        make_business(db, contracts)
        db.dispose()
        program = [sys.executable, "-m", "bench.renewals", url]
        peaks.append(json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout))
    yield compare(
        f"peak memory of a run over {CONTRACTS} renewals", "MiB", [peaks[1]], peer=f"over {CONTRACTS // 4}",
        theirs=[peaks[0]], at_most=1.1, command=COMMAND,
    )  # fmt: skip


def _renew_all(db: Database) -> None:
    report = running.run(db, now=NOW)
    if (report.invoiced, report.paid, report.failed) != (CONTRACTS, CONTRACTS, 0):
        raise RuntimeError(f"the run did something else: {report.counts()}")


def _renew_nothing(db: Database) -> None:
    if not running.run(db, now=NOW).did_nothing:
        raise RuntimeError("a second run did something")


def _analyze(db: Database) -> None:
    """Tell the planner how many rows there are, as a database that has run for a day knows."""
    with db.engine.connect() as connection, connection.begin():
        connection.execute(sa.text("ANALYZE"))


def _bare(url: str) -> float:
    engine = make_engine(url)
    try:
        with engine.begin() as connection:
            for statement in _TABLES:
                connection.execute(sa.text(statement))
            rows = [{"id": number} for number in range(1, CONTRACTS + 1)]
            connection.execute(sa.text("INSERT INTO c VALUES (:id, :id, 0, 1000)"), rows)
            connection.execute(sa.text("INSERT INTO b VALUES (:id, 1000)"), rows)
        return CONTRACTS / seconds(lambda: _bare_run(engine))
    finally:
        engine.dispose()


def _bare_run(engine: sa.Engine) -> None:
    for first in range(1, CONTRACTS + 1, CHUNK):
        with engine.begin() as connection:
            for step in _STEPS:
                connection.execute(sa.text(step), {"first": first, "last": first + CHUNK - 1})


def _run_once(url: str) -> None:
    db = Database(url)
    running.run(db, now=NOW)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == "__main__":
    _run_once(sys.argv[1])
