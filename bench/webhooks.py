"""Events of gateways: verified, stored and answered, beside a route of the same application that does nothing.

Both are asked in the process itself: what a web server adds is the same for each. What follows from an event is not within
the clock: that happens after the answer is out.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from bench.databases import postgresql, sqlite_files
from bench.harness import LeftOut, Result, benchmark, compare, in_turn
from domus.core.clock import utc_now
from domus.db import migrate
from domus.db.engine import Database
from domus.gateways.paypal import from_env
from domus.gateways.registry import Gateways
from domus.gateways.stripe_cards import StripeCards

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from domus.gateways.interface import Delivery

COMMAND = "make bench ONLY=webhooks"
#: So many times an empty route an event may take.
AT_MOST = 5
#: Requests of each kind in one round.
REQUESTS = 200

#: Makes a delivery of the moment that is given.
Sender = Callable[[datetime], "Delivery"]


@benchmark("webhooks")
def measure(rounds: int) -> Iterator[Result]:
    """Yield how long deliveries of Stripe and PayPal take, on SQLite and on PostgreSQL."""
    try:
        from tests.support import panel
    except ImportError as error:
        raise LeftOut("the tests, whose vendors it uses, are not here") from error
    from domus_web import create_app

    def application(url: str, gateways: Gateways) -> Flask:
        migrate.upgrade(url)
        app = create_app(panel.settings(), Database(url), gateways)
        app.add_url_rule("/empty", "empty", lambda: "")
        return app

    with _vendors() as (gateways, senders):
        with tempfile.TemporaryDirectory(prefix="domus-bench-") as folder:
            app = application(sqlite_files(folder)(), gateways)
            yield from _deliveries(app, "SQLite", senders, rounds)
        with postgresql() as new_database:
            app = application(new_database(), gateways)
            yield from _deliveries(app, "PostgreSQL", senders, rounds)


def _deliveries(app: Flask, database: str, senders: dict[str, Sender], rounds: int) -> Iterator[Result]:
    client = app.test_client()
    for name, send in senders.items():
        # The first of each pays for imports, connections and PayPal's certificate.
        _accepted(client, name, send, 3)
        _empty(client, 3)
        theirs, ours = in_turn(
            rounds,
            lambda: _empty(client, REQUESTS),
            lambda name=name, send=send: _accepted(client, name, send, REQUESTS),
        )
        yield compare(
            f"event of {name} accepted, {database}", "ms", ours, peer="an empty route", theirs=theirs, at_most=AT_MOST,
            command=COMMAND,
        )  # fmt: skip


def _empty(client: FlaskClient, requests: int) -> float:
    start = time.perf_counter()
    for _ in range(requests):
        client.get("/empty").close()
    return (time.perf_counter() - start) / requests * 1000


def _accepted(client: FlaskClient, name: str, send: Sender, requests: int) -> float:
    """Return the milliseconds of an event until it is answered; all of them are new."""
    took = 0.0
    for said in [send(utc_now()) for _ in range(requests)]:
        start = time.perf_counter()
        answer = client.post(f"/webhooks/{name}", data=said.body, headers=dict(said.headers))
        took += time.perf_counter() - start
        if (answer.status_code, answer.get_data(as_text=True)) != (200, "stored\n"):
            raise RuntimeError(f"{name}: {answer.status_code} {answer.get_data(as_text=True)}")
        answer.close()
    return took / requests * 1000


@contextmanager
def _vendors() -> Iterator[tuple[Gateways, dict[str, Sender]]]:
    """Yield both gateways at local servers that behave as the vendors document, and what signs events as they do.

    The events are about things that nobody here knows, of a kind that is stored and then left alone.
    """
    from tests.support import fake_paypal, fake_stripe

    numbers = itertools.count()
    stripe, paypal = fake_stripe.FakeStripe(now=int(utc_now().timestamp())), fake_paypal.FakePaypal()
    with stripe.running() as stripe_url, paypal.running() as paypal_url:
        at_paypal = from_env(
            {
                "DOMUS_PAYPAL_CLIENT_ID": fake_paypal.CLIENT_ID,
                "DOMUS_PAYPAL_CLIENT_SECRET": fake_paypal.CLIENT_SECRET,
                "DOMUS_PAYPAL_WEBHOOK_ID": fake_paypal.WEBHOOK_ID,
                "DOMUS_PAYPAL_API_BASE": paypal_url,
            }
        )
        if at_paypal is None:
            raise RuntimeError("all of PayPal's keys are set, and there is no gateway")
        at_stripe = StripeCards(
            fake_stripe.SECRET_KEY, fake_stripe.WEBHOOK_SECRET, api_base=stripe_url, retries=0
        )
        gateways = Gateways(at_stripe, at_paypal)
        senders: dict[str, Sender] = {
            "stripe": lambda at: stripe.event(
                "customer.created", {"id": f"cus_{next(numbers)}", "object": "customer"}, at=at
            ),
            "paypal": lambda at: paypal.event("CUSTOMER.CREATED", {"id": f"C{next(numbers)}"}, at=at),
        }
        yield gateways, senders
