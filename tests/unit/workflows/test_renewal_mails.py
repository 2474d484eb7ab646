"""Each step of dunning is told once, in the transaction that notes it; renewals paid in bulk send their invoices."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account, AccountContact, ContactKind
from domus.db.engine import Database
from domus.mail.models import OutgoingMail
from domus.vps.models import Vps
from tests.support.contracts import run_daily
from tests.support.mails import PostOffice
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(db: Database) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop: Shop) -> Vps:
    vps = shop.active()
    with shop.db.unit_of_work() as session:
        session.execute(sa.delete(OutgoingMail))
    return vps


def test_every_step_is_told_once_until_the_end(shop: Shop, vps: Vps) -> None:
    office = PostOffice(shop.db)
    now = run_daily(shop, vps, -10, 22)
    told = [row.event.removeprefix("renewal_") for row in office.mails()]
    assert told == ["before", "before", "expired", "after", "after", "last_warning", "suspended", "ended"]
    assert [row.data["days"] for row in office.mails()] == [10, 5, 0, 3, 7, 3, 7, 7]
    office.now = now + timedelta(hours=1)
    assert office.run() == {"sent": 8}
    assert all("10.00\xa0USD" in text for text in office.texts())
    assert all(vps.hostname in text for text in office.texts())
    assert "https://panel.example.org/invoices/" in office.texts()[0]
    assert "in 3 days" in office.texts()[5]


def test_reminders_go_to_the_billing_addresses_in_the_customers_language(shop: Shop, vps: Vps) -> None:
    with shop.db.unit_of_work() as session:
        account = session.get_one(Account, shop.people.acme.id)
        account.language = "ru"
        account.contacts = [
            AccountContact(kind=ContactKind.BILLING, email=f"{name}@example.org") for name in "ab"
        ]
    office = PostOffice(shop.db, now=run_daily(shop, vps, -10, -10))
    office.run()
    assert [recipient for recipient, _ in office.delivery.sent] == ["a@example.org", "b@example.org"]
    assert "оплачен до" in office.delivery.sent[0][1]["Subject"]


def test_after_an_outage_only_the_step_that_fits_the_day_is_told(shop: Shop, vps: Vps) -> None:
    run_daily(shop, vps, 8, 8)
    assert [(row.event, row.data["days"]) for row in PostOffice(shop.db).mails()] == [("renewal_after", 7)]
