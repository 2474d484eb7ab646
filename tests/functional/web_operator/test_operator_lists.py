"""What every list does: it is quick, it is searched and paged through by index, and says what to do when it is empty."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from domus.db.engine import Database
from domus.inventory.models import IpAddress
from domus_web.operator import view
from tests.support import builders
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

#: How many statements a page of each may cost; one of them asks who is logged in.
LISTS = {
    "contracts": 6, "renewal-days": 2,
    "vps": 5, "orders": 3, "jobs": 2, "accounts": 2, "users": 2, "dom0s": 2, "locations": 2, "pools": 3, "addresses": 3,
    "products": 3, "prices": 2, "templates": 2, "invoices": 2, "payments": 2, "ledger": 3, "audit": 2,
    "messages": 2, "runs": 2, "transfers": 2, "attempts": 2, "gateway-events": 2, "refusals": 2, "refunds": 2, "disputes": 2,
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_says_what_to_do_next(olga: Visitor, name: str) -> None:
    page = text_of(olga.get(f"/operator/{name}/"))
    if name not in ("users", "accounts", "audit"):
        assert "yet" in page


@pytest.mark.parametrize("name", LISTS)
def test_a_search_without_a_match_says_so(olga: Visitor, shop: Shop, name: str) -> None:
    for nonsense in ("zzz", "'; DROP TABLE vps; --", "%", "\x00\x01", "🙂" * 200, "99999999999999999999"):
        olga.get(f"/operator/{name}/", query_string={"search": nonsense})


@pytest.mark.parametrize("name", LISTS)
def test_nonsense_in_the_address_is_passed_over(olga: Visitor, shop: Shop, name: str) -> None:
    arguments = {
        "sort": "x",
        "desc": "y",
        "page": "-1",
        "page_size": "10000000",
        "after": "\x00",
        "state": "nonsense",
    }
    olga.get(f"/operator/{name}/", query_string=arguments)
    olga.get(
        f"/operator/{name}/", query_string={"sort": "99", "before": "999999", "account": "x", "dom0": "x"}
    )


@pytest.fixture
def busy_shop(shop: Shop, people: People) -> Shop:
    """Offer a shop with a dozen orders in every state."""
    for number in range(4):
        shop.delivered(people.alice, hostname=f"web{number}.example.org")
        shop.order(people.charlie, hostname=f"shop{number}.example.net")
        shop.failed(people.alice)
    return shop


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_a_fixed_few_statements(
    olga: Visitor, busy_shop: Shop, statements: Any, name: str
) -> None:
    with statements() as seen:
        olga.get(f"/operator/{name}/")
    assert len(seen) <= LISTS[name], "\n".join(seen)
    assert not any("count(*)" in s.lower() and "group by" not in s.lower() for s in seen)


def test_the_dashboard_costs_a_fixed_few_statements(olga: Visitor, busy_shop: Shop, statements: Any) -> None:
    with statements() as seen:
        olga.get("/operator/")
    assert len(seen) <= 14, "\n".join(seen)


def test_the_page_of_a_vps_costs_a_fixed_few_statements(
    olga: Visitor, busy_shop: Shop, people: People, statements: Any
) -> None:
    vps = busy_shop.vps(busy_shop.delivered(people.alice, hostname="one.example.org"))
    with statements() as seen:
        page = olga.get(f"/operator/vps/details/?id={vps.id}")
    assert "one.example.org" in text_of(page)
    assert len(seen) <= 8, "\n".join(seen)


def _rows(olga: Visitor, path: str) -> Iterator[tuple[list[str], str | None]]:
    """Walk through a list by its own links; yield the first column of each page and the link back."""
    url: str | None = path
    while url:
        body = olga.get(url).get_data(as_text=True)
        back = re.search(r'rel="prev" href="([^"]+)"', body)
        yield re.findall(r'class="row-link"[^>]*>([^<]+)<', body), back and back[1].replace("&amp;", "&")
        further = re.search(r'rel="next" href="([^"]+)"', body)
        url = further and further[1].replace("&amp;", "&")


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lists have seven rows a page."""
    monkeypatch.setattr(view.OperatorView, "page_size", 7)


@pytest.mark.usefixtures("small_pages")
def test_paging_forth_and_back_shows_every_row_once(olga: Visitor, db: Database) -> None:
    place = builders.make_location(db)
    builders.make_pool_with_addresses(db, place, count=60)
    pages = list(_rows(olga, "/operator/addresses/"))
    seen = [address for rows, _ in pages for address in rows]
    assert len(seen) == len(set(seen)) == 60
    assert pages[0][1] is None
    last_back = pages[-1][1]
    assert last_back is not None
    (rows, _), *_ = _rows(olga, last_back)
    assert rows == pages[-2][0]


def test_addresses_of_a_pool_stand_in_their_own_order(olga: Visitor, db: Database) -> None:
    place = builders.make_location(db)
    pool = builders.make_pool(db, place)
    with db.unit_of_work() as session:
        for position in (100, 9, 20):
            session.add(IpAddress(pool_id=pool.id, address=f"192.0.2.{position}", position=position))
    ((rows, _),) = _rows(olga, f"/operator/addresses/?pool={pool.id}")
    assert rows == ["192.0.2.9", "192.0.2.20", "192.0.2.100"]


def test_a_list_is_sorted_both_ways_and_stays_so_on_the_next_page(olga: Visitor, db: Database) -> None:
    for name in ("b", "c", "a"):
        builders.make_location(db, name=name)
    for desc, order in (("", ["a", "b", "c"]), ("1", ["c", "b", "a"])):
        ((rows, _),) = _rows(olga, f"/operator/locations/?sort=0&desc={desc}")
        assert rows == order


@pytest.mark.usefixtures("small_pages")
def test_links_are_made_of_the_filters_and_of_nothing_else_in_the_address(
    olga: Visitor, db: Database
) -> None:
    builders.make_pool_with_addresses(db, builders.make_location(db), count=20)
    query = {
        "_scheme": "javascript",
        "_external": "1",
        "_anchor": "x",
        "stray": "y",
        "state": "free",
        "sort": "0",
    }
    for name in ("addresses", "locations"):
        body = olga.get(f"/operator/{name}/", query_string=query).get_data(as_text=True)
        assert "javascript" not in body
        assert "stray" not in body
    further = re.search(
        r'rel="next" href="([^"]+)"', olga.get("/operator/addresses/?state=free").get_data(as_text=True)
    )
    assert further is not None
    assert "state=free" in further[1]
