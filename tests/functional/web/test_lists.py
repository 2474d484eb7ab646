"""Invoices, lists over pages, and how many statements a page takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from domus.db.engine import Database
from domus.placement import queries as placement
from domus.placement.choose import Need
from domus_web import pagination
from domus_web.customer import availability
from tests.support import builders
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop, open_shop


@contextmanager
def _counted(db: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)


def test_an_invoice_shows_its_lines_total_number_and_payment(
    shop: Shop, people: People, alice: Visitor
) -> None:
    order = shop.paid(people.alice)
    said = text_of(alice.get(f"/invoices/{order.invoice.id}")).replace("\N{NO-BREAK SPACE}", " ")
    for fact in (
        f"Invoice {order.invoice.number}",
        "Example Hosting",
        "Acme",
        "12.50 USD",
        "Paid",
        "Received: 12.50 USD",
    ):
        assert fact in said, fact
    assert order.invoice.number


def test_an_open_invoice_has_no_number(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.order(people.alice)
    assert "It gets its number when it is paid." in text_of(alice.get(f"/invoices/{order.invoice.id}"))


def test_who_has_nothing_is_told_so_on_every_list(alice: Visitor) -> None:
    assert "No orders" in text_of(alice.get("/orders"))
    assert "No invoices" in text_of(alice.get("/invoices"))


@pytest.mark.parametrize("path", ["/vps", "/orders", "/invoices"])
def test_long_lists_come_in_pages(
    shop: Shop, people: People, alice: Visitor, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosts = [f"host{number}.example.org" for number in range(3)]
    orders = [shop.order(people.alice, hostname=host) for host in hosts]
    monkeypatch.setattr(pagination.paginate, "__kwdefaults__", {"size": 2})
    first, second = alice.get(path), alice.get(f"{path}?page=2")
    assert "Older" in text_of(first)
    assert "Newer" not in text_of(first)
    assert "Older" not in text_of(second)
    assert "Newer" in text_of(second)
    assert len(orders) == 3


def test_no_page_reads_more_for_more_rows(db: Database, people: People, alice: Visitor) -> None:
    shop = open_shop(db, memory_capacity_mib=65536, vcpus_capacity=64)
    order = shop.delivered(people.alice)
    vps = shop.vps(order)
    paths = (
        "/", "/vps", "/orders", "/orders/new", "/invoices", f"/orders/{order.id}", f"/orders/{order.id}/progress",
        f"/vps/{vps.id}", f"/vps/{vps.id}/state", f"/vps/{vps.id}/console", f"/invoices/{order.invoice.id}", "/account",
    )  # fmt: skip
    alice.get("/account")  # the session is marked as seen once a minute
    few = _measured(db, alice, paths)
    for number in range(9):
        shop.delivered(people.alice, hostname=f"host{number}.example.org")
        builders.make_product_with_price(db)
        builders.make_location(db)
    many = _measured(db, alice, paths)
    assert many == few
    assert max(many.values()) <= 16, many


def _measured(db: Database, visitor: Visitor, paths: tuple[str, ...]) -> dict[str, int]:
    numbers = {}
    for path in paths:
        with _counted(db) as statements:
            visitor.get(path)
        numbers[path] = sum(not s.startswith(("BEGIN", "PRAGMA")) for s in statements)
    return numbers


def test_what_pages_call_free_is_what_placement_would_sell(any_db: Database) -> None:
    small = builders.make_product(any_db)
    large = builders.make_product(any_db, memory_mib=4096, disk_mib=81_920, vcpus=4)
    full = builders.make_location(any_db)
    roomy = builders.make_location(any_db)
    builders.make_location(any_db)
    builders.make_dom0(any_db, full, memory_capacity_mib=600)
    builders.make_dom0(any_db, roomy, vcpus_capacity=9)
    builders.make_dom0(any_db, roomy, disk_capacity_mib=100_000)
    builders.make_dom0(any_db, roomy, state="draining")
    builders.make_pool_with_addresses(any_db, full, "192.0.2.0/24", count=10)
    builders.make_pool_with_addresses(any_db, roomy, "198.51.100.0/24", count=6)
    builders.make_pool_with_addresses(any_db, roomy, "203.0.113.0/24", count=6, active=False)
    with any_db.reading() as session:
        shown = availability.free_places(session, [small, large])
        for product in (small, large):
            need = Need(memory_mib=product.memory_mib, disk_mib=product.disk_total_mib, vcpus=product.vcpus)
            sold = placement.free_places(session, need)
            assert {free.location.id: free.places for free in shown[product.id]} == {
                free.location.id: sold.get(free.location.id, 0) for free in shown[product.id]
            }
        assert {free.places for free in shown[small.id]} == {0, 1, 6}
