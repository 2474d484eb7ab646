"""What may be sold: checks what an operator enters and writes it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.catalog.models import InstallMethod, OsTemplate, Price, Product, Virtualization
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.core.periods import Period
from domus.core.texts import one_line, whole_number
from domus.db.rows import get_row, refuse_taken

# All of these go to the dom0, whose own grammar (``salt/_utils/domus_fields.py``) they stay within.
_TEMPLATE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,61}[a-z0-9]")
_WORD = re.compile(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_ARCHITECTURES = ("amd64", "arm64", "i386")

#: No period of a VPS costs more, in minor units of any currency: a larger number is a typing error.
MAX_PRICE_MINOR = 10**9

#: The bounds that the database holds too (``catalog.models``).
PRODUCT_BOUNDS = {
    "memory_mib": (64, 4_194_304),
    "disk_mib": (512, 1_073_741_824),
    "swap_mib": (0, 1_048_576),
    "vcpus": (1, 512),
    "cpu_weight": (1, 65_535),
    "cpu_cap_percent": (0, 51_200),
    "traffic_bytes": (0, 2**60),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFields:
    """What an operator decides about a product."""

    name: str
    description: str = ""
    virtualization: Virtualization = Virtualization.PV
    memory_mib: int
    disk_mib: int
    swap_mib: int = 512
    vcpus: int = 1
    cpu_weight: int = 256
    cpu_cap_percent: int = 0
    traffic_bytes: int = 0
    private: bool = False
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFields:
    """What an operator decides about a price."""

    product_id: int
    renewal_of_id: int | None = None
    period_text: str
    currency: str
    amount_minor: int
    setup_fee_minor: int = 0
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFields:
    """What an operator decides about an operating system to choose from."""

    name: str
    title: str
    method: InstallMethod
    distribution: str = "debian"
    release: str
    arch: str = "amd64"
    version: str = "1"
    min_disk_mib: int = 1024
    min_memory_mib: int = 128
    active: bool = True


def check_product(session: Session, fields: ProductFields, *, own_id: int | None) -> ProductFields:
    """Return the fields as they are to be stored; raise InvalidInput that names the first wrong one."""
    name = one_line(fields.name, field="name", maximum=120)
    description = one_line(fields.description, field="description", maximum=500, required=False)
    for field, (minimum, maximum) in PRODUCT_BOUNDS.items():
        whole_number(getattr(fields, field), field=field, minimum=minimum, maximum=maximum)
    if fields.cpu_cap_percent > fields.vcpus * 100:
        raise InvalidInput(
            f"A cap of {fields.cpu_cap_percent} % is more than {fields.vcpus} vCPU can use; 0 means no cap.",
            field="cpu_cap_percent",
        )
    refuse_taken(session, Product.name, name, own_id=own_id, field="name")
    return dataclasses.replace(fields, name=name, description=description)


def check_price(session: Session, fields: PriceFields, *, own_id: int | None) -> PriceFields:
    """Return the fields as they are to be stored; raise InvalidInput that names the first wrong one."""
    get_row(session, Product, fields.product_id, what="product", field="product_id")
    period = Period.parse(fields.period_text, field="period_text")
    Money.zero(fields.currency)
    for field in ("amount_minor", "setup_fee_minor"):
        check_amount(getattr(fields, field), fields.currency, field=field)
    if not fields.amount_minor and not fields.setup_fee_minor:
        raise InvalidInput("A price of nothing cannot be paid; give an amount.", field="amount_minor")
    if fields.renewal_of_id is not None:
        _check_renewal(session, fields, fields.renewal_of_id, own_id=own_id)
    checked = dataclasses.replace(fields, period_text=str(period))
    if checked.active:
        _refuse_second_price(session, checked, own_id=own_id)
    return checked


def check_amount(minor: int, currency: str, *, field: str) -> None:
    """Raise InvalidInput for an amount that nobody sells at: below nothing, or so large that it was mistyped."""
    if not 0 <= minor <= MAX_PRICE_MINOR:
        raise InvalidInput(
            f"{Money(minor, currency)} is no price; allowed is 0 to {Money(MAX_PRICE_MINOR, currency)}.",
            field=field,
        )


def check_template(session: Session, fields: TemplateFields, *, own_id: int | None) -> TemplateFields:
    """Return the fields as they are to be stored; raise InvalidInput that names the first wrong one."""
    name = fields.name.strip()
    if not _TEMPLATE_NAME.fullmatch(name) or ".." in name:
        raise InvalidInput(
            f"{fields.name!r} cannot name a template: 2 to 63 lower-case letters, digits, single dots and hyphens, with a "
            "letter or digit at both ends.",
            field="name",
        )
    for field in ("distribution", "release"):
        if not _WORD.fullmatch(getattr(fields, field)):
            raise InvalidInput(
                f"{getattr(fields, field)!r} is not allowed here: up to 32 lower-case letters, digits, dots and "
                "hyphens, with a letter or digit at both ends.",
                field=field,
            )
    if not _VERSION.fullmatch(fields.version):
        raise InvalidInput(
            f"{fields.version!r} is not a version: up to 32 letters, digits and . _ -, not beginning with one of "
            "these three.",
            field="version",
        )
    if fields.arch not in _ARCHITECTURES:
        raise InvalidInput(f"The architecture is one of {', '.join(_ARCHITECTURES)}.", field="arch")
    whole_number(fields.min_disk_mib, field="min_disk_mib", minimum=0, maximum=1_073_741_824)
    whole_number(fields.min_memory_mib, field="min_memory_mib", minimum=0, maximum=4_194_304)
    refuse_taken(session, OsTemplate.name, name, own_id=own_id, field="name")
    return dataclasses.replace(fields, name=name, title=one_line(fields.title, field="title", maximum=120))


def _refuse_second_price(session: Session, fields: PriceFields, *, own_id: int | None) -> None:
    """Refuse a price on sale for what another one on sale is for: which of them a customer meant, nobody could tell."""
    same = sa.select(Price.id).where(
        Price.product_id == fields.product_id,
        Price.period_text == fields.period_text,
        Price.currency == fields.currency,
        Price.renewal_of_id.is_not_distinct_from(fields.renewal_of_id),
        Price.active,
        Price.id != (own_id or 0),
    )
    other = session.scalar(same.limit(1))
    if other is not None:
        raise InvalidInput(
            f"Price {other} is on sale for this period in {fields.currency} already; change it, or take it off sale "
            "first.",
            field="period_text",
        )


def _check_renewal(session: Session, fields: PriceFields, renewal_of_id: int, *, own_id: int | None) -> None:
    """Refuse a renewal of another product, of itself or of another renewal."""
    if fields.setup_fee_minor:
        raise InvalidInput(
            "A set-up fee is paid once, with the order; a renewal has none.", field="setup_fee_minor"
        )
    if renewal_of_id == own_id:
        raise InvalidInput("A price cannot renew itself.", field="renewal_of_id")
    renewed = get_row(session, Price, renewal_of_id, what="price", field="renewal_of_id")
    if renewed.renewal_of_id is not None:
        raise InvalidInput(
            "That price is a renewal itself; take the price of the order.", field="renewal_of_id"
        )
    if (renewed.product_id, renewed.currency) != (fields.product_id, fields.currency):
        raise InvalidInput("A renewal is of the same product, in the same currency.", field="renewal_of_id")
    if own_id is not None and session.get_one(Price, own_id).renewals:
        raise InvalidInput(
            "Other prices renew this one, so it cannot be a renewal itself.", field="renewal_of_id"
        )
