"""Contracts and the days of products in the operator panel."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import Order, Subscription
from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.renewals.models import DunningStep, Renewal, RenewalTerms, SubscriptionHold
from domus.workflows.renewals import running
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

DAYS = {
    "invoice_days": "14", "remind_before": "14|7", "remind_after": "2", "last_warning_days": "5", "suspend_days": "8",
    "end_days": "20", "grace_days": "10",
}  # fmt: skip


@pytest.fixture
def order(shop: Shop, people: People) -> Order:
    return shop.delivered(people.alice)


def contract(db: Database) -> Subscription:
    with db.reading() as session:
        return session.scalars(sa.select(Subscription)).one()


def rows(db: Database, model: type) -> list:
    with db.reading() as session:
        return list(session.scalars(sa.select(model)))


def ran_out(db: Database, days: int) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(Subscription).values(paid_until=utc_now().date() - timedelta(days=days)))


def acting(act: str, db: Database) -> str:
    return f"/operator/contracts/do/{act}/?id={contract(db).id}"


def test_the_list_says_how_each_stands_and_finds_it(olga: Visitor, db: Database, order: Order) -> None:
    assert "paid" in text_of(olga.get("/operator/contracts/"))
    ran_out(db, 3)
    for search in ("www.example.org", "alice@example.org", str(order.id)):
        assert "3 days overdue" in text_of(olga.get("/operator/contracts/", query_string={"search": search}))
    for standing, shown in (("overdue", True), ("soon", False), ("ended", False), ("held", False)):
        page = text_of(olga.get(f"/operator/contracts/?standing={standing}"))
        assert ("3 days overdue" in page) is shown, standing


def test_the_page_shows_what_was_asked_for_and_done(olga: Visitor, db: Database, order: Order) -> None:
    ran_out(db, 3)
    running.run(db, now=utc_now())
    page = text_of(olga.get(f"/operator/contracts/details/?id={contract(db).id}"))
    assert "reminded, 3 days after" in page
    assert "draft" in page
    assert "last warning 12, suspension 15, end 22 after" in page


def test_a_hold_stops_the_run_and_can_be_ended(olga: Visitor, db: Database, order: Order) -> None:
    ran_out(db, 12)
    until = utc_now().date() + timedelta(days=5)
    olga.post(acting("hold", db), {"until": until.isoformat(), "reason": "promised to pay"})
    [held] = rows(db, SubscriptionHold)
    assert (held.until, held.reason) == (until, "promised to pay")
    assert f"held until {until:%Y-%m-%d}" in text_of(olga.get("/operator/contracts/?standing=held"))
    running.run(db, now=utc_now())
    assert rows(db, DunningStep) == []
    olga.post(acting("end-hold", db), {"reason": "did not"})
    assert rows(db, SubscriptionHold) == []


def test_a_hold_until_yesterday_or_without_a_reason_is_refused(
    olga: Visitor, db: Database, order: Order
) -> None:
    page = olga.post(acting("hold", db), {"until": "2020-01-01", "reason": "x"}, status=422)
    assert "A hold ends between" in text_of(page)
    olga.post(acting("hold", db), {"until": "2020-01-01", "reason": ""}, status=422)
    assert rows(db, SubscriptionHold) == []


def test_a_renewal_is_asked_for_and_marked_as_paid(olga: Visitor, db: Database, order: Order) -> None:
    before = contract(db).paid_until
    olga.post(acting("ask", db))
    olga.post(acting("mark-paid", db), {"reason": "transfer of today"})
    [renewal] = rows(db, Renewal)
    assert contract(db).paid_until == renewal.ends_on > before
    with db.reading() as session:
        event = session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "renewal.paid")).one()
    assert event.reason == "transfer of today"
    page = olga.post(acting("mark-paid", db), {"reason": "again"}, status=409)
    assert "Nothing is asked for" in text_of(page)


def test_the_preview_shows_what_a_run_would_do_and_does_nothing(
    olga: Visitor, db: Database, order: Order
) -> None:
    assert "Nothing: all that is due was done." in text_of(olga.get("/operator/contracts/preview/"))
    ran_out(db, 3)
    page = text_of(olga.get("/operator/contracts/preview/"))
    assert "1 to be reminded" in page
    assert "1 to be asked for their next period" in page
    assert "www.example.org" in page
    assert rows(db, DunningStep) == []


def test_customers_do_not_find_any_of_it(alice: Visitor, db: Database, order: Order) -> None:
    for path in ("contracts/", "contracts/preview/", "renewal-days/"):
        alice.get(f"/operator/{path}", status=404)


def test_a_product_gets_days_of_its_own_and_loses_them(olga: Visitor, db: Database, shop: Shop) -> None:
    product = shop.price.product
    olga.post("/operator/renewal-days/new/", {"product_id": product.name, **DAYS})
    [row] = rows(db, RenewalTerms)
    assert (row.remind_before, row.remind_after, row.suspend_days) == ([14, 7], [2], 8)
    assert "14, 7" in text_of(olga.get("/operator/renewal-days/"))
    edited = DAYS | {"suspend_days": "9"}
    olga.post(f"/operator/renewal-days/edit/?id={product.id}", edited)
    assert rows(db, RenewalTerms)[0].suspend_days == 9
    page = olga.post("/operator/renewal-days/new/", {"product_id": product.name, **DAYS}, status=422)
    assert "has days of its own already" in text_of(page)
    olga.post(f"/operator/renewal-days/delete/?id={product.id}")
    assert rows(db, RenewalTerms) == []


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("suspend_days", "5", "after the last warning on day 5"),
        ("remind_before", "15", "from 1 to 14"),
        ("remind_after", "x", "are no days"),
        ("product_id", "Nonsense", "no product called"),
        ("grace_days", "", "Enter a whole number"),
    ],
)
def test_days_that_do_not_fit_are_refused_at_their_field(
    olga: Visitor, db: Database, shop: Shop, field: str, value: str, said: str
) -> None:
    fields = {"product_id": shop.price.product.name, **DAYS, field: value}
    page = olga.post("/operator/renewal-days/new/", fields, status=422)
    assert said in text_of(page)
    assert rows(db, RenewalTerms) == []
