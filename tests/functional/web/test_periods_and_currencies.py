"""A product with several prices: each can be chosen, ordered and renewed; what cannot be had says why."""

from __future__ import annotations

import sqlalchemy as sa

from domus.billing.models import Order
from domus.catalog.models import OsTemplate, Product
from domus.db.engine import Database
from domus.inventory.models import Dom0
from tests.support import builders
from tests.support.panel import SSH_KEY, Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


def said(visitor: Visitor, path: str) -> str:
    return text_of(visitor.get(path)).replace("\N{NO-BREAK SPACE}", " ")


def test_each_period_and_currency_of_a_product_is_offered(db: Database, shop: Shop, alice: Visitor) -> None:
    builders.make_price(db, shop.price.product, period_text="0001-00-00", amount_minor=10_000)
    builders.make_price(db, shop.price.product, currency="JPY", amount_minor=1500)
    page = said(alice, "/orders/new")
    for fact in (
        "10.00 USD",
        "VPS Small, 1 year",
        "100.00 USD",
        "1,500 JPY",
        "renews at 9.00 USD for 1 month",
    ):
        assert fact in page, fact
    home = said(alice, "/")
    assert "for 1 year in USD" in home
    assert "for 1 month in JPY" in home


def test_prices_can_be_shown_in_one_currency_alone(db: Database, shop: Shop, alice: Visitor) -> None:
    builders.make_price(db, shop.price.product, currency="JPY", amount_minor=1500)
    assert "10.00 USD" not in said(alice, "/orders/new?currency=JPY")
    for other in ("XXX", "", "'; --"):
        assert "10.00 USD" in said(alice, f"/orders/new?currency={other}")


def test_a_year_in_another_currency_is_ordered_without_javascript_and_can_be_renewed(
    db: Database, shop: Shop, people: People, alice: Visitor
) -> None:
    year = builders.make_price(
        db, shop.price.product, period_text="0001-00-00", currency="JPY", amount_minor=15_000
    )
    builders.make_price(
        db,
        shop.price.product,
        period_text="0001-02-03",
        currency="JPY",
        amount_minor=17_000,
        renewal_of_id=year.id,
    )
    form = {
        "request_token": alice.request_token(), "price_id": year.id, "location_id": shop.location.id,
        "template_id": shop.template.id, "hostname": "www.example.org", "ssh_keys": SSH_KEY,
        "root_password": "", "root_password_again": "",
    }  # fmt: skip
    where = alice.post("/orders/new", form).location
    assert "To pay 15,000 JPY" in said(alice, where)
    delivered = shop.delivered(people.alice, hostname="year.example.org", price_id=year.id)
    page = said(alice, f"/vps/{shop.vps(delivered).id}")
    assert "17,000 JPY for 1 year, 2 months, 3 days" in page


def test_what_is_sold_out_says_so(db: Database, shop: Shop, alice: Visitor) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(Dom0).values(memory_capacity_mib=100))
    assert "Sold out at the moment: there is no room for it anywhere." in said(alice, "/orders/new")


def test_what_no_system_fits_into_says_so(db: Database, shop: Shop, alice: Visitor) -> None:
    with db.unit_of_work() as session:
        session.execute(sa.update(OsTemplate).values(min_memory_mib=4096))
    assert "no operating system on offer fits into it" in said(alice, "/orders/new")


def test_the_operator_reads_what_is_in_the_way_of_a_product(db: Database, shop: Shop, olga: Visitor) -> None:
    path = f"/operator/products/details/?id={shop.price.product_id}"
    assert "Can it be ordered now? Yes." in said(olga, path)
    builders.make_location(db, name="Nowhere")
    page = said(olga, path)
    assert "Nowhere 0 no dom0 takes new VPSs; no IPv4 address is free" in page
    with db.unit_of_work() as session:
        session.execute(sa.update(Dom0).values(memory_capacity_mib=100, vcpus_capacity=0))
        session.execute(sa.update(Product).values(private=True))
    page = said(olga, path)
    assert "No. It is private: only operators sell it." in page
    assert "no dom0 has enough left (memory, vCPUs)" in page
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 0
