"""Rows written in bulk are those that the models would write, and faults are those that SQLAlchemy would raise."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account, AuditEvent, Role, User
from domus.billing.models import Invoice, InvoiceState
from domus.db.bulk import among, insert_new_rows, insert_rows, take_ids, update_rows
from domus.db.engine import Database
from tests.support.builders import NOW

#: What arrays and COPY have a meaning of their own for.
AWKWARD = 'a "b" \\ {c},NULL\n\t\\N'
COLUMNS = ("id", "name", "email", "country", "created_at")


def accounts(db: Database, count: int) -> list[int]:
    with db.unit_of_work() as session:
        ids = list(take_ids(session, Account, count))
        rows = [(key, f"Näme {key}\t\\N", f"a{key}@example.org", "DE", NOW) for key in ids]
        insert_rows(session, Account, COLUMNS, rows)
    return ids


def test_rows_come_back_as_they_were_given(any_db: Database) -> None:
    ids = accounts(any_db, 3)
    with any_db.reading() as session:
        rows = session.scalars(sa.select(Account).order_by(Account.id)).all()
    assert [(row.id, row.name, row.created_at, row.language) for row in rows] == [
        (key, f"Näme {key}\t\\N", NOW, "en") for key in ids
    ]


def test_keys_are_taken_once_and_the_models_go_on_behind_them(any_db: Database) -> None:
    first, second = accounts(any_db, 2), accounts(any_db, 2)
    with any_db.unit_of_work() as session:
        single = Account(name="x", email="x@example.org", created_at=NOW)
        session.add(single)
    assert len({*first, *second, single.id}) == 5


def test_states_moments_and_json_are_stored_as_by_the_models(any_db: Database) -> None:
    columns = ("email", "role", "password_hash", "created_at", "must_change_password")
    moment = datetime(2026, 11, 20, 12, tzinfo=UTC)
    with any_db.unit_of_work() as session:
        insert_rows(session, User, columns, [("o@example.org", Role.OPERATOR, "x", moment, False)])
        event = ("at", "actor", "action", "object_type", "object_id", "reason", "details")
        insert_rows(session, AuditEvent, event, [(moment, "a", "b", "c", "1", "", {"k": [1, "ü"]})])
    with any_db.reading() as session:
        user = session.scalars(sa.select(User)).one()
        assert (user.role, user.created_at) == (Role.OPERATOR, moment)
        assert session.scalars(sa.select(AuditEvent)).one().details == {"k": [1, "ü"]}


def test_each_row_gets_values_of_its_own(any_db: Database) -> None:
    ids = accounts(any_db, 3)
    with any_db.unit_of_work() as session:
        found = update_rows(
            session, Account, ("id", "name", "created_at"), [(ids[0], AWKWARD, NOW), (ids[1], "NULL", NOW)]
        )
    assert found == 2
    with any_db.reading() as session:
        names = session.scalars(sa.select(Account.name).order_by(Account.id)).all()
    assert names == [AWKWARD, "NULL", f"Näme {ids[2]}\t\\N"]


def test_rows_that_are_there_already_are_left_out(any_db: Database) -> None:
    key, *_ = accounts(any_db, 2)
    given = [
        (key, "other", f"a{key}@example.org", "DE", NOW),
        (key + 9, AWKWARD, "new@example.org", "DE", NOW),
    ]
    with any_db.unit_of_work() as session:
        assert insert_new_rows(session, Account, COLUMNS, given) == 1
        assert insert_new_rows(session, Account, COLUMNS, given) == 0
        assert insert_new_rows(session, Account, COLUMNS, []) == 0
        names = session.scalars(sa.select(Account.name).order_by(Account.id)).all()
    assert names == [f"Näme {key}\t\\N", f"Näme {key + 1}\t\\N", AWKWARD]


def test_states_moments_and_json_among_new_rows_are_stored_as_by_the_models(any_db: Database) -> None:
    event = ("at", "actor", "action", "object_type", "object_id", "reason", "details", "account_id")
    with any_db.unit_of_work() as session:
        row = (NOW, "a", "b", "c", "1", "", {"k": [1, "ü"]}, None)
        assert insert_new_rows(session, AuditEvent, event, [row]) == 1
    with any_db.reading() as session:
        stored = session.scalars(sa.select(AuditEvent)).one()
    assert (stored.at, stored.details, stored.account_id) == (NOW, {"k": [1, "ü"]}, None)


def test_rows_are_found_by_one_of_many_values(any_db: Database) -> None:
    first, second, _ = accounts(any_db, 3)
    with any_db.reading() as session:
        query = sa.select(Account.id).order_by(Account.id)
        assert session.scalars(query.where(among(session, Account.id, {second, first, 99}))).all() == [
            first,
            second,
        ]
        assert session.scalars(query.where(among(session, Account.email, []))).all() == []


def test_no_json_is_no_value_where_the_model_says_so(any_db: Database) -> None:
    (account_id,) = accounts(any_db, 1)
    columns = (
        "account_id", "state", "currency", "net_minor", "tax_minor", "gross_minor", "issued_at", "seller", "buyer"
    )  # fmt: skip
    rest = (account_id, InvoiceState.OPEN, "EUR", 1, 0, 1, NOW)
    buyers = [None, {"name": "A"}, {"name": "A"}, None]
    with any_db.unit_of_work() as session:
        insert_rows(session, Invoice, columns, [(*rest, None, buyer) for buyer in buyers])
        assert session.scalars(sa.select(Invoice.buyer).order_by(Invoice.id)).all() == buyers
        assert session.scalar(sa.select(sa.func.count()).where(Invoice.seller.is_(sa.null()))) == 4


def test_a_row_that_is_refused_is_refused_as_by_the_models_and_keeps_its_secrets(any_db: Database) -> None:
    ids = accounts(any_db, 1)
    row = (ids[0] + 1, "secret", f"a{ids[0]}@example.org", "DE", NOW)
    with pytest.raises(sa.exc.IntegrityError) as refused, any_db.unit_of_work() as session:
        insert_rows(session, Account, COLUMNS, [row])
    assert "secret" not in str(refused.value)
    assert "@example.org" not in str(refused.value)
