"""A whole Domus below one directory, started and ended as one."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from domus.core.clock import iso_z, utc_now
from domus.db import migrate
from domus.db.engine import Database
from domus.workflows import listings, work
from domus_stack import salt_config
from domus_stack.errors import StackError
from domus_stack.files import last_lines, make_private_directory, write_file
from domus_stack.keys import KeyPair, ensure_key_pair
from domus_stack.panel import Panel
from domus_stack.ports import LOOPBACK, free_port, is_free
from domus_stack.processes import Process, end_leftovers
from domus_stack.salt_client import SaltClient
from domus_stack.sockets import socket_directory
from domus_stack.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
# Salt alone takes 3 to 5 seconds on an idle machine, and was seen to take 17 on a busy one.
ANSWER_LIMIT_SECONDS = 90.0
REMIND_AFTER_SECONDS = 30.0
MAIL_EVERY_SECONDS = 2
PORT_NAMES = ("publish", "return", "panel")


@dataclass(frozen=True)
class MinionFiles:
    """All that a minion elsewhere (in the lab, on another machine) needs to be one of this master's."""

    minion_id: str
    options: dict[str, Any]
    key: KeyPair
    master_public_key: bytes = field(repr=False)
    """Pin it: the minion then refuses any other master."""


class Stack:
    """The database, the Salt master with our doors, minions that simulate dom0s, and the panel.

    Everything lies below *root* and listens on loopback only. Use it as a context manager, or call
    `start` and `stop`, from the main thread: all processes end with it, even when it is killed.
    """

    def __init__(
        self,
        root: Path,
        *,
        checkout: Path = CHECKOUT,
        database_url: str | None = None,
        domus_doors: bool = True,
        engine_options: dict[str, Any] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        self.root = root.resolve()
        self.checkout = checkout
        self.database_url = database_url or f"sqlite:///{self.root / 'database.sqlite'}"
        self._domus_doors = domus_doors
        self._engine_options = engine_options
        self._say = say
        self._sockets: Path | None = None
        self._master: Process | None = None
        self._minions: dict[str, Process] = {}
        self._panel: Panel | None = None
        self._mail: Process | None = None
        self._database: Database | None = None
        self._client: SaltClient | None = None
        self._started_at: dict[str, str] = {}
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # What there is

    @property
    def logs(self) -> Path:
        """Return the directory of the logs."""
        return self.root / "log"

    @property
    def master_config_dir(self) -> Path:
        """Return what the Salt commands take as ``-c``."""
        return self.root / "salt" / "master"

    @property
    def database(self) -> Database:
        """Return the database, brought to the newest schema by `prepare`."""
        if self._database is None:
            raise StackError("the stack was not prepared: call start() or prepare() first")
        return self._database

    @property
    def salt(self) -> SaltClient:
        """Return the way to call functions on minions and runners on the master."""
        if self._client is None:
            self._client = SaltClient(self.master_config_dir, self.logs / "salt-client.log")
        return self._client

    @property
    def master(self) -> Process:
        """Return the master's process."""
        if self._master is None:
            raise StackError("the master was not started")
        return self._master

    @property
    def panel(self) -> Panel:
        """Return the panel."""
        if self._panel is None:
            raise StackError("the panel was not started: call start_panel()")
        return self._panel

    def minion(self, minion_id: str) -> Process:
        """Return the process of a minion that this stack runs."""
        try:
            return self._minions[minion_id]
        except KeyError:
            raise StackError(f"there is no minion {minion_id} here") from None

    def minion_folder(self, minion_id: str) -> Path:
        """Return where a minion that this stack runs keeps its things."""
        return self.root / "salt" / "minions" / minion_id

    # Start and stop

    def start(self) -> None:
        """Prepare the directory and start the master; minions and panel are started one by one."""
        self.prepare()
        self.start_master()

    def prepare(self) -> None:
        """Make directories, ports, keys, configuration and the newest database schema; end what a killed run left."""
        make_private_directory(self.root)
        ended = end_leftovers(self.root / "processes")
        if ended:
            self._say(f"ended {ended} process groups that an earlier run left behind")
        self._sockets = socket_directory(self.root)
        self.ports = self._choose_ports()
        write_file(self.root / "database_url", self.database_url)
        if not (self.root / "secret_key").exists():
            write_file(self.root / "secret_key", secrets.token_hex(32))
        migrate.upgrade(self.database_url)
        self._database = Database(self.database_url)
        self._prepare_master()

    def stop(self) -> None:
        """End everything that was started, the master last."""
        doors = [*([self._panel.process] if self._panel else []), *([self._mail] if self._mail else [])]
        processes = [*doors, *self._minions.values()]
        # All at once: a minion alone takes five seconds to go.
        for process in processes:
            process.ask_to_end()
        for process in (*processes, *([self._master] if self._master else [])):
            process.stop()
        self._panel, self._mail, self._master = None, None, None
        self._minions.clear()
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._database is not None:
            self._database.dispose()
            self._database = None

    def start_master(self) -> None:
        """Start the master; `wait_for_minion` tells when it answers."""
        # What a killed master had begun in the background holds its ports until it has ended.
        wait_until(
            lambda: is_free(self.ports["publish"]) and is_free(self.ports["return"]),
            "the ports of the former master to be free",
            ANSWER_LIMIT_SECONDS,
        )
        self._make_sockets("master")
        (self.master_config_dir / "pid").unlink(missing_ok=True)
        self._master = self._process("salt-master", ["salt-master", "-c", str(self.master_config_dir)])
        self._master.start()

    def add_minion(self, minion_id: str, *, simulated: dict[str, Any] | None = None) -> None:
        """Start a minion on this machine, a dom0 on the simulated hypervisor; its key is accepted already."""
        folder = self.minion_folder(minion_id)
        files = self.minion_files(minion_id)
        ensure_key_pair(folder / "pki", "minion")
        write_file(folder / "pki" / "minion_master.pub", files.master_public_key, mode=0o644)
        options = salt_config.local_minion_options(
            minion_id,
            folder,
            self.sockets,
            simulated=simulated or {},
            publish_port=self.ports["publish"],
            return_port=self.ports["return"],
        )
        salt_config.write_options(folder / "minion", options)
        self.start_minion(minion_id)

    def start_minion(self, minion_id: str) -> None:
        """Start (again) a minion that was added, once the master takes requests: else its first event is lost."""
        wait_until(
            lambda: not is_free(self.ports["return"]),
            "the Salt master to listen",
            ANSWER_LIMIT_SECONDS,
            explain=self.explain,
        )
        folder = self.minion_folder(minion_id)
        self._make_sockets(minion_id)
        # A killed minion leaves its pid file, and the next one would say "already running".
        (folder / "pid").unlink(missing_ok=True)
        argv = ["salt-minion", "--disable-keepalive", "-c", str(folder)]
        process = self._process(minion_id, argv)
        self._started_at[minion_id] = iso_z(utc_now())
        process.start()
        self._minions[minion_id] = process

    def start_panel(self, **environment: str) -> Panel:
        """Start the web panel with the test gateway on, and wait until it answers."""
        if self._panel is None:
            self._panel = Panel(
                self._process_factory,
                port=self.ports["panel"],
                environment={
                    "DOMUS_DATABASE_URL_FILE": str(self.root / "database_url"),
                    "DOMUS_SECRET_KEY_FILE": str(self.root / "secret_key"),
                    "DOMUS_SECURE_COOKIES": "no",
                    "DOMUS_TEST_GATEWAY": "yes",
                    "DOMUS_PANEL_URL": f"http://{LOOPBACK}:{self.ports['panel']}",
                    **environment,
                },
            )
        self._panel.start()
        return self._panel

    @property
    def mail_folder(self) -> Path:
        """Return where mails end up: each is a file, and none leaves this machine."""
        return self.root / "mail"

    def start_mail(self, **environment: str) -> None:
        """Start what sends mails, into `mail_folder`."""
        program = Path(sys.executable).with_name("domus")
        argv = [str(program), "mail", "run", "--every", str(MAIL_EVERY_SECONDS)]
        known = {
            "DOMUS_DATABASE_URL_FILE": str(self.root / "database_url"),
            "DOMUS_MAIL_FOLDER": str(self.mail_folder),
            "DOMUS_MAIL_FROM": "shop@domus.example",
            "DOMUS_PANEL_URL": f"http://{LOOPBACK}:{self.ports['panel']}",
        }
        self._mail = self._process_factory("mail", argv, {**known, **environment})
        self._mail.start()

    # Minions

    def minion_files(
        self, minion_id: str, *, master: str = LOOPBACK, simulated: dict[str, Any] | None = None
    ) -> MinionFiles:
        """Make (once) and accept a minion's key; return what it needs wherever it runs.

        ``master`` is the address under which that machine reaches this one; ports are in the options.
        """
        key = ensure_key_pair(self.minion_folder(minion_id) / "pki", "minion")
        pki = self.master_config_dir / "pki"
        accepted = pki / "minions" / minion_id
        if not accepted.is_file() or accepted.read_bytes() != key.public:
            write_file(accepted, key.public, mode=0o644)
        options = salt_config.minion_options(
            minion_id,
            master=master,
            simulated=simulated,
            publish_port=self.ports["publish"],
            return_port=self.ports["return"],
        )
        return MinionFiles(minion_id, options, key, (pki / f"{salt_config.MASTER_ID}.pub").read_bytes())

    def wait_for_minion(self, minion_id: str, seconds: float = ANSWER_LIMIT_SECONDS) -> None:
        """Wait until a minion answers a ping."""
        wait_until(
            lambda: self.salt.ping(minion_id),
            f"an answer of {minion_id} to test.ping",
            seconds,
            explain=lambda: self.explain(minion_id),
        )

    def wait_for_dom0(self, minion_id: str, seconds: float = ANSWER_LIMIT_SECONDS) -> None:
        """Wait until a minion that the database knows as a dom0 has our modules and has nothing left to do."""
        pause = max(REMIND_AFTER_SECONDS, seconds / 3)
        remind_at = time.monotonic() + pause

        def settled() -> bool:
            nonlocal pause, remind_at
            if time.monotonic() > remind_at:
                # A minion says but once that it has started, and Salt's bus may lose that. Each reminder makes it
                # fetch everything again, so one that is only slow is given ever more time.
                pause *= 4
                remind_at = time.monotonic() + pause
                self.salt.run("domus_work.minion_started", minion_id=minion_id)
            return self._is_settled(minion_id)

        wait_until(
            settled,
            f"{minion_id} to fetch its modules and to do all that was due",
            seconds,
            explain=lambda: self.explain(minion_id),
        )

    def _is_settled(self, minion_id: str) -> bool:
        rows = [row for row in listings.dom0s(self.database) if row["dom0"] == minion_id]
        if not rows:
            raise StackError(f"the database knows no dom0 {minion_id}")
        busy = {run.minion_id for run in work.open_runs(self.database)}
        seen_at = rows[0]["seen_at"]
        # Seconds are enough: a minion takes longer than that to start.
        is_new = bool(seen_at) and seen_at > self._started_at.get(minion_id, "")
        return is_new and not rows[0]["next_run_at"] and minion_id not in busy

    def explain(self, *minion_ids: str) -> str:
        """Return the ends of the logs that tell why something does not come."""
        processes = (self._master, *(self._minions.get(minion_id) for minion_id in minion_ids))
        parts = [process.last_words() for process in processes if process is not None]
        parts.append(f"--- the master's own log:\n{last_lines(self.master_config_dir / 'log' / 'salt')}")
        return "\n".join(parts)

    # How

    @property
    def sockets(self) -> Path:
        """Return the directory of the Unix sockets."""
        if self._sockets is None:
            raise StackError("the stack was not prepared: call start() or prepare() first")
        return self._sockets

    def _prepare_master(self) -> None:
        ensure_key_pair(self.master_config_dir / "pki", salt_config.MASTER_ID)
        options = salt_config.master_options(
            self.checkout,
            self.master_config_dir,
            self.sockets,
            publish_port=self.ports["publish"],
            return_port=self.ports["return"],
            database_url_file=self.root / "database_url",
            domus_doors=self._domus_doors,
            engine_options=self._engine_options,
        )
        salt_config.write_options(self.master_config_dir / "master", options)

    def _choose_ports(self) -> dict[str, int]:
        """Keep the ports of the last run where they are free still, so that links and minions stay good."""
        path = self.root / "ports.json"
        try:
            remembered = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            remembered = {}
        ports: dict[str, int] = {}
        for name in PORT_NAMES:
            port = remembered.get(name)
            if not isinstance(port, int) or not is_free(port):
                port = free_port(besides=ports.values())
            ports[name] = port
        write_file(path, json.dumps(ports))
        return ports

    def _make_sockets(self, name: str) -> None:
        """Make the socket directory of one daemon anew: a stale socket makes the next one hang."""
        folder = self.sockets / name
        shutil.rmtree(folder, ignore_errors=True)
        make_private_directory(folder)

    def _process(self, name: str, argv: list[str]) -> Process:
        program = Path(sys.executable).with_name(argv[0])
        return self._process_factory(name, [str(program), *argv[1:]], {})

    def _process_factory(self, name: str, argv: list[str], environment: dict[str, str]) -> Process:
        return Process(
            name,
            argv,
            state_dir=self.root / "processes",
            log=self.logs / f"{name}.log",
            environment={**os.environ, **environment},
            cwd=self.root,
        )
