"""Renewals of VPSs whose dom0 is lost: nobody's card is charged, and what is paid all the same is said."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.db.engine import Database
from domus.gateways.models import SavedMethod
from domus.inventory.models import Dom0, Dom0State
from domus.renewals import queries
from domus.renewals.prices import price_list
from domus.vps.models import Vps
from tests.support.builders import NOW
from tests.support.contracts import contract, due, pay, run
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(any_db: Database) -> Shop:
    return make_shop(any_db)


def lose(shop: Shop, state: Dom0State = Dom0State.LOST) -> None:
    with shop.db.unit_of_work() as session:
        session.execute(sa.update(Dom0).values(state=state))


def to_charge(shop: Shop, vps: Vps) -> int:
    with shop.db.reading() as session:
        question = queries.to_charge(price_list(session), due(shop, vps).date(), days_before=1)
        return len(session.execute(question).all())


def test_no_card_is_charged_for_a_vps_that_has_no_machine(shop):
    vps = shop.active()
    with shop.db.unit_of_work() as session:
        session.add(
            SavedMethod(
                account_id=shop.people.acme.id, gateway="stripe", customer="cus_1", method="pm_1", label="Visa 4242",
                created_at=NOW,
            )
        )  # fmt: skip
    run(shop, due(shop, vps, -5))
    assert to_charge(shop, vps) == 1
    lose(shop)
    assert to_charge(shop, vps) == 0
    lose(shop, Dom0State.ACTIVE)
    assert to_charge(shop, vps) == 1


def test_a_payment_for_one_stands_in_the_history(shop):
    vps = shop.active()
    until = contract(shop, vps).paid_until
    run(shop, due(shop, vps, -5))
    lose(shop)
    pay(shop, vps, now=due(shop, vps, -5))
    assert contract(shop, vps).paid_until > until
    with shop.db.reading() as session:
        said = session.scalars(
            sa.select(AuditEvent.reason).where(AuditEvent.action == "renewal.paid_for_lost")
        )
        assert said.all() == ["its dom0 is lost"]
