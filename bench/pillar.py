"""The external pillar of a dom0 with a hundred VPSs: beside its bare queries, alone and among ten thousand others."""

from __future__ import annotations

import importlib.util
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench.dom0_side import CHECKOUT, fresh_target
from bench.harness import Result, benchmark, compare, in_turn
from bench.house import large_dom0, open_shop
from domus.db import migrate
from domus.db.engine import Database

HERE = 100
ELSEWHERE = 10_000
CALLS = 60
MINION = "dom0-0"
COMMAND = "make bench ONLY=pillar"
#: The columns of a copied row that have to be its own.
_OWN = {
    "vps": {"id": "uuid", "name": "text", "order_id": "uuid", "dom0_id": "other"},
    "disk": {"id": None, "vps_id": "owner"},
    "nic": {"id": None, "vps_id": "owner", "mac": "text"},
}


@benchmark("pillar")
def pillar(rounds: int) -> Iterator[Result]:
    """Call the external pillar as Salt's master does."""
    with fresh_target() as folder:
        path = folder / "database.sqlite"
        url = f"sqlite:///{path}"
        migrate.upgrade(url)
        db = Database(url)
        shop = open_shop(db, [large_dom0(MINION)])
        for _ in range(HERE):
            shop.pay(shop.place())
        ext_pillar = _ext_pillar(url)
        alone, bare = _measure(path, ext_pillar, CALLS * rounds)
        _add_elsewhere(path)
        crowded, _ = _measure(path, ext_pillar, CALLS * rounds)
        db.dispose()
    yield compare(
        "ext_pillar of a dom0 with 100 VPSs", "ms", alone, peer="its bare queries by sqlite3", theirs=bare,
        at_most=3, command=COMMAND,
    )  # fmt: skip
    yield compare(
        "ext_pillar of that dom0 with 10,000 VPSs elsewhere", "ms", crowded, peer="with none elsewhere",
        theirs=alone, at_most=1.2, command=COMMAND,
    )  # fmt: skip


def _measure(path: Path, ext_pillar: Callable[..., Any], calls: int) -> tuple[list[float], list[float]]:
    statements = _statements(ext_pillar)
    with sqlite3.connect(path) as connection:

        def bare() -> None:
            for statement, parameters in statements:
                connection.execute(statement, parameters).fetchall()

        found = ext_pillar(MINION, {})
        if len(found["domus"]["vps"]) != HERE:
            raise RuntimeError(f"the pillar has {len(found['domus']['vps'])} VPSs instead of {HERE}")
        bare()
        ours, theirs = in_turn(calls, lambda: _cpu_ms(lambda: ext_pillar(MINION, {})), lambda: _cpu_ms(bare))
    return ours, theirs


def _cpu_ms(action: Callable[[], object]) -> float:
    """Return the CPU time that *action* takes.

    Both only compute. On a busy machine a clock on the wall would show how often others were let in, which happens to the
    longer one of the two.
    """
    start = time.process_time_ns()
    action()
    return (time.process_time_ns() - start) / 1e6


def _ext_pillar(url: str) -> Callable[..., Any]:
    """Load the module as Salt's loader does, with the master's options in it."""
    spec = importlib.util.spec_from_file_location(
        "domus_pillar", CHECKOUT / "salt" / "pillar" / "domus_pillar.py"
    )
    if spec is None or spec.loader is None:
        raise RuntimeError("salt/pillar/domus_pillar.py cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__dict__["__opts__"] = {"domus": {"database_url": url}}
    function: Callable[..., Any] = module.ext_pillar
    return function


def _statements(ext_pillar: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Return what the pillar asks the database, with the values."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            asked.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    ext_pillar(MINION, {})
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return asked


def _add_elsewhere(path: Path) -> None:
    """Copy the VPSs to other dom0s until there are ten thousand; what the pillar does not read is left out."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    dom0 = dict(connection.execute("SELECT * FROM dom0").fetchone())
    rows = {table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in _OWN}  # noqa: S608 - our own names
    for number in range(1, ELSEWHERE // HERE + 1):
        other = dom0["id"] + number
        _insert(connection, "dom0", dom0 | {"id": other, "minion_id": f"elsewhere-{number}"})
        owners: dict[str, str] = {}
        for table, columns in _OWN.items():
            for row in rows[table]:
                made = {"uuid": uuid.uuid4().hex, "text": uuid.uuid4().hex[:17], "other": other}
                made["owner"] = owners.get(row.get("vps_id", ""), "")
                new = row | {name: made.get(kind or "") for name, kind in columns.items()}
                if table == "vps":
                    owners[row["id"]] = new["id"]
                _insert(connection, table, new)
    connection.commit()
    connection.execute("ANALYZE")
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    names, marks = ", ".join(row), ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608 - our own names
