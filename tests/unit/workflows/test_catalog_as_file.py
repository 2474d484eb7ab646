"""The catalogue as a file: out and in again changes nothing; what would change is said before it is done."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domus.accounts.models import AuditEvent
from domus.catalog.models import Addon, AddonKind, Price, Product
from domus.core.errors import Conflict, InvalidInput, NotAllowed
from domus.db.engine import Database
from domus.inventory.models import AddressState, IpAddress
from domus.mail.models import MailTemplate
from domus.workflows import addons, catalog, catalog_export, catalog_import, mail_templates, seeding
from domus.workflows.renewals import terms
from tests.support import builders
from tests.support.builders import NOW
from tests.support.people import People, make_people


def export(db: Database, people: People) -> str:
    return catalog_export.export(db, actor=people.as_olga)


def look(db: Database, people: People, text: str) -> catalog_import.Difference:
    return catalog_import.difference(db, text=text, actor=people.as_olga, now=NOW)


def bring_in(
    db: Database, people: People, text: str, fingerprint: str | None = None
) -> catalog_import.Difference:
    return catalog_import.bring_in(db, text=text, fingerprint=fingerprint, actor=people.as_olga, now=NOW)


def changed(text: str, change: Any) -> str:
    document = yaml.safe_load(text)
    change(document)
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


@pytest.fixture
def full(any_db: Database, people_any: People) -> Database:
    """Offer the sample with everything in it that a catalogue can have."""
    db, olga = any_db, people_any.as_olga
    seeding.seed(db, actor=olga, now=NOW)
    with db.reading() as session:
        product = session.scalars(sa.select(Product).order_by(Product.id)).first()
        assert product is not None
    odd = dataclasses.replace(
        catalog.ProductFields(name="Größe: \"S\" #1", memory_mib=64, disk_mib=512),
        traffic_bytes=2**20 + 1, private=True, active=False, swap_mib=0, description="- no list: {really}",
    )  # fmt: skip
    extra = catalog.save_product(db, product_id=None, fields=odd, actor=olga, now=NOW)
    for currency, amount, active in (
        ("JPY", 1500, True),
        ("KWD", 1234, True),
        ("JPY", 1400, False),
        ("JPY", 1300, False),
    ):
        fields = catalog.PriceFields(
            product_id=extra.id, period_text="0001-02-03", currency=currency, amount_minor=amount,
            setup_fee_minor=7, active=active,
        )  # fmt: skip
        made = catalog.save_price(db, price_id=None, fields=fields, actor=olga, now=NOW)
        renewal = dataclasses.replace(
            fields, renewal_of_id=made.id, setup_fee_minor=0, period_text="0000-00-07"
        )
        catalog.save_price(db, price_id=None, fields=renewal, actor=olga, now=NOW)
    for kind, unit, priced in ((AddonKind.IPV4, 1, True), (AddonKind.MEMORY, 256, False)):
        piece = addons.AddonFields(
            product_id=extra.id, name=f"More: {kind.value}", kind=kind, unit=unit, minimum=1, maximum=3,
            active=not priced,
        )  # fmt: skip
        amounts = [
            addons.AddonPriceFields(period_text="0001-02-03", currency=currency, amount_minor=5)
            for currency in ("KWD", "JPY")
        ]
        addons.save(db, addon_id=None, fields=piece, prices=amounts if priced else [], actor=olga, now=NOW)
    own = terms.Terms(remind_before=(4, 2), grace_days=9)
    terms.save(db, product_id=extra.id, terms=own, is_new=True, actor=olga, now=NOW)
    mail_templates.save(
        db, template_id=None, actor=olga, now=NOW,
        fields=mail_templates.TemplateFields(
            event="invoice", language="zh", subject="订单 {{ number }}", text="您好\n\n  - {{ number }}: ok\n", html=""
        ),
    )  # fmt: skip
    with db.unit_of_work() as session:
        first = sa.select(sa.func.min(IpAddress.id)).scalar_subquery()
        session.execute(
            sa.update(IpAddress).where(IpAddress.id == first + 3).values(state=AddressState.WITHHELD)
        )
        session.execute(sa.delete(IpAddress).where(IpAddress.id == first + 5))
    return db


@pytest.fixture
def people_any(any_db: Database) -> People:
    """Offer the people of either database."""
    return make_people(any_db)


def test_out_and_in_again_changes_nothing(full: Database, people_any: People) -> None:
    text = export(full, people_any)
    found = look(full, people_any, text)
    assert (found.changes, found.kept) == ((), ())
    assert bring_in(full, people_any, text).changes == ()
    assert export(full, people_any) == text


def test_a_catalogue_that_was_taken_out_makes_the_same_one_elsewhere(
    full: Database, people_any: People
) -> None:
    text = export(full, people_any)
    with full.unit_of_work() as session:
        for table in (
            "addon_price",
            "addon",
            "mail_template",
            "renewal_terms",
            "ip_address",
            "ip_pool",
            "dom0",
            "location",
            "os_template",
        ):
            session.execute(sa.text(f"DELETE FROM {table}"))
        session.execute(sa.text("DELETE FROM price WHERE renewal_of_id IS NOT NULL"))
        session.execute(sa.text("DELETE FROM price"))
        session.execute(sa.text("DELETE FROM product"))
    assert bring_in(full, people_any, text).changes
    assert sorted(export(full, people_any).splitlines()) == sorted(text.splitlines())
    assert look(full, people_any, text).changes == ()


def test_a_difference_is_said_in_words_and_changes_nothing(full: Database, people_any: People) -> None:
    def change(document: dict[str, Any]) -> None:
        product = document["products"][0]
        product["memory_mib"] = 4096
        product["prices"][0]["amount"] = "77.77"
        product["prices"][0]["active"] = False
        document["locations"][0]["pools"][0]["addresses"][0]["withheld"] = True
        document["products"].pop()
        document["templates"][0]["title"] = "New title"
        document["products"].append({"name": "Added", "memory_mib": 128, "disk_mib": 1024})
        del document["mail_texts"]

    before = export(full, people_any)
    text = changed(before, change)
    found = look(full, people_any, text)
    said = "\n".join(found.changes)
    for fact in (
        "memory_mib from ",
        " to 4096",
        "amount_minor from ",
        " to 7777",
        "active from True to False",
        "Add product Added.",
        "to be kept out of sale.",
        "title from",
    ):
        assert fact in said, (fact, said)
    assert 'Product Größe: "S" #1 is not in the file and stays as it is.' in found.kept
    assert "The file says nothing about mail texts." in found.kept
    assert export(full, people_any) == before
    with full.reading() as session:
        last = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.id.desc())).first()
        assert last != "catalogue.imported"
    done = bring_in(full, people_any, text, found.fingerprint)
    assert done.changes == found.changes
    assert look(full, people_any, text).changes == ()
    with full.reading() as session:
        last = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.id.desc())).first()
        assert last == "catalogue.imported"
        assert session.scalar(sa.select(sa.func.count()).select_from(MailTemplate)) == 1


def test_what_was_agreed_to_is_refused_when_the_catalogue_is_another_by_now(
    full: Database, people_any: People
) -> None:
    text = changed(export(full, people_any), lambda document: document["products"][0].update(memory_mib=4096))
    found = look(full, people_any, text)
    with full.unit_of_work() as session:
        session.execute(sa.update(Price).values(amount_minor=Price.amount_minor + 1))
    before = export(full, people_any)
    with pytest.raises(Conflict, match="changed since this difference was shown; nothing was changed now"):
        bring_in(full, people_any, text, found.fingerprint)
    assert export(full, people_any) == before


def test_all_of_a_file_is_brought_in_or_nothing(db: Database, people: People) -> None:
    text = """
products:
  - {name: Good, memory_mib: 128, disk_mib: 1024}
  - {name: Bad, memory_mib: 1, disk_mib: 1024}
"""
    with pytest.raises(InvalidInput, match="products, entry 2: 'memory_mib'"):
        bring_in(db, people, text)
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Product)) == 0


def test_a_price_is_replaced_by_another_whichever_stands_first(db: Database, people: People) -> None:
    price = builders.make_product_with_price(db, name="Small", price={"amount_minor": 500})
    text = """
products:
  - name: Small
    prices:
      - {period: 0000-01-00, currency: USD, amount: 6}
      - {period: 0000-01-00, currency: USD, amount: 5, active: false}
"""
    bring_in(db, people, text.replace("0000-01-00", '"0000-01-00"'))
    with db.reading() as session:
        rows = session.scalars(sa.select(Price).order_by(Price.id)).all()
        assert [(row.id == price.id, row.amount_minor, row.active) for row in rows] == [
            (True, 500, False),
            (False, 600, True),
        ]


def test_an_add_on_is_changed_and_what_is_not_named_stays(full: Database, people_any: People) -> None:
    def change(document: dict[str, Any]) -> None:
        pieces = document["products"][-1]["addons"]
        pieces[0]["prices"][0]["amount"] = "9"
        pieces[0]["maximum"] = 2
        pieces[1] = {"name": "Third", "kind": "disk", "unit": 1024, "prices": []}

    found = look(full, people_any, changed(export(full, people_any), change))
    assert [line for line in found.changes if "More: ipv4" in line] == [
        'Change add-on More: ipv4 of product Größe: "S" #1: maximum from 3 to 2; '
        "prices from '0001-02-03 5 JPY, 0001-02-03 0.005 KWD' to '0001-02-03 9 JPY, 0001-02-03 0.005 KWD'."
    ]
    assert 'Add add-on Third of product Größe: "S" #1.' in found.changes
    assert 'Add-on More: memory of product Größe: "S" #1 is not in the file and stays as it is.' in found.kept
    with full.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Addon)) == 2


def test_an_address_that_a_vps_holds_is_not_withheld(db: Database, people: People) -> None:
    pool = builders.make_pool_with_addresses(db, builders.make_location(db, name="Here"), count=3)
    text = changed(
        export(db, people),
        lambda document: document["locations"][0]["pools"][0]["addresses"][0].update(withheld=True),
    )
    with db.unit_of_work() as session:
        held = sa.update(IpAddress).where(IpAddress.pool_id == pool.id)
        session.execute(held.values(state=AddressState.ASSIGNED, vps_id=uuid.uuid4()))
    with pytest.raises(InvalidInput, match="a VPS holds it"):
        look(db, people, text)


POOL = """
locations:
  - name: L
    pools:
      - network: 192.0.2.0/24
        gateway: 192.0.2.1
        dns: [192.0.2.1]
        addresses: [{first: 192.0.2.1, last: 192.0.2.9}]
"""
PRODUCT = "{name: P, memory_mib: 128, disk_mib: 1024"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "the file: a map of names is needed"),
        ("a: [", "not YAML"),
        ("{" * 5000, "not YAML|nested too deeply"),
        ("[" * 5000, "not YAML|nested too deeply"),
        ("x: 1", "'x' is not a part of a catalogue"),
        ("products: {}", "products: a list is needed"),
        ("products: [5]", "products, entry 1: a map of names is needed"),
        ("products: [{memory_mib: 1}]", "products, entry 1: 'name' is missing"),
        ("products: [{name: [1]}]", "products, entry 1: 'name' is missing"),
        (f"products: [{PRODUCT}, price: 5}}]", "products, entry 1: 'price' is not known"),
        (f"products: [{PRODUCT}}}, {PRODUCT}}}]", "entry 2: The product P stands in the file twice"),
        (f"products: [{PRODUCT}, traffic_mib: lots}}]", "no whole number"),
        (f"products: [{PRODUCT}, renewal_days: {{invoice_days: -1}}}}]", "renewal_days"),
        (f"products: [{PRODUCT}, renewal_days: {{remind_before: 5}}}}]", "renewal_days: .*no list"),
        (f"products: [{PRODUCT}, prices: [{{period: '1', currency: EUR, amount: 5}}]}}]", "prices, entry 1: 'period'"),
        (f"products: [{PRODUCT}, prices: [{{period: 0000-01-00, currency: EUR}}]}}]", "quotes"),
        (f"products: [{PRODUCT}, prices: [{{period: '0000-01-00', currency: ABC, amount: 5}}]}}]", "Currency 'ABC'"),
        (f"products: [{PRODUCT}, prices: [{{period: '0000-01-00', currency: EUR, amount: -5}}]}}]", "is no price"),
        (f"products: [{PRODUCT}, prices: [{{period: '0000-01-00', currency: JPY, amount: 5.5}}]}}]", "JPY has 0 decimals"),
        (f"products: [{PRODUCT}, prices: [{{period: '0000-01-00', currency: EUR, amount: 99999999}}]}}]", "is no price"),
        ("mail_texts: [{event: nothing, language: en, subject: a, text: b}]", "mail_texts, entry 1"),
        (POOL, "locations, entry 1: pools, entry 1: addresses, entry 1"),
        ("x" * 400_001, "at most 400,000 bytes"),
    ],
)  # fmt: skip
def test_a_bad_file_is_refused_with_the_place(db: Database, people: People, text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        look(db, people, text)


def test_only_operators_take_it_out_and_bring_it_in(db: Database, people: People) -> None:
    with pytest.raises(NotAllowed):
        catalog_export.export(db, actor=people.as_alice)
    with pytest.raises(NotAllowed):
        catalog_import.difference(db, text="products: []", actor=people.as_alice, now=NOW)


names = st.text(
    st.characters(blacklist_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=names, description=st.text("ab: #'\"-[]{}|>&*!%@`\\é中", max_size=40), memory=st.integers(64, 4_194_304),
    traffic=st.integers(0, 2**50), period=st.tuples(st.integers(0, 9), st.integers(0, 11), st.integers(1, 30)),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]), amount=st.integers(1, 10**9), fee=st.integers(0, 10**9),
)  # fmt: skip
def test_whatever_a_product_is_called_and_costs_it_comes_back_the_same(
    db: Database, people: People, name: str, description: str, memory: int, traffic: int,
    period: tuple[int, int, int], currency: str, amount: int, fee: int,
) -> None:  # fmt: skip
    with db.unit_of_work() as session:
        session.execute(sa.delete(Price))
        session.execute(sa.delete(Product))
    fields = catalog.ProductFields(
        name=name, description=description, memory_mib=memory, disk_mib=1024, traffic_bytes=traffic
    )
    product = catalog.save_product(db, product_id=None, fields=fields, actor=people.as_olga, now=NOW)
    price = catalog.PriceFields(
        product_id=product.id, period_text="{:04d}-{:02d}-{:02d}".format(*period), currency=currency,
        amount_minor=amount, setup_fee_minor=fee,
    )  # fmt: skip
    catalog.save_price(db, price_id=None, fields=price, actor=people.as_olga, now=NOW)
    text = export(db, people)
    found = look(db, people, text)
    assert (found.changes, found.kept) == ((), ())
