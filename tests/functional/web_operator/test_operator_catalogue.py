"""Products, prices with their renewals, OS templates."""

from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.catalog.models import OsTemplate, Price, Product
from domus.db.engine import Database
from tests.support import builders
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop

PRODUCT = {
    "name": "Advanced VPS", "description": "", "memory_mib": "768", "disk_mib": "30720", "swap_mib": "512", "vcpus": "1",
    "cpu_weight": "256", "cpu_cap_percent": "0", "traffic": "200", "virtualization": "pv", "active": "y",
}  # fmt: skip

TEMPLATE = {
    "name": "debian-12", "title": "Debian 12", "method": "bootstrap", "distribution": "debian", "release": "bookworm",
    "arch": "amd64", "version": "1", "min_disk_mib": "1024", "min_memory_mib": "128", "active": "y",
}  # fmt: skip


def _one(db: Database, model: type[Any]) -> Any:
    with db.reading() as session:
        return session.scalars(sa.select(model).order_by(model.id.desc())).first()


def test_a_product_is_made_as_entered_and_history_knows_who(olga: Visitor, db: Database) -> None:
    answer = olga.post("/operator/products/new/", PRODUCT)
    product = _one(db, Product)
    assert answer.headers["Location"] == f"/operator/products/details/?id={product.id}"
    assert (product.name, product.memory_mib, product.traffic_bytes) == ("Advanced VPS", 768, 200 * 2**30)
    assert product.active
    assert not product.private
    assert "olga@example.com" in _one(db, AuditEvent).actor
    page = text_of(olga.get(answer.headers["Location"]))
    assert "Advanced VPS was made" in page
    assert "it has no price" in page


def test_traffic_that_is_edited_without_a_change_stays_as_it_was(olga: Visitor, db: Database) -> None:
    product = builders.make_product(db, traffic_bytes=2**30 + 2**20)
    body = olga.get(f"/operator/products/edit/?id={product.id}").get_data(as_text=True)
    shown = body.split('id="traffic"')[1].split('value="')[1].split('"')[0]
    olga.post(f"/operator/products/edit/?id={product.id}", PRODUCT | {"traffic": shown})
    assert _one(db, Product).traffic_bytes == 2**30 + 2**20


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "needed"),
        ("name", "x" * 200, "120"),
        ("memory_mib", "lots", "integer"),
        ("memory_mib", "1", "64"),
        ("memory_mib", "9" * 30, "4,194,304"),
        ("disk_mib", "-5", "512"),
        ("vcpus", "0", "1"),
        ("cpu_cap_percent", "200", "cap"),
        ("traffic", "-1", "0 or more"),
        ("traffic", "NaN", "0 or more"),
        ("virtualization", "magic", "Not a valid choice"),
    ],
)
def test_bad_input_is_refused_at_its_field(
    olga: Visitor, db: Database, field: str, value: str, said: str
) -> None:
    page = olga.post("/operator/products/new/", PRODUCT | {field: value}, status=422)
    body = page.get_data(as_text=True)
    assert f'id="{field}-error"' in body
    assert said.replace(",", "") in text_of(page).replace(",", "")
    assert _one(db, Product) is None


def test_a_name_that_is_taken_is_refused(olga: Visitor, db: Database) -> None:
    builders.make_product(db, name="Advanced VPS")
    page = olga.post("/operator/products/new/", PRODUCT, status=422)
    assert 'id="name-error"' in page.get_data(as_text=True)


def test_fields_that_are_not_in_the_form_change_nothing(olga: Visitor, db: Database) -> None:
    olga.post(
        "/operator/products/new/", PRODUCT | {"id": "77", "created_at": "2001-01-01", "traffic_bytes": "5"}
    )
    product = _one(db, Product)
    assert product.id != 77
    assert product.created_at.year > 2001
    assert product.traffic_bytes == 200 * 2**30


def test_prices_and_their_renewals_stand_together_on_the_product(olga: Visitor, db: Database) -> None:
    product = builders.make_product(db)
    new = f"/operator/prices/new/?product_id={product.id}"
    price = {
        "product_id": product.id,
        "period_text": "0000-01-00",
        "currency": "USD",
        "amount": "59",
        "active": "y",
    }
    answer = olga.post(new, price | {"setup_fee": "5.50"})
    assert answer.headers["Location"] == f"/operator/products/details/?id={product.id}"
    order = _one(db, Price)
    assert (order.amount_minor, order.setup_fee_minor, order.renewal_of_id) == (5900, 550, None)
    renewal = price | {"renewal_of_id": order.id, "period_text": "0000-03-00", "amount": "149"}
    olga.post(f"{new}&renewal_of_id={order.id}", renewal)
    assert (_one(db, Price).renewal_of_id, _one(db, Price).amount_minor) == (order.id, 14900)
    page = text_of(olga.get(f"/operator/products/details/?id={product.id}")).partition("Prices and renewals")[
        2
    ]
    assert page.index("59.00 USD") < page.index("↳ renewal") < page.index("149.00 USD")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("period_text", "1 month"),
        ("period_text", "0000-00-00"),
        ("amount", "1,5"),
        ("amount", "59.999"),
        ("setup_fee", "-1"),
    ],
)
def test_a_bad_price_is_refused_at_its_field(olga: Visitor, db: Database, field: str, value: str) -> None:
    product = builders.make_product(db)
    good = {
        "product_id": product.id, "period_text": "0000-01-00", "currency": "USD", "amount": "59", "setup_fee": "0",
    }  # fmt: skip
    page = olga.post(f"/operator/prices/new/?product_id={product.id}", good | {field: value}, status=422)
    assert f'id="{field}-error"' in page.get_data(as_text=True)


def test_a_currency_without_decimals_is_entered_without(olga: Visitor, db: Database) -> None:
    product = builders.make_product(db)
    yen = {
        "product_id": product.id,
        "period_text": "0000-01-00",
        "currency": "JPY",
        "amount": "900",
        "setup_fee": "0",
    }
    olga.post(f"/operator/prices/new/?product_id={product.id}", yen)
    price = _one(db, Price)
    assert price.amount_minor == 900
    body = olga.get(f"/operator/prices/edit/?id={price.id}").get_data(as_text=True)
    assert 'name="amount" required type="text" value="900"' in body


def test_a_price_cannot_be_moved_to_another_product_by_a_crafted_form(olga: Visitor, db: Database) -> None:
    price = builders.make_product_with_price(db)
    other = builders.make_product(db)
    edited = {
        "product_id": other.id,
        "period_text": "0000-01-00",
        "currency": "USD",
        "amount": "12",
        "setup_fee": "0",
    }
    olga.post(f"/operator/prices/edit/?id={price.id}", edited)
    assert (_one(db, Price).product_id, _one(db, Price).amount_minor) == (price.product_id, 1200)


def test_a_price_needs_a_product_that_is_there(olga: Visitor, db: Database) -> None:
    price = builders.make_product_with_price(db)
    other = builders.make_product(db)
    for query in ("", "?product_id=999", "?product_id=x", f"?product_id={other.id}&renewal_of_id={price.id}"):
        olga.get(f"/operator/prices/new/{query}", status=404)


def test_what_was_sold_is_not_deleted_and_says_what_to_do_instead(
    olga: Visitor, db: Database, shop: Shop, people: People
) -> None:
    shop.paid(people.alice)
    for path in (
        f"products/delete/?id={shop.price.product_id}",
        f"prices/delete/?id={shop.price.id}",
        f"templates/delete/?id={shop.template.id}",
    ):
        assert "?" in text_of(olga.get(f"/operator/{path}"))
        page = olga.post(f"/operator/{path}", status=409)
        assert "deactivate it" in text_of(page)
    assert _one(db, Product) is not None


def test_what_was_never_sold_is_deleted(olga: Visitor, db: Database) -> None:
    price = builders.make_product_with_price(db)
    template = builders.make_template(db)
    assert olga.get(f"/operator/products/delete/?id={price.product_id}").status_code == 200
    assert _one(db, Product) is not None, "a GET deletes nothing"
    olga.post(f"/operator/prices/delete/?id={price.id}")
    olga.post(f"/operator/products/delete/?id={price.product_id}")
    olga.post(f"/operator/templates/delete/?id={template.id}")
    assert [_one(db, m) for m in (Product, Price, OsTemplate)] == [None, None, None]


def test_a_template_is_made_and_edited(olga: Visitor, db: Database) -> None:
    olga.post("/operator/templates/new/", TEMPLATE)
    template = _one(db, OsTemplate)
    olga.post(f"/operator/templates/edit/?id={template.id}", TEMPLATE | {"method": "image", "active": ""})
    assert (_one(db, OsTemplate).method.value, _one(db, OsTemplate).active) == ("image", False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../etc"),
        ("name", "Debian 12"),
        ("release", "$(id)"),
        ("arch", "vax"),
        ("method", "by hand"),
    ],
)
def test_a_template_that_could_not_be_installed_is_refused_at_its_field(
    olga: Visitor, db: Database, field: str, value: str
) -> None:
    page = olga.post("/operator/templates/new/", TEMPLATE | {field: value}, status=422)
    assert f'id="{field}-error"' in page.get_data(as_text=True)
    assert _one(db, OsTemplate) is None


def test_names_are_shown_as_text_whatever_is_in_them(olga: Visitor, db: Database) -> None:
    name = "<script>alert(1)</script> {{ 7*7 }}"
    product = builders.make_product(db, name=name)
    for path in ("", f"details/?id={product.id}", f"edit/?id={product.id}", f"delete/?id={product.id}"):
        body = olga.get(f"/operator/products/{path}").get_data(as_text=True)
        assert "<script>alert" not in body
        assert "49" not in text_of(olga.get(f"/operator/products/{path}")).replace("491", "")
