"""The shop that is simulated: companies, products in several currencies and periods, dom0s and addresses enough for all."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import yaml

from domus.accounts.actor import Actor
from domus.catalog.models import OsTemplate, Price, Product
from domus.db.engine import Database
from domus.inventory.models import Location
from domus.renewals.dunning import Terms
from domus.tax.models import Company
from domus.workflows import companies, coupons, seeding
from domus.workflows.companies import CompanyFields, InvoicingFields
from domus.workflows.coupons import CouponFields
from domus.workflows.renewals import terms as renewal_terms

OPERATOR = Actor.system("simulation")

#: So many VPSs a dom0 has room for.
PER_DOM0 = 16

#: (name, memory, disk, own terms, prices): a price is (period, currency, amount, set-up fee, its renewals).
Renewals = tuple[tuple[str, str], ...]
PRODUCTS: tuple[tuple[str, int, int, tuple[tuple[str, str, str, str, Renewals], ...]], ...] = (
    (
        "Mini", 256, 5120,
        (
            ("0000-01-00", "EUR", "4.99", "0", (("0000-01-00", "4.99"), ("0001-00-00", "49.90"))),
            ("0000-03-00", "EUR", "13.99", "0", ()),
            ("0001-00-00", "EUR", "49.90", "0", ()),
            ("0000-01-00", "USD", "5.99", "1.50", ()),
        ),
    ),
    (
        "Basic", 512, 15360,
        (
            ("0000-01-00", "EUR", "19.00", "9.95", (("0000-01-00", "17.77"),)),
            ("0000-06-00", "EUR", "99.00", "0", ()),
            ("0000-03-00", "USD", "79.00", "0", (("0000-03-00", "75.00"), ("0001-00-00", "279.00"))),
            ("0001-00-00", "USD", "299.00", "0", ()),
        ),
    ),
    (
        "Odd", 512, 10240,
        (
            ("0000-00-10", "EUR", "3.33", "0", ()),
            ("0000-02-05", "EUR", "21.01", "0", ()),
            ("0000-01-00", "JPY", "980", "500", ()),
            ("0000-03-00", "KWD", "7.125", "0", ()),
            ("0001-02-03", "USD", "111.11", "0", ()),
        ),
    ),
)  # fmt: skip
#: How often each period is bought, beside the others.
BOUGHT = {"0000-01-00": 8, "0000-03-00": 8, "0000-06-00": 6, "0001-00-00": 10, "0001-02-03": 6}
#: How many of a hundred buyers take each currency.
SHARES = {"EUR": 70, "USD": 22, "JPY": 5, "KWD": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponTerms:
    """A coupon as the operator thought of it: thousandths of a percent, or minor units by currency."""

    millipercent: int = 0
    amounts: tuple[tuple[str, int], ...] = ()
    covers_setup_fee: bool = False
    payments: int | None = 1
    max_uses: int | None = None


COUPONS = {
    "TEN": CouponTerms(millipercent=10_000, payments=None),
    "THREE-TIMES": CouponTerms(millipercent=33_333, covers_setup_fee=True, payments=3),
    "FIVE-OFF": CouponTerms(amounts=(("EUR", 500), ("USD", 600)), payments=2),
    "FREE-START": CouponTerms(millipercent=100_000, covers_setup_fee=True, max_uses=8),
}

#: Days of its own that a product has.
OWN_TERMS = {
    "Odd": Terms(
        invoice_days=7, remind_before=(7, 2), remind_after=(2,), last_warning_days=5, suspend_days=8, end_days=20,
        grace_days=3,
    )
}  # fmt: skip

#: Where people live, how many of a hundred, and what they pay on top in thousandths of a percent when they are no business.
COUNTRIES = {
    "DE": (40, 19000),
    "FR": (15, 20000),
    "AT": (10, 20000),
    "FI": (5, 25500),
    "US": (20, 0),
    "JP": (10, 0),
}
#: A VAT number of each country in which businesses have one; in their own country it frees nobody.
VAT_NUMBERS = {"DE": "DE136695976", "FR": "FR40303265045", "AT": "ATU13585627"}
HOME = "DE"


@dataclass(frozen=True, slots=True)
class Offer:
    """One price as people see it."""

    price_id: int
    product: str
    currency: str
    share: int
    """How often it is bought, beside the others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the shop has: ids to order with."""

    offers: tuple[Offer, ...]
    locations: tuple[int, ...]
    template_id: int
    minions: tuple[str, ...]


def open_shop(db: Database, *, accounts: int, now: datetime) -> Setting:
    """Fill an empty database through the operator's workflows; return what can be bought."""
    _sell_as(db, now)
    dom0s = max(2, math.ceil(accounts * 1.4 / PER_DOM0))
    seeding.seed(db, text=_catalogue(dom0s), actor=OPERATOR, now=now)
    with db.reading() as session:
        products = {row.id: row for row in session.scalars(sa.select(Product))}
        bought = session.scalars(sa.select(Price).where(Price.renewal_of_id.is_(None)).order_by(Price.id))
        offers = tuple(
            Offer(
                price.id,
                products[price.product_id].name,
                price.currency,
                BOUGHT.get(price.period_text, 1),
            )
            for price in bought
        )
        locations = tuple(session.scalars(sa.select(Location.id).order_by(Location.id)))
        template_id = session.scalars(sa.select(OsTemplate.id)).one()
        names = {row.name: row.id for row in products.values()}
    _set_terms(db, names, now)
    for code, terms in COUPONS.items():
        fields = CouponFields(
            code=code, millipercent=terms.millipercent, amounts=dict(terms.amounts), payments=terms.payments,
            covers_setup_fee=terms.covers_setup_fee, max_uses=terms.max_uses,
        )  # fmt: skip
        coupons.save(db, coupon_id=None, fields=fields, actor=OPERATOR, now=now)
    minions = tuple(f"dom0-{number:04d}" for number in range(dom0s))
    return Setting(offers=offers, locations=locations, template_id=template_id, minions=minions)


def _sell_as(db: Database, now: datetime) -> None:
    with db.reading() as session:
        default = session.scalars(sa.select(Company).where(Company.is_default)).one()
    german = CompanyFields(
        name="Simulated Hosting GmbH", country=HOME, invoice_prefix="DE", charges_tax=True, one_stop_shop=True
    )
    companies.save_company(db, company_id=default.id, fields=german, actor=OPERATOR, now=now)
    other = companies.save_company(
        db, company_id=None, fields=CompanyFields(name="Simulated Hosting Inc.", country="US", invoice_prefix="US"),
        actor=OPERATOR, now=now,
    )  # fmt: skip
    fields = InvoicingFields(country="US", company_id=other.id)
    companies.save_invoicing(db, row_id=None, fields=fields, actor=OPERATOR, now=now)


def _set_terms(db: Database, names: dict[str, int], now: datetime) -> None:
    for name, terms in OWN_TERMS.items():
        renewal_terms.save(db, product_id=names[name], terms=terms, is_new=True, actor=OPERATOR, now=now)


def _catalogue(dom0s: int) -> str:
    locations = [_location(name, country, share, dom0s) for share, (name, country) in enumerate(_PLACES)]
    products = [_product(*product) for product in PRODUCTS]
    template = {
        "name": "debian-12", "title": "Debian 12", "method": "image", "distribution": "debian", "release": "bookworm",
    }  # fmt: skip
    return yaml.safe_dump({"locations": locations, "templates": [template], "products": products})


_PLACES = (("Frankfurt", "DE"), ("Paris", "FR"))


def _location(name: str, country: str, share: int, dom0s: int) -> dict[str, Any]:
    mine = range(share, dom0s, len(_PLACES))
    # Every dom0 brings a /25 worth of addresses, so that they are used again only after a while.
    wanted = len(mine) * PER_DOM0 * 2
    network = ipaddress.ip_network(f"10.{share + 1}.0.0/16")
    return {
        "name": name,
        "country": country,
        "pools": [
            {
                "network": str(network), "gateway": str(network[1]), "dns": [str(network[1])],
                "addresses": {"first": str(network[10]), "last": str(network[10 + wanted])},
            }
        ],
        "dom0s": [
            {
                "minion_id": f"dom0-{number:04d}", "hypervisor": "simulated", "storage_backend": "simulated",
                "memory_capacity_mib": PER_DOM0 * 512, "disk_capacity_mib": PER_DOM0 * 20_000, "vcpus_capacity": PER_DOM0,
                "max_removals_per_run": 25,
            }
            for number in mine
        ],
    }  # fmt: skip


def _product(name: str, memory: int, disk: int, prices: Any) -> dict[str, Any]:
    return {
        "name": name,
        "memory_mib": memory,
        "disk_mib": disk,
        "swap_mib": 256,
        "prices": [
            {
                "period": period, "currency": currency, "amount": amount, "setup_fee": fee,
                "renewals": [{"period": renewal, "amount": cost} for renewal, cost in renewals],
            }
            for period, currency, amount, fee, renewals in prices
        ],
    }  # fmt: skip


def rate_of(country: str, *, is_business: bool) -> int:
    """Return what somebody pays on top, in thousandths of a percent: the judge's own table."""
    if is_business and country != HOME and country in VAT_NUMBERS:
        return 0
    return COUNTRIES[country][1]
