"""`make demo`: a whole Domus on this machine, with one order told from the panel to the running VPS."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from domus.core.clock import utc_now
from domus.workflows import accounts
from domus_stack.customer import Credentials, Customer, new_password
from domus_stack.errors import StackError
from domus_stack.files import make_private_directory, write_file
from domus_stack.seed import SimulatedDom0, seed
from domus_stack.stack import CHECKOUT, Stack
from domus_stack.story import follow, order_and_pay, progress_on, sign_in

DOM0S = (SimulatedDom0("dom0-a", "Frankfurt"), SimulatedDom0("dom0-b", "Paris"))
OPERATOR_EMAIL = "operator@domus.example"
CUSTOMER_EMAIL = "ada@domus.example"
CUSTOMER_NAME = "Ada's Bakery"
ORDER_LIMIT_SECONDS = 180.0


class Demo:
    """Everything below one directory of the checkout; a second one there is refused."""

    def __init__(self, root: Path = CHECKOUT / ".domus" / "demo", console: Console | None = None) -> None:
        self.root = root
        self.console = console or Console(highlight=False)
        self.stack = Stack(root, say=self.say)

    def say(self, text: str) -> None:
        """Tell whoever watches."""
        self.console.print(text, markup=False, soft_wrap=True)

    def run(self, *, once: bool) -> None:
        """Start all, order one VPS, and stay until we are asked to end (or, once, print the order's facts)."""
        with _only_one(self.root), _ended_by_signals() as asked_to_end:
            try:
                status = self._story()
                if once:
                    self.say("Ending what was started.")
                else:
                    self._invite(status)
                    asked_to_end.wait()
            finally:
                self.stack.stop()
        if once:
            print(json.dumps(status), flush=True)

    def _story(self) -> dict[str, Any]:
        customer = self._start()
        number = _next_number(self.root)
        password = new_password()
        self.say(f"Ada orders a VPS at {self.stack.panel.url} and pays it at the test gateway.")
        order_id = order_and_pay(customer, hostname=f"shop{number}.example.org", root_password=password)
        self._remember({f"root of shop{number}.example.org": Credentials("root", password)})
        with progress_on(self.console, f"shop{number}.example.org") as show:
            return follow(self.stack.database, order_id, show, seconds=ORDER_LIMIT_SECONDS)

    def _start(self) -> Customer:
        self.say("Bringing the database up to date and starting the Salt master.")
        self.stack.start()
        seed(self.stack.database, DOM0S)
        people = self._people()
        self.say(f"Starting the panel and {len(DOM0S)} simulated dom0s.")
        self.stack.start_panel(DOMUS_COMPANY_NAME="Domus demo")
        self.stack.start_mail(DOMUS_COMPANY_NAME="Domus demo")
        for dom0 in DOM0S:
            self.stack.add_minion(dom0.minion_id, simulated=dom0.minion_options())
        for dom0 in DOM0S:
            self.stack.wait_for_dom0(dom0.minion_id)
        is_new = "customer" not in self._remembered()
        customer = sign_in(self.stack.panel.url, CUSTOMER_NAME, people["customer"], is_new=is_new)
        self._remember(people)
        return customer

    def _people(self) -> dict[str, Credentials]:
        """Return who may log in; the operator is made on the first run, the customer signs up at the panel."""
        known = self._remembered()
        if "operator" not in known:
            known["operator"] = Credentials(OPERATOR_EMAIL, new_password())
            accounts.create_operator(
                self.stack.database,
                email=OPERATOR_EMAIL,
                password=known["operator"].password,
                must_change=False,
                now=utc_now(),
            )
            self._remember(known)
        known.setdefault("customer", Credentials(CUSTOMER_EMAIL, new_password()))
        return known

    def _invite(self, status: dict[str, Any]) -> None:
        people, url = self._remembered(), self.stack.panel.url
        seconds = status["seconds_paid_to_running"]
        self.say(
            f"\nThe VPS runs on {status['dom0']} with {status['ipv4']}, {seconds} s after it was paid.\n"
        )
        for who in ("operator", "customer"):
            self.say(f"  {who:9} {url}/login   {people[who].email}   {people[who].password}")
        self.say(f"\n  These, and the root password of each order, are kept in {self.root / 'credentials'}.")
        self.say(
            f"  Mails are files in {self.stack.mail_folder}, and stand in the operator panel under Mail."
        )
        self.say("  In another terminal: .venv/bin/salt-run domus.vps   .venv/bin/salt '*' dom0.report")
        self.say("  Ctrl-C ends everything.")

    def _remembered(self) -> dict[str, Credentials]:
        try:
            kept = json.loads((self.root / "credentials").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return {who: Credentials(**what) for who, what in kept.items()}

    def _remember(self, more: dict[str, Credentials]) -> None:
        kept = self._remembered() | more
        plain = {who: {"email": what.email, "password": what.password} for who, what in kept.items()}
        write_file(self.root / "credentials", json.dumps(plain, indent=1) + "\n", mode=0o600)


def _next_number(root: Path) -> int:
    """Return how often the demo has ordered, this time included; it makes host names differ."""
    path = root / "orders"
    try:
        number = int(path.read_text(encoding="utf-8")) + 1
    except (FileNotFoundError, ValueError):
        number = 1
    write_file(path, str(number))
    return number


@contextlib.contextmanager
def _only_one(root: Path) -> Iterator[None]:
    make_private_directory(root)
    handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StackError(f"a demo runs in {root} already; end that one first") from None
    finally:
        os.close(handle)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C (or SIGTERM, SIGHUP) into an orderly end, wherever we are; later ones change nothing."""
    asked = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if not asked.is_set():
            asked.set()
            raise KeyboardInterrupt(signal.Signals(number).name)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in signals}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
