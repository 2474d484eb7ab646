"""What operators enter about what is sold is checked, and recorded."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from domus.accounts.models import AuditEvent
from domus.billing.models import Order
from domus.catalog import queries
from domus.catalog.models import InstallMethod, OsTemplate, Price, Product
from domus.core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from domus.db.engine import Database
from domus.workflows import catalog
from domus.workflows.catalog import PriceFields, ProductFields, TemplateFields
from tests.support.builders import NOW, make_price, make_product, make_product_with_price, make_template
from tests.support.people import People, make_people

PRODUCT = ProductFields(name="Advanced VPS", memory_mib=768, disk_mib=30_720, traffic_bytes=204_800 * 2**20)
TEMPLATE = TemplateFields(
    name="debian-12", title="Debian 12", method=InstallMethod.BOOTSTRAP, release="bookworm"
)


def price_of(product: Product, **changes: object) -> PriceFields:
    fields = PriceFields(product_id=product.id, period_text="0000-01-00", currency="USD", amount_minor=5900)
    return replace(fields, **changes)  # type: ignore[arg-type]


def count(db: Database, model: type) -> int:
    with db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def order_at(db: Database, price: Price, people: People) -> None:
    with db.unit_of_work() as session:
        session.add(
            Order(
                number=1,
                account_id=people.acme.id,
                price_id=price.id,
                request_token="1",
                placed_at=NOW,
                hold_until=NOW,
            )
        )


def test_a_product_is_saved_and_then_changed(db: Database, people: People) -> None:
    product = catalog.save_product(db, product_id=None, fields=PRODUCT, actor=people.as_olga, now=NOW)
    assert (product.name, product.memory_mib, product.created_at) == ("Advanced VPS", 768, NOW)
    larger = replace(PRODUCT, memory_mib=1024)
    changed = catalog.save_product(db, product_id=product.id, fields=larger, actor=people.as_olga, now=NOW)
    assert (changed.id, changed.memory_mib) == (product.id, 1024)
    with db.reading() as session:
        created, edited = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.id)).all()
    assert (created.action, edited.action) == ("product.created", "product.changed")
    assert edited.details == {"memory_mib": [768, 1024]}


def test_saving_what_is_there_already_records_nothing(db: Database, people: People) -> None:
    product = catalog.save_product(db, product_id=None, fields=PRODUCT, actor=people.as_olga, now=NOW)
    catalog.save_product(db, product_id=product.id, fields=PRODUCT, actor=people.as_olga, now=NOW)
    assert count(db, AuditEvent) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 121),
        ("name", "two\nlines"),
        ("memory_mib", 63),
        ("memory_mib", 4_194_305),
        ("disk_mib", 511),
        ("swap_mib", -1),
        ("vcpus", 0),
        ("cpu_weight", 65_536),
        ("cpu_cap_percent", 101),
        ("traffic_bytes", -1),
        ("memory_mib", 512.5),
        ("memory_mib", True),
    ],
)
def test_a_product_that_cannot_be_is_refused_with_its_field(
    db: Database, people: People, field: str, value: object
) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalog.save_product(
            db,
            product_id=None,
            fields=replace(PRODUCT, **{field: value}),  # type: ignore[arg-type]
            actor=people.as_olga,
            now=NOW,
        )
    assert caught.value.field == field
    assert count(db, Product) == 0


def test_two_products_cannot_share_a_name(db: Database, people: People) -> None:
    catalog.save_product(db, product_id=None, fields=PRODUCT, actor=people.as_olga, now=NOW)
    with pytest.raises(InvalidInput, match="taken already"):
        catalog.save_product(db, product_id=None, fields=PRODUCT, actor=people.as_olga, now=NOW)


def test_what_is_not_there_cannot_be_changed(db: Database, people: People) -> None:
    with pytest.raises(NotFound, match="no such product"):
        catalog.save_product(db, product_id=7, fields=PRODUCT, actor=people.as_olga, now=NOW)


def test_customers_edit_nothing(db: Database, people: People) -> None:
    product = make_product(db)
    with pytest.raises(NotAllowed):
        catalog.save_product(db, product_id=product.id, fields=PRODUCT, actor=people.as_alice, now=NOW)
    with pytest.raises(NotAllowed):
        catalog.delete_product(db, product_id=product.id, actor=people.as_alice, now=NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("product_id", 99),
        ("period_text", "one month"),
        ("period_text", "0000-00-00"),
        ("period_text", "0011-00-00"),
        ("currency", "XXX"),
        ("amount_minor", -1),
        ("amount_minor", 0),
        ("amount_minor", 10**12 + 1),
        ("setup_fee_minor", -1),
        ("renewal_of_id", 99),
    ],
)
def test_a_price_that_cannot_be_is_refused_with_its_field(
    db: Database, people: People, field: str, value: object
) -> None:
    fields = price_of(make_product(db), **{field: value})
    with pytest.raises(InvalidInput) as caught:
        catalog.save_price(db, price_id=None, fields=fields, actor=people.as_olga, now=NOW)
    assert caught.value.field == field


def test_renewals_are_of_the_same_product_and_currency_and_have_no_set_up_fee(
    db: Database, people: People
) -> None:
    product, other = make_product(db), make_product_with_price(db)
    price = make_price(db, product)

    def save(**changes: object) -> Price:
        fields = price_of(product, **changes)
        return catalog.save_price(db, price_id=None, fields=fields, actor=people.as_olga, now=NOW)

    renewal = save(renewal_of_id=price.id, period_text="0000-03-00")
    assert renewal.renewal_of_id == price.id
    for wrong in (
        {"renewal_of_id": price.id, "setup_fee_minor": 100},
        {"renewal_of_id": other.id},
        {"renewal_of_id": price.id, "currency": "EUR"},
        {"renewal_of_id": renewal.id},
    ):
        with pytest.raises(InvalidInput):
            save(**wrong)


def test_a_price_with_renewals_cannot_become_one(db: Database, people: People) -> None:
    product = make_product(db)
    price, second = make_price(db, product), make_price(db, product)
    make_price(db, product, renewal_of_id=price.id)
    for wrong in (second.id, price.id):
        with pytest.raises(InvalidInput):
            catalog.save_price(
                db,
                price_id=price.id,
                fields=price_of(product, renewal_of_id=wrong),
                actor=people.as_olga,
                now=NOW,
            )


def test_the_terms_of_a_price_stay_once_something_was_ordered_at_it(db: Database, people: People) -> None:
    price = make_product_with_price(db)
    fields = price_of(price.product, amount_minor=1200, active=False)
    order_at(db, price, people)
    saved = catalog.save_price(db, price_id=price.id, fields=fields, actor=people.as_olga, now=NOW)
    assert (saved.amount_minor, saved.active) == (1200, False)
    for terms in ({"period_text": "0000-02-00"}, {"currency": "EUR"}):
        with pytest.raises(Conflict, match="Deactivate it and add another"):
            catalog.save_price(
                db, price_id=price.id, fields=replace(fields, **terms), actor=people.as_olga, now=NOW
            )


def test_a_product_that_was_never_ordered_is_deleted_with_its_prices(db: Database, people: People) -> None:
    price = make_product_with_price(db)
    make_price(db, price.product, renewal_of_id=price.id)
    catalog.delete_product(db, product_id=price.product_id, actor=people.as_olga, now=NOW)
    assert (count(db, Product), count(db, Price)) == (0, 0)


def test_what_is_in_use_is_not_deleted(any_db: Database) -> None:
    people = make_people(any_db)
    price = make_product_with_price(any_db)
    renewal = make_price(any_db, price.product, renewal_of_id=price.id)
    with pytest.raises(Conflict, match="deactivate it instead"):
        catalog.delete_price(any_db, price_id=price.id, actor=people.as_olga, now=NOW)
    with any_db.reading() as session:
        assert session.get_one(Price, renewal.id).renewal_of_id == price.id
    order_at(any_db, price, people)
    with pytest.raises(Conflict, match="deactivate it instead"):
        catalog.delete_product(any_db, product_id=price.product_id, actor=people.as_olga, now=NOW)
    assert count(any_db, Price) == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../etc/passwd"),
        ("name", "Debian"),
        ("name", "a..b"),
        ("name", "-x"),
        ("name", "x"),
        ("name", "a b"),
        ("name", "a;id"),
        ("title", ""),
        ("distribution", "--help"),
        ("release", "bookworm;id"),
        ("release", ""),
        ("version", "../1"),
        ("arch", "pdp11"),
        ("min_disk_mib", -1),
        ("min_memory_mib", -1),
    ],
)
def test_a_template_that_cannot_be_is_refused_with_its_field(
    db: Database, people: People, field: str, value: object
) -> None:
    with pytest.raises(InvalidInput) as caught:
        catalog.save_template(
            db,
            template_id=None,
            fields=replace(TEMPLATE, **{field: value}),  # type: ignore[arg-type]
            actor=people.as_olga,
            now=NOW,
        )
    assert caught.value.field == field
    assert count(db, OsTemplate) == 0


def test_a_template_is_saved_and_deleted(db: Database, people: People) -> None:
    template = catalog.save_template(db, template_id=None, fields=TEMPLATE, actor=people.as_olga, now=NOW)
    assert template.name == "debian-12"
    catalog.delete_template(db, template_id=template.id, actor=people.as_olga, now=NOW)
    assert count(db, OsTemplate) == 0


def test_only_what_can_be_ordered_is_for_sale(db: Database) -> None:
    small = make_product_with_price(db, memory_mib=256)
    large = make_product_with_price(db, memory_mib=1024)
    private = make_product_with_price(db, memory_mib=2048, private=True)
    make_product_with_price(db, active=False)
    make_price(db, small.product, active=False)
    renewal = make_price(db, small.product, renewal_of_id=small.id)
    with db.reading() as session:
        assert [price.id for price in queries.sellable_prices(session)] == [small.id, large.id]
        with_private = queries.sellable_prices(session, include_private=True)
        assert [price.id for price in with_private] == [small.id, large.id, private.id]
        assert [price.id for price in queries.renewal_prices(session, small)] == [renewal.id]
        assert [price.id for price in queries.renewal_prices(session, large)] == [large.id]


def test_only_templates_that_fit_are_offered(db: Database) -> None:
    product = make_product(db, memory_mib=256, disk_mib=2048)
    fits = make_template(db, min_memory_mib=256, min_disk_mib=2048)
    make_template(db, min_memory_mib=257)
    make_template(db, min_disk_mib=2049)
    make_template(db, active=False)
    with db.reading() as session:
        assert [template.id for template in queries.templates_for(session, product)] == [fits.id]


@pytest.mark.parametrize("amount", [-1, 10**9 + 1, 10**40])
@pytest.mark.parametrize("field", ["amount_minor", "setup_fee_minor"])
def test_a_price_that_nobody_sells_at_is_refused_at_its_field(
    db: Database, people: People, field: str, amount: int
) -> None:
    fields = price_of(make_product(db), **{field: amount})
    with pytest.raises(InvalidInput, match="is no price; allowed is 0 to") as refused:
        catalog.save_price(db, price_id=None, fields=fields, actor=people.as_olga, now=NOW)
    assert refused.value.field == field


def test_of_one_period_and_currency_one_price_is_on_sale(db: Database, people: People) -> None:
    product = make_product(db)
    first = catalog.save_price(db, price_id=None, fields=price_of(product), actor=people.as_olga, now=NOW)
    with pytest.raises(InvalidInput, match=f"Price {first.id} is on sale for this period in USD already"):
        catalog.save_price(db, price_id=None, fields=price_of(product), actor=people.as_olga, now=NOW)
    off = price_of(product, active=False)
    catalog.save_price(db, price_id=first.id, fields=off, actor=people.as_olga, now=NOW)
    catalog.save_price(db, price_id=None, fields=price_of(product), actor=people.as_olga, now=NOW)
    other = price_of(product, currency="EUR")
    catalog.save_price(db, price_id=None, fields=other, actor=people.as_olga, now=NOW)
    assert count(db, Price) == 3
