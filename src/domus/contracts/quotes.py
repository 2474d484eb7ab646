"""What a change of price would do: to the money, with every amount, and to the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from domus.accounts.models import Account
from domus.billing import crediting, invoicing
from domus.billing.models import Invoice, Order, Subscription
from domus.catalog.models import Addon, OsTemplate, Price, Product
from domus.contracts import worth
from domus.contracts.proration import Proration, cost_of_days, unused
from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.core.periods import Period
from domus.renewals.models import Renewal
from domus.renewals.prices import Offer, price_list
from domus.tax.amounts import net_and_tax
from domus.vps.models import Disk, Power, Vps


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a VPS is."""

    memory_mib: int
    vcpus: int
    disk_mib: int
    """Of the root disk; swap stays as it was installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """All that somebody has to know before agreeing to a change."""

    price: Price
    effective_on: date
    until: date
    proration: Proration
    net: Money
    tax: Money
    """Of the total; both are negative when money comes back."""
    gives_back: Money
    """What goes to the balance; nothing when something is to be paid."""
    renewal: Offer
    """What the contract is renewed at afterwards."""
    old: Size
    new: Size
    is_running: bool

    @property
    def to_pay(self) -> Money:
        """Return what an invoice would be over, with tax; nothing when money comes back."""
        gross = self.net + self.tax
        return gross if gross.minor > 0 else Money.zero(gross.currency)

    @property
    def answer(self) -> Money:
        """Return the one amount that is agreed to: to be paid, or with a minus what comes back."""
        return self.to_pay if self.to_pay else -self.gives_back

    @property
    def changes_machine(self) -> bool:
        """Tell whether the VPS gets another size."""
        return self.old != self.new

    @property
    def grows_disk(self) -> bool:
        """Tell whether the guest gets a larger disk."""
        return self.new.disk_mib > self.old.disk_mib

    @property
    def needs_restart(self) -> bool:
        """Tell whether a part of it holds only after a restart: a guest grows no further than it was started with."""
        grows = self.new.memory_mib > self.old.memory_mib or self.new.vcpus > self.old.vcpus
        return grows and self.is_running


def size_of(vps: Vps) -> Size:
    """Return the size that is wanted of a VPS."""
    return Size(memory_mib=vps.memory_mib, vcpus=vps.vcpus, disk_mib=root_disk(vps).size_mib)


def size_of_product(product: Product) -> Size:
    """Return the size that a product gives."""
    return Size(memory_mib=product.memory_mib, vcpus=product.vcpus, disk_mib=product.disk_mib)


def root_disk(vps: Vps) -> Disk:
    """Return the disk that the operating system is on."""
    return next(disk for disk in vps.disks if disk.role == "root")


def obstacle(vps: Vps, template: OsTemplate, current: Price, price: Price) -> str:
    """Return why a VPS cannot go from one price to another, in a sentence; empty when it can."""
    product, old = price.product, size_of(vps)
    if price.id == current.id:
        return f"It is a {product.name} at this price already."
    if price.currency != current.currency:
        return f"Its contract is in {current.currency}; a price in {price.currency} cannot follow."
    if product.virtualization.value != vps.virtualization.value:
        return f"{product.name} is made another way ({product.virtualization.value}), so it cannot be changed to."
    if product.disk_mib < old.disk_mib:
        return (
            f"{product.name} has a disk of {_gib(product.disk_mib)}, and this VPS has {_gib(old.disk_mib)}: a disk can "
            "grow, but it cannot shrink without losing what is on it."
        )
    if product.memory_mib < template.min_memory_mib:
        return f"{template.title} needs {template.min_memory_mib} MiB of memory; {product.name} has {product.memory_mib}."
    return ""


def quote(session: Session, contract: Subscription, vps: Vps, price: Price, *, now: datetime) -> Quote:
    """Return what the change of a contract to a price means from today (UTC) on.

    The days left are charged at what the new price is renewed at: its own amount may be meant for new customers. The lower
    rate of a longer period is for who pays for one: until the next renewal its days cost what they do at the period that was
    paid for, where the product is sold for that.
    """
    today, offers = now.date(), price_list(session).offers
    if price.id not in offers:
        raise InvalidInput("This price cannot be read; its period or currency is wrong.", field="price_id")
    renewal = offers[price.id]
    account = session.get_one(Account, contract.account_id)
    company, decision = invoicing.tax_for(session, account, now=now)
    spans = worth.paid_spans(session, contract, worth.Pricing(company, decision))
    proration = Proration(
        credit=unused(spans, today=today, currency=price.currency),
        charge=max(
            (
                cost_of_days(
                    offer.amount,
                    offer.period,
                    today=today,
                    until=contract.paid_until,
                    anchor_day=contract.anchor_day,
                )
                for offer in _rates(session, contract, price, offers)
            ),
            key=lambda cost: cost.minor,
        ),
    )
    amounts = net_and_tax(
        [proration.charge, -proration.credit], decision, include_tax=company.prices_include_tax
    )
    zero = Money.zero(price.currency)
    net, tax = sum((net for net, _ in amounts), zero), sum((tax for _, tax in amounts), zero)
    return Quote(
        price=price,
        effective_on=today,
        until=contract.paid_until,
        proration=proration,
        net=net,
        tax=tax,
        gives_back=sum((part for _, part in to_credit(session, contract, -(net + tax))), zero),
        renewal=renewal,
        old=size_of(vps),
        new=size_of_product(price.product),
        is_running=vps.observed_power is Power.RUNNING,
    )


def unused_worth(session: Session, contract: Subscription, *, now: datetime) -> list[tuple[Invoice, Money]]:
    """Return what the days from today on are worth, with tax, as the parts of invoices that would be credited for them."""
    account = session.get_one(Account, contract.account_id)
    company, decision = invoicing.tax_for(session, account, now=now)
    spans = worth.paid_spans(session, contract, worth.Pricing(company, decision))
    currency = session.get_one(Price, contract.price_id).currency
    left = unused(spans, today=now.date(), currency=currency)
    [(net, tax)] = net_and_tax([left], decision, include_tax=company.prices_include_tax)
    return to_credit(session, contract, net + tax)


def to_credit(session: Session, contract: Subscription, amount: Money) -> list[tuple[Invoice, Money]]:
    """Return which parts of which invoices are credited to give an amount back; less when they do not have so much.

    Only what the present owner paid is given back: a former owner keeps invoices and money apart.
    """
    if amount.minor <= 0:
        return []
    ids = worth.invoice_ids(session, contract)
    return crediting.spread(session, crediting.paid_invoices(session, ids, contract.account_id), amount)


def candidates(session: Session, *, include_private: bool) -> Sequence[Price]:
    """Return the prices that contracts can be changed to, with their products, the smallest first."""
    # What has to be ordered with a product would come with no change, and not be paid for.
    has_to = sa.exists().where(Addon.product_id == Product.id, Addon.active, Addon.minimum > 0)
    query = (
        sa.select(Price)
        .join(Price.product)
        .where(Price.active, Price.renewal_of_id.is_(None), Product.active, ~has_to)
        .order_by(Product.memory_mib, Product.disk_mib, Product.id, Price.id)
        .options(joinedload(Price.product))
    )
    if not include_private:
        query = query.where(Product.private.is_(False))
    return session.scalars(query).all()


def _rates(
    session: Session, contract: Subscription, price: Price, offers: Mapping[int, Offer]
) -> Sequence[Offer]:
    """Return at which offers the days left could be charged: the price's own, and for a longer period than the one that was
    paid for also those of the product for that one.
    """
    own, paid_for = offers[price.id], _paid_period(session, contract)
    until = contract.paid_until
    if own.period.end(until) <= paid_for.end(until):
        return [own]
    same = sa.select(Price.id).where(
        Price.product_id == price.product_id,
        Price.currency == price.currency,
        Price.period_text == str(paid_for),
        Price.renewal_of_id.is_(None),
        sa.or_(Price.active, Price.id == contract.price_id),
    )
    found = (offers[key] for key in session.scalars(same) if key in offers)
    return [own, *(offer for offer in found if offer.period == paid_for)]


def _paid_period(session: Session, contract: Subscription) -> Period:
    """Return the period that a contract was last paid for."""
    settled = (
        sa.select(Price)
        .join(Renewal, Renewal.price_id == Price.id)
        .where(Renewal.subscription_id == contract.id, Renewal.settled_at.is_not(None))
        .order_by(Renewal.starts_on.desc())
        .limit(1)
    )
    last = session.scalar(settled)
    return last.period if last is not None else session.get_one(Order, contract.order_id).price.period


def _gib(mib: int) -> str:
    return f"{mib // 1024} GiB" if mib % 1024 == 0 else f"{mib} MiB"
