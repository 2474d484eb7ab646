"""What must hold of an order whatever happened on the way: one VPS, one set of addresses, one invoice."""

from __future__ import annotations

import uuid

import sqlalchemy as sa

from domus.billing.models import Invoice, InvoiceState, Payment, Subscription
from domus.db.engine import Database
from domus.inventory.models import AddressHistory, AddressState, IpAddress
from domus.vps.models import Reservation, Vps
from domus.workflows import billing


def assert_sold_once(db: Database, order_id: str) -> uuid.UUID:
    """Check that an order was sold exactly once; return the uuid of its VPS."""
    order = uuid.UUID(order_id)
    with db.reading() as session:
        machines = session.scalars(sa.select(Vps).where(Vps.order_id == order)).all()
        assert len(machines) == 1
        vps_id = machines[0].id
        held = session.scalars(sa.select(IpAddress).where(IpAddress.vps_id == vps_id)).all()
        assert {address.state for address in held} == {AddressState.ASSIGNED}
        families = sorted(":" in address.address for address in held)
        assert families == [False, True]
        open_history = sa.select(AddressHistory.address).where(
            AddressHistory.vps_id == vps_id, AddressHistory.until_at.is_(None)
        )
        assert sorted(session.scalars(open_history)) == sorted(address.address for address in held)
        invoices = session.scalars(sa.select(Invoice).where(Invoice.order_id == order)).all()
        assert [invoice.state for invoice in invoices] == [InvoiceState.PAID]
        paid = sa.select(sa.func.count()).select_from(Payment).where(Payment.invoice_id == invoices[0].id)
        assert session.scalar(paid) == 1
        contracts = sa.select(sa.func.count()).select_from(Subscription).where(Subscription.order_id == order)
        assert session.scalar(contracts) == 1
        assert session.get(Reservation, vps_id) is not None
    assert billing.check_ledger(db) == []
    return vps_id
