"""What may happen to a deal besides being paid: each a small thing of its own, with chances of its own."""

from __future__ import annotations

import random
import uuid
from datetime import timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from domus.billing.models import Order, OrderState, Subscription
from domus.core.clock import iso_z
from domus.core.errors import DomusError
from domus.core.money import Money
from domus.gateways.interface import Outcome, Verdict
from domus.simulation.cards import Cards, Wallet
from domus.simulation.gateways import Taking
from domus.simulation.paying import card_of, pay, urls
from domus.simulation.setting import OPERATOR
from domus.simulation.world import Deal, Habit, World
from domus.vps.models import SuspensionReason, Vps, VpsState
from domus.workflows import orders, power, work
from domus.workflows.contracts import changing, offering
from domus.workflows.payments import charging
from domus.workflows.renewals import dunning
from domus.workflows.renewals import paying as renewal_payments


def after_failures(world: World) -> None:
    """Whoever's installation failed has it tried again, or takes the money back."""
    for failure in sorted(world.fleet.failed):
        vps_id = uuid.UUID(failure)
        deal = next(one for one in world.deals.values() if one.vps_id == vps_id)
        chances = world.stream("failed-installation", deal.invoice_id, deal.failures)
        deal.failures += 1
        world.later(chances, 0.2, 2, partial(_after_failure, world, deal, chances))
    world.fleet.failed.clear()


def _after_failure(world: World, deal: Deal, chances: random.Random) -> None:
    if _state(world, deal) is not VpsState.PROVISION_FAILED:
        return
    if chances.random() < 0.7:
        orders.retry(world.db, vps_id=deal.vps_id, actor=deal.customer.actor, now=world.now)
        world.counts["installations_retried"] += 1
    else:
        orders.refund(world.db, order_id=deal.order_id, actor=deal.customer.actor, now=world.now)
        world.note_move(deal.customer.account_id, deal.customer.currency)
        world.counts["refunds"] += 1


def second_thoughts(world: World, deal: Deal) -> None:
    """A few are given their money back by the operator, within two weeks or much later."""
    chances = world.stream("second-thoughts", deal.invoice_id)
    if chances.random() < 0.04:
        world.later(
            chances, *((1, 14) if chances.random() < 0.7 else (30, 200)), partial(_refund, world, deal)
        )


def _refund(world: World, deal: Deal) -> None:
    with world.db.reading() as session:
        state = session.scalar(sa.select(Order.state).where(Order.id == deal.order_id))
    if state in (OrderState.PAID, OrderState.FULFILLED):
        orders.refund(
            world.db, order_id=deal.order_id, actor=OPERATOR, reason="second thoughts", now=world.now
        )
        # The gateway is asked for it later.
        world.note_move(deal.customer.account_id, deal.customer.currency)
        world.counts["refunds"] += 1


def disputes(world: World, deal: Deal) -> None:
    """A few contest what was charged; most of that is lost."""
    chances = world.stream("disputes", deal.invoice_id)
    if chances.random() < 0.03:
        world.later(chances, 3, 120, partial(_dispute, world, deal, chances))


def _dispute(world: World, deal: Deal, chances: random.Random) -> None:
    found = _newest_taking(world, deal)
    if found is None:
        return
    gateway, taking = found
    quarrel = gateway.dispute(taking)
    world.counts["disputes"] += 1
    verdict = Verdict.WON if chances.random() < 0.4 else Verdict.LOST
    # The gateway decides, whether anybody is there or not.
    world.agenda.after(
        timedelta(days=chances.uniform(3, 30)), partial(gateway.decide_dispute, quarrel, verdict)
    )


def refunds_at_the_gateway(world: World, deal: Deal) -> None:
    """Now and then somebody gives a part back at the gateway, and not at the shop."""
    chances = world.stream("refund-outside", deal.invoice_id)
    if chances.random() < 0.01:
        world.later(chances, 3, 90, partial(_refund_outside, world, deal, chances))


def _refund_outside(world: World, deal: Deal, chances: random.Random) -> None:
    found = _newest_taking(world, deal)
    if found is not None:
        gateway, taking = found
        gateway.give_back_itself(taking, max(1, taking.minor * chances.randint(10, 100) // 100))
        world.counts["refunds_at_gateways"] += 1


def own_will(world: World, deal: Deal) -> None:
    """Some switch their VPS off for a while, from the panel or from inside."""
    chances = world.stream("own-will", deal.invoice_id)
    if chances.random() < 0.1:
        world.later(chances, 2, 200, partial(_switch_off, world, deal, chances, chances.random() < 0.5))


def _switch_off(world: World, deal: Deal, chances: random.Random, from_inside: bool) -> None:
    guest = world.fleet.guest_of(deal.vps_id)
    if guest is None or guest.power != "running" or _state(world, deal) is not VpsState.ACTIVE:
        return
    if from_inside:
        guest.power, guest.reason, guest.since = "stopped", "guest", world.now
        change: dict[str, Any] = {
            "uuid": str(deal.vps_id), "power": "stopped", "power_reason": "guest", "at": iso_z(world.now),
        }  # fmt: skip
        minion = world.fleet.minion_of(deal.vps_id)
        work.record_power(world.db, minion_id=minion, changes=[change], now=world.now)
    else:
        power.shutdown(world.db, vps_id=deal.vps_id, actor=deal.customer.actor, now=world.now)
    deal.wants_off, deal.changed_at = True, world.now
    world.later(chances, 1, 40, partial(_switch_on, world, deal, chances))


def _switch_on(world: World, deal: Deal, chances: random.Random) -> None:
    try:
        power.start(world.db, vps_id=deal.vps_id, actor=deal.customer.actor, now=world.now)
    except DomusError:
        # Suspended; they try again.
        world.later(chances, 10, 20, partial(_switch_on, world, deal, chances))
        raise
    deal.wants_off, deal.changed_at = False, world.now


def misbehaviour(world: World, deal: Deal) -> None:
    """A few are suspended for what their VPS does, and released when it is cleaned up."""
    chances = world.stream("misbehaviour", deal.invoice_id)
    if chances.random() < 0.05:
        world.later(chances, 5, 250, partial(_lock, world, deal, chances))


def _lock(world: World, deal: Deal, chances: random.Random) -> None:
    power.suspend(
        world.db, vps_id=deal.vps_id, suspension=SuspensionReason.ABUSE, note="spam", actor=OPERATOR, now=world.now
    )  # fmt: skip
    deal.is_locked, deal.changed_at = True, world.now
    world.later(chances, 1, 30, partial(_unlock, world, deal))


def _unlock(world: World, deal: Deal) -> None:
    power.release(
        world.db, vps_id=deal.vps_id, suspension=SuspensionReason.ABUSE, note="clean", actor=OPERATOR, now=world.now
    )  # fmt: skip
    deal.is_locked, deal.changed_at = False, world.now


def patience(world: World, deal: Deal) -> None:
    """Some are left in peace by the operator for a while, whether they pay or not."""
    chances = world.stream("patience", deal.invoice_id)
    if chances.random() < 0.03:
        world.later(chances, 30, 300, partial(_hold, world, deal, chances))


def _hold(world: World, deal: Deal, chances: random.Random) -> None:
    until = world.now.date() + timedelta(days=chances.randint(2, 40))
    dunning.hold(
        world.db, vps_id=deal.vps_id, until=until, reason="they asked for time", actor=OPERATOR, now=world.now
    )  # fmt: skip
    deal.holds.append((world.now, until))
    world.counts["holds"] += 1


def eagerness(world: World, deal: Deal) -> None:
    """Some renew early, some of those for another period; some only look at it."""
    chances = world.stream("eagerness", deal.invoice_id)
    if chances.random() < 0.08:
        world.later(chances, 5, 250, partial(_renew_early, world, deal, chances))


def _renew_early(world: World, deal: Deal, chances: random.Random) -> None:
    with world.db.reading() as session:
        contract = session.scalar(sa.select(Subscription).where(Subscription.order_id == deal.order_id))
        offered = [] if contract is None else [price.id for price in contract.price.renewals if price.active]
    price_id = chances.choice(offered) if offered and chances.random() < 0.6 else None
    renewal = renewal_payments.ask(
        world.db, vps_id=deal.vps_id, price_id=price_id, actor=deal.customer.actor, now=world.now
    )
    world.own_choice.add(renewal.invoice_id)
    world.counts["renewals_opened_early"] += 1
    if chances.random() < 0.8:
        pay(world, deal.customer, renewal.invoice_id, tries=5)


def growth(world: World, deal: Deal) -> None:
    """Some take another size or period, some agree and never pay, some agree to what it costs no more."""
    chances = world.stream("growth", deal.invoice_id)
    if chances.random() < 0.15:
        world.later(chances, 5, 150, partial(_change, world, deal, chances))


def _change(world: World, deal: Deal, chances: random.Random) -> None:
    customer = deal.customer
    options = offering.options(world.db, vps_id=deal.vps_id, actor=customer.actor, now=world.now)
    possible = [(option.price.id, option.quote.answer) for option in options if option.quote is not None]
    if not possible:
        return
    price_id, shown = chances.choice(possible)
    if chances.random() < 0.1:
        shown = shown + Money(1, shown.currency)
    change = changing.agree(
        world.db, vps_id=deal.vps_id, price_id=price_id, shown=shown, restart=chances.random() < 0.5,
        hold=timedelta(days=4), actor=customer.actor, now=world.now,
    )  # fmt: skip
    world.note_move(customer.account_id, customer.currency)
    world.counts["changes_agreed"] += 1
    if change.invoice_id is not None and chances.random() < 0.85:
        pay(world, customer, change.invoice_id)
    if chances.random() < 0.3:
        world.later(chances, 1, 60, partial(_change, world, deal, chances))


def new_cards(world: World, deal: Deal) -> None:
    """Some remove their card, or save another one."""
    chances = world.stream("new-cards", deal.invoice_id)
    if deal.customer.habit is Habit.CARD and chances.random() < 0.08:
        world.later(chances, 20, 250, partial(_remove_card, world, deal, chances))


def _remove_card(world: World, deal: Deal, chances: random.Random) -> None:
    customer = deal.customer
    for method in charging.methods(world.db, account_id=customer.account_id, actor=customer.actor):
        charging.remove_method(
            world.db, world.gateways, method_id=method.id, actor=customer.actor, now=world.now
        )
    world.counts["cards_removed"] += 1
    if chances.random() < 0.5:
        world.later(chances, 1, 20, partial(_save_card, world, deal, chances))


def _save_card(world: World, deal: Deal, chances: random.Random) -> None:
    customer = deal.customer
    answer = charging.begin_saving(
        world.db, world.gateways, account_id=customer.account_id, gateway="cards", currency=customer.currency,
        actor=customer.actor, now=world.now, urls=urls,
    )  # fmt: skip
    world.cards.save_at_page(answer.reference, card_of(world, customer, chances))
    world.counts["cards_saved_without_paying"] += 1


def _newest_taking(world: World, deal: Deal) -> tuple[Cards | Wallet, Taking] | None:
    """Return the newest payment of a customer at a gateway that is whole."""
    for gateway in (world.cards, world.wallet):
        mine = [one for one in gateway.takings.values() if one.account_id == deal.customer.account_id]
        if mine and gateway.left_of(mine[-1]) == mine[-1].minor:
            return gateway, mine[-1]
    return None


def _state(world: World, deal: Deal) -> VpsState | None:
    with world.db.reading() as session:
        return session.scalar(sa.select(Vps.state).where(Vps.id == deal.vps_id))


#: All of them; a new one is added here.
MOODS = (
    second_thoughts, disputes, refunds_at_the_gateway, own_will, misbehaviour, patience, eagerness,
    growth, new_cards,
)  # fmt: skip


def decide_later(world: World) -> None:
    """Have gateways decide what they left open a day or two ago."""
    for attempt_id, bill in list(world.cards.undecided.items()):
        chances = world.stream("undecided", bill.invoice_id)
        world.cards.decide(attempt_id, paid=chances.random() < 0.8)
    for gateway in (world.cards, world.wallet):
        for one in list(gateway.returns.values()):
            if one.outcome is Outcome.PENDING:
                good = world.stream("pending-refund", one.reference).random() < 0.8
                gateway.decide_refund(one.reference, Outcome.DONE if good else Outcome.FAILED)
