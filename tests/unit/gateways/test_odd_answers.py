"""Answers that no gateway should give: each keeps one thing waiting, and nothing else."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest

from domus.core.errors import InvalidInput
from domus.gateways import attempts
from domus.gateways.interface import Fact, GatewayUnavailable, Method, Paid
from domus.gateways.models import AttemptKind, AttemptState, EventState
from domus.gateways.paypal_signatures import Signatures
from domus.workflows.payments import charging, events
from tests.support.builders import NOW
from tests.support.fake_gateway import delivery, make_saved_method
from tests.support.fake_paypal import CERTIFICATE_PATH, WEBHOOK_ID, FakePaypal
from tests.support.http_server import Answer, serving
from tests.support.till import Till, usd

LATER = NOW + timedelta(hours=1)


def test_an_odd_answer_keeps_no_other_waiting(till: Till, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(2):
        events.accept(
            till.db, till.gateways, "fake", delivery("odd" if number == 0 else "x", event_id=f"event-{number}"),
            sender="192.0.2.1", now=NOW,
        )  # fmt: skip

    def look_up(subject: str) -> list[Fact]:
        return [] if subject == "x" else [{}["status"]]

    till.fake.look_up = look_up  # type: ignore[method-assign]
    assert events.work(till.db, till.gateways, now=NOW).failed == 1
    assert [(event.state, event.outcome) for event in till.events()] == [
        (EventState.WAITING, "unexpected KeyError"),
        (EventState.IGNORED, "it concerns nothing of ours"),
    ]
    assert "Traceback" in caplog.text


def test_a_certificate_that_cannot_be_unpacked_is_asked_for_again() -> None:
    broken = Answer(200, b"not packed", headers=(("Content-Encoding", "gzip"),))
    with serving(lambda _request: broken) as url:
        said = FakePaypal(url=url).event("CHECKOUT.ORDER.APPROVED", {"id": "ORDER1"}, at=NOW)
        assert said.headers["paypal-cert-url"] == f"{url}{CERTIFICATE_PATH}"
        with pytest.raises(GatewayUnavailable, match="certificate cannot be had"):
            Signatures(WEBHOOK_ID, origins=(url,)).check(said, now=NOW)


def test_a_charge_whose_customer_is_gone_at_the_gateway_is_declined(till: Till) -> None:
    order = till.order()
    make_saved_method(till.db, till.account_id)
    till.fake.silent = True

    def charge(now: datetime) -> charging.Charged:
        return charging.charge(
            till.db, till.gateways, account_id=till.account_id, invoice_id=order.invoice.id,
            actor=till.shop.people.as_olga, now=now,
        )  # fmt: skip

    assert charge(NOW).pending

    def find(method: Method, attempt_id: uuid.UUID, *, since: datetime) -> Paid | None:
        raise InvalidInput("No such customer: cus-1")

    till.fake.find = find  # type: ignore[method-assign]
    charged = charge(LATER)
    assert (charged.pending, charged.problem) == (False, "No such customer: cus-1")
    assert [attempt.state for attempt in till.attempts()] == [AttemptState.FAILED]


def test_what_renewals_charge_keeps_no_customer_from_paying(till: Till) -> None:
    order = till.order()
    with till.db.unit_of_work() as session:
        for _ in range(attempts.MAX_AN_HOUR):
            row = attempts.open_attempt(
                session, account_id=till.account_id, invoice_id=None, gateway="fake",
                kind=AttemptKind.CHARGE, amount=usd("10.00"), now=NOW,
            )  # fmt: skip
            attempts.end(session, row.id, AttemptState.FAILED, now=NOW)
    assert till.begin(order.invoice).url.startswith("https://fake.example/")
