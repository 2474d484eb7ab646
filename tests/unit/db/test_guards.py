"""What the database refuses even when it is asked directly."""

import uuid
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from domus.billing import ledger
from domus.billing.models import LedgerEntry, LedgerTransaction, Order
from domus.core.money import Money
from domus.db.engine import Database
from domus.inventory.models import AddressHistory, Dom0
from domus.vps.models import Power, Reservation, Vps, VpsState
from tests.support.builders import NOW, make_dom0, make_location, make_product_with_price, make_template
from tests.support.people import make_people


@pytest.fixture
def dom0(any_db: Database) -> Dom0:
    return make_dom0(
        any_db, make_location(any_db), memory_capacity_mib=1000, disk_capacity_mib=20_000, vcpus_capacity=4
    )


@pytest.fixture
def make_vps(any_db: Database, dom0: Dom0) -> Callable[[], Vps]:
    people = make_people(any_db)
    price, template = make_product_with_price(any_db), make_template(any_db)
    numbers = iter(range(1, 100))

    def make() -> Vps:
        number = next(numbers)
        order = Order(
            number=number, account_id=people.acme.id, price_id=price.id, request_token=str(number), placed_at=NOW,
            hold_until=NOW,
        )  # fmt: skip
        vps = Vps(
            id=uuid.uuid4(), name=f"vps-{number}", account_id=people.acme.id, order=order, product_id=price.product_id,
            template_id=template.id, dom0_id=dom0.id, state=VpsState.RESERVED, state_since=NOW, created_at=NOW,
            hostname="a.example.org", memory_mib=500, vcpus=1, cpu_weight=256, cpu_cap_percent=0,
            wanted_power=Power.STOPPED, observed_power=Power.ABSENT,
        )  # fmt: skip
        with any_db.unit_of_work() as session:
            session.add(vps)
        return vps

    return make


def reserve(db: Database, vps: Vps, *, memory_mib: int = 500, disk_mib: int = 1000, vcpus: int = 1) -> None:
    with db.unit_of_work() as session:
        session.add(
            Reservation(
                vps_id=vps.id, dom0_id=vps.dom0_id, memory_mib=memory_mib, disk_mib=disk_mib, vcpus=vcpus
            )
        )


def taken(db: Database, dom0: Dom0) -> tuple[int, int, int]:
    with db.reading() as session:
        row = session.get_one(Dom0, dom0.id)
        return row.memory_reserved_mib, row.disk_reserved_mib, row.vcpus_reserved


def test_reservations_are_added_up_on_their_dom0(
    any_db: Database, dom0: Dom0, make_vps: Callable[[], Vps]
) -> None:
    first, second = make_vps(), make_vps()
    reserve(any_db, first)
    reserve(any_db, second, memory_mib=300, disk_mib=2000, vcpus=2)
    assert taken(any_db, dom0) == (800, 3000, 3)
    with any_db.unit_of_work() as session:
        session.execute(sa.update(Reservation).where(Reservation.vps_id == second.id).values(memory_mib=100))
    assert taken(any_db, dom0) == (600, 3000, 3)
    with any_db.unit_of_work() as session:
        session.execute(sa.delete(Reservation).where(Reservation.vps_id == first.id))
    assert taken(any_db, dom0) == (100, 2000, 2)


@pytest.mark.parametrize("too_much", [{"memory_mib": 501}, {"disk_mib": 19_001}, {"vcpus": 4}])
def test_what_a_dom0_has_is_not_sold_twice(
    any_db: Database, dom0: Dom0, make_vps: Callable[[], Vps], too_much: dict[str, int]
) -> None:
    reserve(any_db, make_vps())
    second = make_vps()
    with pytest.raises(IntegrityError):
        reserve(any_db, second, **too_much)
    assert taken(any_db, dom0) == (500, 1000, 1)


def test_a_reservation_cannot_grow_past_the_capacity(
    any_db: Database, dom0: Dom0, make_vps: Callable[[], Vps]
) -> None:
    vps = make_vps()
    reserve(any_db, vps)
    with pytest.raises(IntegrityError), any_db.unit_of_work() as session:
        session.execute(sa.update(Reservation).where(Reservation.vps_id == vps.id).values(memory_mib=1001))


def test_a_capacity_cannot_shrink_below_what_is_sold(
    any_db: Database, dom0: Dom0, make_vps: Callable[[], Vps]
) -> None:
    reserve(any_db, make_vps())
    with pytest.raises(IntegrityError), any_db.unit_of_work() as session:
        session.execute(sa.update(Dom0).values(memory_capacity_mib=499))


HISTORY = {
    "ledger_transaction": "INSERT INTO ledger_transaction (id, at, kind, reference, actor, details) "
    "VALUES (1, '2026-11-20 12:00:00', 'invoice', 'invoice:1', 'test', '{}')",
    "audit_event": "INSERT INTO audit_event (id, at, actor, action, object_type, object_id, reason, details) "
    "VALUES (1, '2026-11-20 12:00:00', 'test', 'order.paid', 'order', '1', '', '{}')",
}


@pytest.mark.parametrize("table", HISTORY)
@pytest.mark.parametrize("change", ["UPDATE {} SET actor = 'somebody else'", "DELETE FROM {}"])
def test_history_cannot_be_rewritten(any_db: Database, table: str, change: str) -> None:
    with any_db.unit_of_work() as session:
        session.execute(sa.text(HISTORY[table]))
    with pytest.raises(IntegrityError, match=f"{table} is append only"), any_db.unit_of_work() as session:
        session.execute(sa.text(change.format(table)))
    with any_db.reading() as session:
        assert session.scalar(sa.text(f"SELECT actor FROM {table}")) == "test"


@pytest.mark.parametrize("change", ["UPDATE ledger_entry SET amount_minor = 0", "DELETE FROM ledger_entry"])
def test_ledger_entries_cannot_be_rewritten(any_db: Database, change: str) -> None:
    people = make_people(any_db)
    ten = Money(1000, "USD")
    with any_db.unit_of_work() as session:
        ledger.book(
            session, "test", "test:1", [("cash", ten), ("revenue", -ten)], actor=people.as_olga, now=NOW
        )
    with pytest.raises(IntegrityError, match="ledger_entry is append only"), any_db.unit_of_work() as session:
        session.execute(sa.text(change))


def test_the_history_of_a_vps_cannot_be_rewritten(any_db: Database, make_vps: Callable[[], Vps]) -> None:
    vps = make_vps()
    insert = sa.text(
        "INSERT INTO vps_transition (id, vps_id, at, kind, old, new, actor, reason) "
        "VALUES (1, :vps, '2026-11-20 12:00:00', 'state', 'reserved', 'provisioning', 'test', '')"
    ).bindparams(sa.bindparam("vps", type_=sa.Uuid()))
    with any_db.unit_of_work() as session:
        session.execute(insert, {"vps": vps.id})
    for change in ("UPDATE vps_transition SET new = 'active'", "DELETE FROM vps_transition"):
        with (
            pytest.raises(IntegrityError, match="vps_transition is append only"),
            any_db.unit_of_work() as session,
        ):
            session.execute(sa.text(change))


def test_the_end_of_an_address_holding_is_written_once(any_db: Database) -> None:
    with any_db.unit_of_work() as session:
        session.add(AddressHistory(address="192.0.2.10", vps_id=uuid.uuid4(), account_id=1, from_at=NOW))
    with any_db.unit_of_work() as session:
        session.execute(sa.update(AddressHistory).values(until_at=NOW))
    for values in ({"until_at": None}, {"account_id": 2}, {"until_at": NOW, "address": "192.0.2.11"}):
        with pytest.raises(IntegrityError, match="only until_at"), any_db.unit_of_work() as session:
            session.execute(sa.update(AddressHistory).values(**values))
    with pytest.raises(IntegrityError, match="append only"), any_db.unit_of_work() as session:
        session.execute(sa.delete(AddressHistory))


def test_an_address_has_one_holder_at_a_time(any_db: Database) -> None:
    holders = [
        AddressHistory(address="192.0.2.10", vps_id=uuid.uuid4(), account_id=1, from_at=NOW) for _ in range(2)
    ]
    with pytest.raises(IntegrityError), any_db.unit_of_work() as session:
        session.add_all(holders)


@pytest.mark.postgres
def test_postgresql_refuses_a_booking_that_does_not_sum_to_zero(postgres_db: Database) -> None:
    def entry(account: str, minor: int) -> LedgerEntry:
        return LedgerEntry(ledger_account=account, currency="USD", amount_minor=minor)

    unbalanced = [entry("cash", 1000), entry("revenue", -999)]
    with pytest.raises(IntegrityError, match="does not sum to zero"), postgres_db.unit_of_work() as session:
        session.add(
            LedgerTransaction(
                at=NOW, kind="test", reference="test:1", actor="test", details={}, entries=unbalanced
            )
        )
