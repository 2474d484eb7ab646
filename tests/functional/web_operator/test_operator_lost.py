"""VPSs that are paid for and whose dom0 is lost stand on the dashboard until somebody has seen to them."""

from __future__ import annotations

import sqlalchemy as sa

from domus.db.engine import Database
from domus.inventory.models import Dom0, Dom0State
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

WORDS = "VPSs paid for on lost dom0s"


def test_they_are_counted_and_listed(olga: Visitor, db: Database, shop: Shop, people: People) -> None:
    shop.delivered(people.alice)
    assert WORDS not in text_of(olga.get("/operator/"))
    assert "www.example.org" not in text_of(olga.get("/operator/vps/?trouble=lost"))
    with db.unit_of_work() as session:
        session.execute(sa.update(Dom0).values(state=Dom0State.LOST))
    page = olga.get("/operator/")
    assert f"1 {WORDS}" in text_of(page)
    assert "trouble=lost" in page.get_data(as_text=True)
    assert "www.example.org" in text_of(olga.get("/operator/vps/?trouble=lost"))
