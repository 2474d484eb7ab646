"""Add-ons: defined with a product, chosen with an order, on its invoice, in the machine, renewed with the contract."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account, AuditEvent
from domus.billing.models import Invoice, Order, OrderAddon, Subscription, SubscriptionAddon
from domus.catalog.models import Addon, AddonKind
from domus.contracts import quotes
from domus.core.clock import utc_now
from domus.core.errors import Conflict, InvalidInput, NoCapacity, NotAllowed
from domus.db.engine import Database
from domus.inventory.models import Dom0, IpAddress
from domus.pillar.services import pillar_for
from domus.renewals import addons as contract_addons
from domus.renewals.models import Renewal
from domus.vps.models import Disk, Reservation, Vps
from domus.workflows import addons, orders
from domus.workflows.addons import AddonFields, AddonPriceFields
from domus.workflows.contracts import offering
from domus.workflows.renewals import paying, running
from tests.support import builders
from tests.support.builders import NOW
from tests.support.people import People
from tests.support.shop import Shop, open_shop

MONTH = "0000-01-00"


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop that sells no add-ons yet."""
    return open_shop(db)


def price(amount_minor: int, period_text: str = MONTH, currency: str = "USD") -> AddonPriceFields:
    return AddonPriceFields(period_text=period_text, currency=currency, amount_minor=amount_minor)


def add(shop: Shop, people: People, kind: AddonKind, amount_minor: int = 100, **changes: Any) -> Addon:
    fields = AddonFields(product_id=shop.price.product_id, name=f"Extra {kind.value}", kind=kind, maximum=8)
    return addons.save(
        shop.db, addon_id=None, fields=replace(fields, **changes), prices=[price(amount_minor)],
        actor=people.as_olga, now=NOW,
    )  # fmt: skip


def lines_of(db: Database, invoice_id: int) -> list[tuple[str, int]]:
    with db.reading() as session:
        invoice = session.get_one(Invoice, invoice_id)
        assert invoice.net_minor == sum(line.net_minor for line in invoice.lines)
        return [(line.text, line.net_minor) for line in invoice.lines]


def test_what_is_chosen_is_on_the_invoice_and_in_the_machine(
    db: Database, shop: Shop, people: People
) -> None:
    address = add(shop, people, AddonKind.IPV4, 200)
    disk = add(shop, people, AddonKind.DISK, 50, unit=1024)
    memory = add(shop, people, AddonKind.MEMORY, 75, unit=256)
    vcpu = add(shop, people, AddonKind.VCPU, 300)
    order = shop.paid(people.alice, addons={address.id: 2, disk.id: 3, memory.id: 1, vcpu.id: 1})
    assert lines_of(db, order.invoice.id) == [
        ("VPS Small, 1 month", 1000),
        ("VPS Small, 2 x Extra ipv4, 1 month", 400),
        ("VPS Small, 3 x Extra disk, 1 month", 150),
        ("VPS Small, 1 x Extra memory, 1 month", 75),
        ("VPS Small, 1 x Extra vcpu, 1 month", 300),
        ("VPS Small, set-up fee", 250),
    ]
    with db.reading() as session:
        vps = session.scalars(sa.select(Vps)).one()
        root = session.scalars(sa.select(Disk).where(Disk.name == "root")).one()
        held = session.scalars(sa.select(Reservation)).one()
        dom0 = session.scalars(sa.select(Dom0)).one()
        addresses = session.scalar(sa.select(sa.func.count()).where(IpAddress.vps_id == vps.id))
        pillar = pillar_for(session, shop.dom0.minion_id, now=NOW)
    assert (vps.memory_mib, vps.vcpus, root.size_mib, addresses) == (768, 2, 10_240 + 3072, 3)
    assert (held.memory_mib, held.vcpus, held.disk_mib) == (768, 2, 10_240 + 3072 + 512)
    assert (dom0.memory_reserved_mib, dom0.vcpus_reserved) == (768, 2)
    assert pillar is not None
    entry = pillar.get("domus", pillar)["vps"][str(vps.id)]
    assert (entry["memory_mib"], entry["vcpus"], entry["disks"][0]["size_mib"]) == (768, 2, 13_312)
    assert len(entry["nics"][0]["ipv4"]) == 3
    with db.reading() as session:
        pieces = session.scalars(sa.select(SubscriptionAddon).order_by(SubscriptionAddon.addon_id)).all()
        assert [piece.count for piece in pieces] == [2, 3, 1, 1]


def test_a_cap_grows_with_the_vcpus(db: Database, shop: Shop, people: People) -> None:
    capped = builders.make_product_with_price(db, vcpus=2, cpu_cap_percent=100)
    vcpu = add(shop, people, AddonKind.VCPU, product_id=capped.product_id)
    shop.order(people.alice, price_id=capped.id, addons={vcpu.id: 2})
    with db.reading() as session:
        vps = session.scalars(sa.select(Vps)).one()
        assert (vps.vcpus, vps.cpu_cap_percent) == (4, 200)


def test_the_invoice_lines_are_in_the_language_of_the_customer(
    db: Database, shop: Shop, people: People
) -> None:
    address = add(shop, people, AddonKind.IPV4, 200, name="IPv4")
    told = {}
    for language in ("de", "es", "fr", "ru", "zh"):
        with db.unit_of_work() as session:
            session.execute(sa.update(Account).values(language=language))
        order = shop.order(people.alice, addons={address.id: 2})
        told[language] = lines_of(db, order.invoice.id)[1][0].replace("\N{NO-BREAK SPACE}", " ")
    assert told == {
        "de": "VPS Small, 2 x IPv4, 1 Monat",
        "es": "VPS Small, 2 x IPv4, 1 mes",
        "fr": "VPS Small, 2 x IPv4, 1 mois",
        "ru": "VPS Small, 2 x IPv4, 1 месяц",
        "zh": "VPS Small, 2 x IPv4, 1个月",
    }


@pytest.mark.parametrize("count", [-1, 9, 10**30])
def test_a_count_that_is_not_offered_is_refused_at_its_field(
    db: Database, shop: Shop, people: People, count: int
) -> None:
    address = add(shop, people, AddonKind.IPV4)
    with pytest.raises(InvalidInput) as refused:
        shop.order(people.alice, addons={address.id: count})
    assert refused.value.field == f"addon_{address.id}"
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) == 0


def test_what_is_not_of_the_product_or_off_sale_or_without_a_price_is_refused(
    db: Database, shop: Shop, people: People
) -> None:
    other = builders.make_product_with_price(db)
    for changes in ({"product_id": other.product_id}, {"active": False}):
        wrong = add(shop, people, AddonKind.IPV4, **changes, name=f"{changes}")
        with pytest.raises(InvalidInput, match="This is not offered with VPS Small"):
            shop.order(people.alice, addons={wrong.id: 1})
    yearly = builders.make_price(db, shop.price.product, period_text="0001-00-00")
    monthly = add(shop, people, AddonKind.DISK)
    with pytest.raises(InvalidInput, match="Extra disk is not sold for 1 year in USD"):
        shop.order(people.alice, price_id=yearly.id, addons={monthly.id: 1})


def test_so_many_as_there_have_to_be_are_ordered_unasked(db: Database, shop: Shop, people: People) -> None:
    memory = add(shop, people, AddonKind.MEMORY, unit=128, minimum=2)
    shop.order(people.alice)
    with pytest.raises(InvalidInput):
        shop.order(people.alice, addons={memory.id: 1})
    with db.reading() as session:
        assert session.scalars(sa.select(OrderAddon.count)).all() == [2]


def test_without_enough_addresses_or_room_nothing_is_held(db: Database, shop: Shop, people: People) -> None:
    address = add(shop, people, AddonKind.IPV4, maximum=60)
    with pytest.raises(NoCapacity, match="only 40 of 42 IPv4 addresses"):
        shop.order(people.alice, addons={address.id: 41})
    memory = add(shop, people, AddonKind.MEMORY, unit=4096)
    with pytest.raises(NoCapacity, match="no room"):
        shop.order(people.alice, addons={memory.id: 2})
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Reservation)) == 0
        assert session.scalar(sa.select(sa.func.count()).where(IpAddress.vps_id.is_not(None))) == 0


def test_a_cancelled_order_gives_all_of_its_addresses_back(db: Database, shop: Shop, people: People) -> None:
    address = add(shop, people, AddonKind.IPV4)
    order = shop.order(people.alice, addons={address.id: 3})
    orders.cancel(db, order_id=order.id, actor=people.as_alice, now=NOW)
    with db.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).where(IpAddress.vps_id.is_not(None))) == 0


def test_a_contract_is_renewed_by_the_run_with_its_add_ons_and_others_without(
    db: Database, shop: Shop, people: People
) -> None:
    address = add(shop, people, AddonKind.IPV4, 200)
    with_addon = shop.delivered(people.alice, addons={address.id: 2})
    shop.delivered(people.bob, hostname="plain.example.org")
    run_at = utc_now() + timedelta(days=28)
    running.run(db, now=run_at)
    with db.reading() as session:
        rows = session.execute(
            sa.select(Renewal.invoice_id, Subscription.order_id)
            .join(Renewal.subscription)
            .order_by(Renewal.invoice_id)
        ).all()
    assert len(rows) == 2
    for invoice_id, order_id in rows:
        lines = lines_of(db, invoice_id)
        assert lines[0][1] == 900
        assert lines[1:] == (
            [("VPS Small, 2 x Extra ipv4, 1 month", 400)] if order_id == with_addon.id else []
        )


def test_a_renewal_asked_for_by_the_customer_has_the_add_ons_too(
    db: Database, shop: Shop, people: People
) -> None:
    address = add(shop, people, AddonKind.IPV4, 200)
    order = shop.delivered(people.alice, addons={address.id: 2})
    renewal = paying.ask(db, vps_id=shop.vps(order).id, actor=people.as_alice, now=utc_now())
    assert renewal.invoice.gross_minor == 1300
    assert [amount for _, amount in lines_of(db, renewal.invoice_id)] == [900, 400]
    with db.reading() as session:
        contract = session.scalars(sa.select(Subscription)).one()
        assert str(contract_addons.cost_of(session, contract, shop.renewal)) == "13.00 USD"


def test_without_a_price_for_the_period_a_contract_is_not_renewed_for_less(
    db: Database, shop: Shop, people: People
) -> None:
    address = add(shop, people, AddonKind.IPV4, 200)
    order = shop.delivered(people.alice, addons={address.id: 2})
    longer = builders.make_price(
        db, shop.price.product, period_text="0000-03-00", amount_minor=2500, renewal_of_id=shop.price.id
    )
    with pytest.raises(Conflict, match="The add-on Extra ipv4 of VPS Small has no price for 3 months in USD"):
        paying.ask(db, vps_id=shop.vps(order).id, price_id=longer.id, actor=people.as_alice, now=utc_now())
    with db.reading() as session:
        contract = session.scalars(sa.select(Subscription)).one()
        costs = contract_addons.costs_of(session, contract, [shop.renewal, longer])
        assert [(one.id, str(cost)) for one, cost in costs] == [(shop.renewal.id, "13.00 USD")]


def test_what_was_ordered_keeps_its_kind_size_and_prices(db: Database, shop: Shop, people: People) -> None:
    address = add(shop, people, AddonKind.IPV4, 200)
    shop.paid(people.alice, addons={address.id: 1})
    fields = AddonFields(product_id=shop.price.product_id, name="Address", kind=AddonKind.IPV4, maximum=4)

    def save(prices: list[AddonPriceFields], **changes: Any) -> Addon:
        return addons.save(
            db,
            addon_id=address.id,
            fields=replace(fields, **changes),
            prices=prices,
            actor=people.as_olga,
            now=NOW,
        )

    for changes in ({"unit": 2}, {"kind": AddonKind.DISK}):
        with pytest.raises(Conflict, match="ordered already"):
            save([price(200)], **changes)
    with pytest.raises(Conflict, match="has to stay"):
        save([price(200, currency="EUR")])
    saved = save([price(300), price(900, "0000-03-00")], active=False)
    assert saved.name == "Address"
    with db.reading() as session:
        stored = session.get_one(Addon, address.id)
        assert [(one.period_text, str(one.amount)) for one in stored.prices] == [
            (MONTH, "3.00 USD"),
            ("0000-03-00", "9.00 USD"),
        ]
        frozen = session.scalars(sa.select(OrderAddon)).one()
        assert (frozen.name, frozen.amount_minor) == ("Extra ipv4", 200)
        actions = session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.id.desc()).limit(2)).all()
        assert sorted(actions) == ["addon.changed", "addon.priced"]
    with pytest.raises(Conflict, match="take it off sale instead"):
        addons.delete(db, addon_id=address.id, actor=people.as_olga, now=NOW)


@pytest.mark.parametrize(
    ("changes", "prices", "field"),
    [
        ({"name": " "}, [price(1)], "name"),
        ({"unit": 0}, [price(1)], "unit"),
        ({"maximum": 0}, [price(1)], "maximum"),
        ({"minimum": 9}, [price(1)], "minimum"),
        ({"maximum": 64}, [price(1)], "maximum"),
        ({"kind": AddonKind.MEMORY, "unit": 4_194_304}, [price(1)], "maximum"),
        ({}, [price(-1)], "prices"),
        ({}, [price(10**9 + 1)], "prices"),
        ({}, [price(1, "1 month")], "prices"),
        ({}, [price(1), price(2)], "prices"),
        ({}, [price(1, currency="XXX")], "currency"),
        ({"product_id": 999}, [price(1)], "product_id"),
    ],
)
def test_a_wrong_add_on_is_refused_at_its_field(
    db: Database,
    shop: Shop,
    people: People,
    changes: dict[str, Any],
    prices: list[AddonPriceFields],
    field: str,
) -> None:
    fields = AddonFields(product_id=shop.price.product_id, name="Address", kind=AddonKind.IPV4, maximum=8)
    with pytest.raises(InvalidInput) as refused:
        addons.save(
            db, addon_id=None, fields=replace(fields, **changes), prices=prices, actor=people.as_olga, now=NOW
        )
    assert refused.value.field == field
    with pytest.raises(NotAllowed):
        addons.save(db, addon_id=None, fields=fields, prices=[price(1)], actor=people.as_alice, now=NOW)


def test_a_contract_with_add_ons_is_not_changed_to_another_product(
    db: Database, shop: Shop, people: People
) -> None:
    address = add(shop, people, AddonKind.IPV4, 200)
    order = shop.delivered(people.alice, addons={address.id: 1})
    with pytest.raises(Conflict, match="has add-ons"):
        offering.options(db, vps_id=shop.vps(order).id, actor=people.as_alice, now=utc_now())


def test_the_days_left_are_worth_their_share_of_the_add_ons(db: Database, shop: Shop, people: People) -> None:
    address = add(shop, people, AddonKind.IPV4, 200)
    shop.delivered(people.alice, addons={address.id: 2})
    with db.reading() as session:
        contract = session.scalars(sa.select(Subscription)).one()
        parts = quotes.unused_worth(session, contract, now=utc_now())
    assert [amount.minor for _, amount in parts] == [1400]
