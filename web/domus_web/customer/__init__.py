"""The customer panel."""

from flask import Flask

from domus_web.customer import (
    account,
    changes,
    console,
    history,
    invoices,
    orders,
    payments,
    progress,
    public,
    referrals,
    vps,
)


def register(app: Flask) -> None:
    """Add the customer panel's pages to *app*."""
    app.add_template_filter(history.sentence, "history")
    for room in (public, orders, progress, vps, changes, console, invoices, payments, account, referrals):
        app.register_blueprint(room.blueprint)
