"""Run by Tryton's own Python: make a shop with so many running subscriptions, renew them all, print how many a second.

Usage: ``python tryton_renewals.py CONTRACTS``.
"""

from __future__ import annotations

import sys
import time
from datetime import date
from decimal import Decimal
from typing import Any

from proteus import Model, Wizard
from trytond.modules.account.tests.tools import create_chart, get_accounts
from trytond.modules.company.tests.tools import create_company, get_company
from trytond.tests.tools import activate_modules

BEGUN, RENEWED = date(2026, 10, 1), date(2026, 11, 1)
CHUNK = 50


def main(contracts: int) -> None:
    """Print the number of renewals a second."""
    activate_modules("sale_subscription")
    create_company()
    company = get_company()
    create_chart(company)
    monthly = recurrence()
    service = what_is_sold(get_accounts(company)["revenue"], monthly)
    subscribe(contracts, service, monthly)
    start = time.perf_counter()
    for wizard, day in (
        ("sale.subscription.line.consumption.create", BEGUN),
        ("sale.subscription.create_invoice", RENEWED),
    ):
        step = Wizard(wizard)
        step.form.date = day
        step.execute("create_")
    took = time.perf_counter() - start
    made = len(Model.get("account.invoice").find([]))
    if made != contracts:
        raise SystemExit(f"{made} invoices of {contracts} subscriptions")
    print(contracts / took)


def recurrence() -> Any:
    """Return the recurrence of every month, which a new one has by default."""
    monthly = Model.get("sale.subscription.recurrence.rule.set")(name="Monthly")
    (rule,) = monthly.rules
    rule.freq, rule.interval = "monthly", 1
    monthly.save()
    return monthly


def what_is_sold(revenue: Any, monthly: Any) -> Any:
    """Return the service of a product whose sales are booked as revenue."""
    category = Model.get("product.category")(name="VPS", accounting=True)
    category.account_revenue = revenue
    category.save()
    (unit,) = Model.get("product.uom").find([("name", "=", "Unit")])
    template = Model.get("product.template")(name="VPS", type="service", list_price=Decimal(10))
    template.default_uom, template.account_category = unit, category
    template.save()
    service = Model.get("sale.subscription.service")(
        product=template.products[0], consumption_recurrence=monthly
    )
    service.save()
    return service


def subscribe(contracts: int, service: Any, monthly: Any) -> None:
    """Let so many customers begin a contract on the first day."""
    subscriptions = Model.get("sale.subscription")
    parties = Model.get("party.party")
    for first in range(0, contracts, CHUNK):
        begun = []
        for number in range(first, min(first + CHUNK, contracts)):
            customer = parties(name=f"Customer {number}")
            customer.save()
            one = subscriptions(party=customer, start_date=BEGUN, invoice_start_date=RENEWED)
            one.invoice_recurrence = monthly
            line = one.lines.new()
            line.service, line.quantity = service, 1
            one.save()
            begun.append(one)
        subscriptions.click(begun, "quote")
        subscriptions.click(begun, "run")


if __name__ == "__main__":
    main(int(sys.argv[1]))
