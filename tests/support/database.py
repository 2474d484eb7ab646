"""Databases for tests: a migrated SQLite file copied per test, and a PostgreSQL server of the tests' own."""

from __future__ import annotations

import itertools
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from domus.db import migrate

_SETTINGS = {
    # The data need not outlive the tests; the transactions are as isolated as ever.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "fatal",
}


def make_sqlite_template(folder: Path) -> Path:
    """Make a migrated SQLite file to copy from."""
    path = folder / "template.sqlite"
    migrate.upgrade(f"sqlite:///{path}")
    return path


def copy_sqlite(template: Path, folder: Path) -> str:
    """Copy the template into a folder and return the copy's URL."""
    path = folder / "domus.sqlite"
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


def postgresql_programs() -> Path | None:
    """Return the folder with initdb and pg_ctl of the newest PostgreSQL that Debian installed, or None."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


_NOT_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


@dataclass
class PostgresServer:
    """A running server; ``new_database`` clones the migrated template."""

    port: int
    password: str

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def url(self, name: str) -> str:
        """Return the URL of one of its databases, as Domus takes it."""
        return f"postgresql+psycopg://domus:{self.password}@127.0.0.1:{self.port}/{name}"

    def make_template(self) -> None:
        """Make the migrated database that the others are cloned from."""
        self._run(sql.SQL("CREATE DATABASE domus_template"))
        migrate.upgrade(self.url("domus_template"))

    def new_database(self, *, migrated: bool = True) -> str:
        """Make a database of its own for one test and return its name."""
        name = f"test_{next(self._numbers)}"
        template = "domus_template" if migrated else "template0"
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
        return name

    def drop_database(self, name: str) -> None:
        """Drop it, and whoever is still connected."""
        self._run(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="domus",
            password=self.password,
            dbname="postgres",
            autocommit=True,
        ) as connection:
            connection.execute(statement)


@contextmanager
def running_postgres(programs: Path, *, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a PostgreSQL server on a free loopback port in a new folder under /tmp; stop it and remove all at the end.

    A durable one, for benchmarks, writes to disk what it promises to.
    """
    # A Unix socket's path may have 107 characters, which pytest's own folders can exceed.
    folder = Path(tempfile.mkdtemp(prefix="domus-pg-"))
    data = folder / "data"
    password_file = folder / "password"
    password = secrets.token_hex(16)
    password_file.write_text(password)
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        for path in (folder, password_file):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    control = programs / "pg_ctl"
    try:
        _call(
            programs / "initdb", "--pgdata", data, "--username", "domus", "--pwfile", password_file,
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        port = _free_port()
        kept = {name: value for name, value in _SETTINGS.items() if not durable or name not in _NOT_DURABLE}
        settings = kept | {"port": str(port), "unix_socket_directories": str(folder)}
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        _call(control, "start", "--wait", "--pgdata", data, "--log", folder / "log", "--silent")
        try:
            server = PostgresServer(port, password)
            server.make_template()
            yield server
        finally:
            _call(control, "stop", "--wait", "--pgdata", data, "--mode", "immediate", "--silent")
    finally:
        shutil.rmtree(folder)


def _call(*arguments: str | Path) -> None:
    """Run a program of PostgreSQL, which refuses to be run as root."""
    owner = "postgres" if os.geteuid() == 0 else None
    subprocess.run(
        [str(argument) for argument in arguments],
        check=True,
        cwd=tempfile.gettempdir(),  # postgres may not be allowed into the repository
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=120,
        user=owner,
        group=owner,
        extra_groups=() if owner else None,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
