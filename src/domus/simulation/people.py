"""People: they sign up, order, read their mail, and pay or do not."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import sqlalchemy as sa

from domus.accounts.actor import Actor
from domus.billing.models import Invoice, InvoiceState, Order
from domus.core.errors import InvalidInput
from domus.renewals.models import Renewal
from domus.simulation.paying import pay
from domus.simulation.setting import COUNTRIES, COUPONS, SHARES, VAT_NUMBERS, rate_of
from domus.simulation.world import Customer, Deal, Habit, World
from domus.vps.models import Vps
from domus.workflows import accounts, billing_data, orders
from domus.workflows.billing_data import BillingData
from domus.workflows.orders import OrderRequest

#: So long an order keeps its place: transfers take days, and some come too late.
HOLD = timedelta(days=4)
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIGqKJaHcvTUYZVPNpOJxPZrlHnXMXBvPPnFBqjTrp1h simulated"

HABITS = ((Habit.CARD, 45), (Habit.WALLET, 20), (Habit.BANK, 20), (Habit.PREPAID, 15))

Thing = TypeVar("Thing")

#: What somebody does with a deal that was just struck; `moods` has them.
Mood = Callable[[World, Deal], None]


def invite(world: World, moods: tuple[Mood, ...]) -> None:
    """Have everybody sign up some day; nobody comes in the last tenth of the time."""
    hours = world.plan.days * 24
    for number in range(world.plan.accounts):
        chances = world.stream("sign-up", number)
        moment = world.plan.begin + timedelta(hours=chances.uniform(0, max(1, hours * 0.9)))
        world.at_daytime(chances, moment, partial(_sign_up, world, number, moods))


def _sign_up(world: World, number: int, moods: tuple[Mood, ...]) -> None:
    chances = world.stream("person", number)
    habit = _one_of(chances, HABITS)
    country = _one_of(chances, [(name, share) for name, (share, _) in COUNTRIES.items()])
    is_business = country in VAT_NUMBERS and chances.random() < 0.25
    address = f"100.{64 + number // 62500}.{number // 250 % 250}.{number % 250}"
    user = accounts.sign_up(
        world.db, name=f"Customer {number}", email=f"customer{number}@example.org",
        password=f"simulated {number} 8 words", country=country, remote_address=address, now=world.now,
    )  # fmt: skip
    assert user.account_id is not None  # noqa: S101 - customers have one
    customer = Customer(
        number=number, account_id=user.account_id, actor=Actor.of(user), habit=habit,
        currency=_one_of(chances, list(SHARES.items())),
        millipercent=rate_of(country, is_business=is_business),
    )  # fmt: skip
    data = BillingData(
        name=f"Customer {number}", company="Works" if is_business else "", address="Street 1\nTown", country=country,
        vat_number=VAT_NUMBERS[country] if is_business else "", language=chances.choice(("en", "de", "fr", "zh")),
    )  # fmt: skip
    billing_data.save(world.db, account_id=user.account_id, data=data, actor=customer.actor, now=world.now)
    world.customers[user.account_id] = customer
    world.counts["sign_ups"] += 1
    _order(world, customer, moods, ordinal=0)
    if chances.random() < 0.25:
        world.later(chances, 10, 150, partial(_order, world, customer, moods, ordinal=1))


def _order(world: World, customer: Customer, moods: tuple[Mood, ...], *, ordinal: int) -> None:
    chances = world.stream("order", customer.number, ordinal)
    offers = [offer for offer in world.setting.offers if offer.currency == customer.currency]
    offer = chances.choices(offers, [offer.share for offer in offers])[0]
    request = OrderRequest(
        account_id=customer.account_id, price_id=offer.price_id, location_id=chances.choice(world.setting.locations),
        template_id=world.setting.template_id, hostname=f"h{customer.number}-{ordinal}.example.org", ssh_keys=SSH_KEY,
        root_password=None, request_token=f"{customer.number}-{ordinal}",
    )  # fmt: skip
    if chances.random() < 0.2:
        request = replace(request, coupon=chances.choice(list(COUPONS)))
    try:
        order = orders.place(world.db, request, actor=customer.actor, now=world.now, hold=HOLD)
    except InvalidInput:
        # It is used up, or not for this; they order without it.
        world.counts["coupons_refused"] += 1
        request = replace(request, coupon="")
        order = orders.place(world.db, request, actor=customer.actor, now=world.now, hold=HOLD)
    world.counts["coupons_used"] += bool(request.coupon)
    if chances.random() < 0.05:
        # The same form sent twice is one order.
        orders.place(world.db, request, actor=customer.actor, now=world.now, hold=HOLD)
    deal = _strike(world, order, customer, coupon=request.coupon)
    kind = chances.random()
    if kind < 0.03:
        world.later(chances, 0.1, 2, partial(_cancel, world, deal))
    elif kind < 0.97:
        world.agenda.after(
            timedelta(minutes=chances.uniform(1, 30)),
            partial(world.attempt, partial(pay, world, customer, deal.invoice_id)),
        )
    for mood in moods:
        mood(world, deal)


def _strike(world: World, order: Order, customer: Customer, *, coupon: str) -> Deal:
    with world.db.reading() as session:
        vps_id = session.scalars(sa.select(Vps.id).where(Vps.order_id == order.id)).one()
    deal = Deal(
        order_id=order.id, vps_id=vps_id, invoice_id=order.invoice.id, customer=customer, coupon=coupon
    )
    world.deals[deal.invoice_id] = deal
    world.counts["orders"] += 1
    return deal


def _cancel(world: World, deal: Deal) -> None:
    orders.cancel(world.db, order_id=deal.order_id, actor=deal.customer.actor, now=world.now)
    world.counts["orders_cancelled_by_hand"] += 1


class Letterbox:
    """What was asked of people that they have not made up their minds about yet."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last = 0

    def read(self) -> None:
        """Let everybody read what they were asked to pay since the last time."""
        world = self._world
        query = (
            sa.select(Invoice.id, Invoice.account_id, Renewal.starts_on)
            .join(Renewal, Renewal.invoice_id == Invoice.id)
            .where(Invoice.id > self._last, Invoice.state == InvoiceState.OPEN)
            .order_by(Invoice.id)
        )
        with world.db.reading() as session:
            rows = session.execute(query).all()
            self._last = session.scalar(sa.select(sa.func.max(Invoice.id))) or self._last
        for invoice_id, account_id, starts_on in rows:
            customer = world.customers[account_id]
            due = datetime.combine(starts_on, world.now.timetz())
            self._decide(customer, invoice_id, due)

    def _decide(self, customer: Customer, invoice_id: int, due: datetime) -> None:
        """Decide when to pay: mostly in time, sometimes only when the VPS is down, sometimes never."""
        world = self._world
        chances = world.stream("decide", customer.number, invoice_id)
        kind = chances.random()
        if customer.habit is Habit.CARD:
            # The card is charged by itself; only who is told that it was refused has to do something.
            days = chances.uniform(2, 13) if kind < 0.75 else chances.uniform(16, 30)
        elif kind < 0.80:
            days = chances.uniform(-8, 4)
        else:
            days = chances.uniform(5, 14) if kind < 0.87 else chances.uniform(15, 31)
        if kind > 0.97:
            world.counts["never_meant_to_pay"] += 1
            return
        moment = max(due + timedelta(days=days), world.now + timedelta(hours=1))
        world.at_daytime(chances, moment, partial(pay, world, customer, invoice_id))


def _one_of(chances: random.Random, shares: Iterable[tuple[Thing, int]]) -> Thing:
    names, weights = zip(*shares, strict=True)
    chosen: Thing = chances.choices(names, weights)[0]
    return chosen
