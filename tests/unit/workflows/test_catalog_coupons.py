"""Coupons in the catalogue's file: out and in again changes nothing, and what is wrong is said with its place."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
import yaml

from domus.core.errors import InvalidInput
from domus.coupons.models import Coupon
from domus.db.engine import Database
from domus.workflows import catalog_export, catalog_import
from tests.support.builders import NOW, make_product_with_price
from tests.support.coupons import make_coupon, used
from tests.support.order_shop import make_shop
from tests.support.people import People, make_people


def export(db: Database, people: People) -> str:
    return catalog_export.export(db, actor=people.as_olga)


def bring_in(db: Database, people: People, text: str) -> list[str]:
    return list(
        catalog_import.bring_in(db, text=text, fingerprint=None, actor=people.as_olga, now=NOW).changes
    )


def test_out_and_in_again_changes_nothing_and_uses_stay(db):
    shop = make_shop(db)
    make_coupon(db, max_uses=5, valid_until=date(2026, 12, 31), product_ids=[shop.price.product_id])
    make_coupon(db, "FIVER", amounts={"EUR": 500, "JPY": 800}, payments=None, periods=["0001-00-00"])
    shop.order(coupon="SPRING")
    text = export(db, shop.people)
    assert bring_in(db, shop.people, text) == []
    assert export(db, shop.people) == text
    assert used(db) == 1
    first, second = yaml.safe_load(text)["coupons"]
    assert (first["percent"], first["products"]) == ("20", [shop.price.product.name])
    assert second["amounts"] == {"EUR": "5.00", "JPY": "800"}


def test_a_file_makes_and_changes_coupons(db):
    people = make_people(db)
    make_product_with_price(db, name="Small")
    text = "coupons:\n- {code: spring, percent: 12.5, products: [Small], payments: null}\n"
    assert bring_in(db, people, text) == ["Add coupon SPRING."]
    changed = bring_in(db, people, "coupons:\n- {code: SPRING, amounts: {EUR: 5}}\n")
    assert "amounts" in changed[0]
    assert "is not in the file" not in " ".join(changed)
    with db.reading() as session:
        coupon = session.scalars(sa.select(Coupon)).one()
        assert (coupon.millipercent, coupon.amounts, coupon.payments) == (0, {"EUR": 500}, None)
        assert len(coupon.product_ids) == 1


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{code: A B, percent: 5}", "2 to 40 letters"),
        ("{code: SPRING}", "enter one of the two"),
        ("{code: SPRING, percent: 5, products: [Nothing]}", "no product 'Nothing'"),
        ("{code: SPRING, percent: 5, products: 7}", "no list of names"),
        ("{code: SPRING, amounts: 5}", "no map of currencies"),
        ("{code: SPRING, percent: 5, valid_until: 'soon'}", "is no day"),
        ("{code: SPRING, percent: 5, max_uses: many}", "whole number"),
        ("{code: SPRING, percent: 5, used: 3}", "'used' is not known"),
    ],
)
def test_what_is_wrong_is_said(db, entry, said):
    people = make_people(db)
    with pytest.raises(InvalidInput, match=said):
        bring_in(db, people, f"coupons:\n- {entry}\n")
