"""The customer panel."""

from flask import Flask

from domus_web.customer import (
    account,
    cancellations,
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
    rooms = (
        public, orders, progress, vps, changes, cancellations, console, invoices, payments, account, referrals,
    )  # fmt: skip
    for room in rooms:
        app.register_blueprint(room.blueprint)
