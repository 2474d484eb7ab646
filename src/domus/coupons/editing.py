"""What an operator decides about a coupon, and what of it is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.catalog.models import Product
from domus.core.errors import InvalidInput
from domus.core.money import MAX_MINOR, Money
from domus.core.periods import Period
from domus.core.texts import one_line, whole_number
from domus.coupons.discounts import parse_code
from domus.coupons.models import Coupon
from domus.db.rows import refuse_taken

MAX_USES = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class CouponFields:
    """A coupon as an operator enters it: ``millipercent`` or ``amounts`` (minor units by currency); None is no limit."""

    code: str
    description: str = ""
    millipercent: int = 0
    amounts: Mapping[str, int] = field(default_factory=dict)
    covers_setup_fee: bool = False
    payments: int | None = 1
    max_uses: int | None = None
    max_uses_per_account: int | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    product_ids: list[int] = field(default_factory=list)
    periods: list[str] = field(default_factory=list)
    first_order_only: bool = False
    active: bool = True


def check_coupon(session: Session, fields: CouponFields, *, own_id: int | None) -> CouponFields:
    """Return the fields as they are to be stored; raise InvalidInput with the field that is wrong."""
    code = parse_code(fields.code, field="code")
    refuse_taken(session, Coupon.code, code, own_id=own_id, field="code")
    _check_worth(fields)
    for name in ("payments", "max_uses", "max_uses_per_account"):
        value = getattr(fields, name)
        if value is not None:
            whole_number(value, field=name, minimum=1, maximum=MAX_USES)
    if own_id is not None and fields.max_uses is not None:
        _refuse_below_used(session, own_id, fields.max_uses)
    if fields.valid_from and fields.valid_until and fields.valid_until < fields.valid_from:
        raise InvalidInput("The last day is before the first one.", field="valid_until")
    products = sorted(set(fields.product_ids))
    known = set(session.scalars(sa.select(Product.id).where(Product.id.in_(products))))
    if known != set(products):
        raise InvalidInput("One of these products is not there any more.", field="product_ids")
    return dataclasses.replace(
        fields,
        code=code,
        description=one_line(fields.description, field="description", maximum=200, required=False),
        amounts=dict(fields.amounts),
        product_ids=products,
        periods=sorted({str(Period.parse(text, field="periods")) for text in fields.periods}),
    )


def parse_amounts(text: str, *, field: str = "amounts") -> dict[str, int]:
    """Read amounts such as ``5 EUR, 6.50 USD`` as minor units by currency; raise InvalidInput for anything else."""
    found: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.replace("\n", ",").split(","))):
        amount, _, currency = part.partition(" ")
        currency = currency.strip().upper()
        if not currency:
            raise InvalidInput(
                f"{part!r} names no currency; write it like 5 EUR, or 5 EUR, 6 USD.", field=field
            )
        try:
            money = Money.parse(amount, currency, field=field)
        except InvalidInput as error:
            raise InvalidInput(str(error), field=field) from error
        if currency in found:
            raise InvalidInput(f"There are two amounts in {currency}.", field=field)
        found[currency] = money.minor
    return found


def _check_worth(fields: CouponFields) -> None:
    whole_number(fields.millipercent, field="millipercent", minimum=0, maximum=100_000)
    if bool(fields.millipercent) is bool(fields.amounts):
        raise InvalidInput(
            "A coupon takes off either a percentage or an amount; enter one of the two.", field="millipercent"
        )
    for currency, minor in fields.amounts.items():
        if Money.zero(currency).minor >= minor or minor > MAX_MINOR:
            raise InvalidInput(f"The amount in {currency} has to be more than nothing.", field="amounts")


def _refuse_below_used(session: Session, coupon_id: int, max_uses: int) -> None:
    used = session.scalar(sa.select(Coupon.used).where(Coupon.id == coupon_id)) or 0
    if used > max_uses:
        raise InvalidInput(
            f"It was used {used} times already; switch it off to have it used no more.", field="max_uses"
        )
