"""What staff did to a customer's VPS is shown to the customer; who of the staff did it is not."""

from __future__ import annotations

from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.workflows import power
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


def test_a_customer_reads_that_it_was_the_operator_and_no_name(
    db: Database, shop: Shop, people: People, alice: Visitor, olga: Visitor
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    power.shutdown(db, vps_id=vps.id, actor=people.as_olga, now=utc_now())
    said = text_of(alice.get(f"/vps/{vps.id}"))
    assert "the operator" in said
    assert "olga" not in said
    assert "olga@example.com" in text_of(olga.get("/operator/audit/"))
