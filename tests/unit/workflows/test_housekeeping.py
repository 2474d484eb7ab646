"""What is thrown away, when, and what never is."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from domus.accounts.models import AuditEvent, LoginFailure, LoginSession
from domus.db.engine import Database
from domus.provisioning.models import Dom0Run, OutboxMessage
from domus.vps.models import VpsTransition
from domus.workflows import housekeeping
from tests.support.order_shop import NOW, make_shop

SECOND = timedelta(seconds=1)


def counts(db: Database) -> dict[str, int]:
    models = (LoginFailure, LoginSession, OutboxMessage, Dom0Run, AuditEvent, VpsTransition)
    with db.reading() as session:
        return {
            model.__name__: session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
            for model in models
        }


def test_what_ended_long_ago_goes_and_what_is_open_or_history_stays(any_db):
    shop = make_shop(any_db)
    shop.active()
    with any_db.unit_of_work() as session:
        session.execute(sa.update(OutboxMessage).values(done_at=NOW))
        session.add(OutboxMessage(tag="t", payload={}, created_at=NOW, next_attempt_at=NOW))
        session.add(Dom0Run(dom0_id=shop.dom0s[0].id, started_at=NOW, lease_until=NOW))
        session.add(LoginFailure(key="email:a", at=NOW))
        session.add(
            LoginSession(
                token_hash="0" * 64, user_id=shop.people.alice.id, created_at=NOW, seen_at=NOW,
                expires_at=NOW + timedelta(days=40), remote_address="192.0.2.1",
            )
        )  # fmt: skip
    before = counts(any_db)
    assert housekeeping.clean_up(any_db, now=NOW + SECOND) == 0
    assert housekeeping.clean_up(any_db, now=NOW + housekeeping.KEEP + timedelta(hours=1)) > 0
    after = counts(any_db)
    assert (after["OutboxMessage"], after["Dom0Run"], after["LoginFailure"]) == (1, 1, 0)
    assert {name: after[name] for name in ("AuditEvent", "VpsTransition", "LoginSession")} == {
        name: before[name] for name in ("AuditEvent", "VpsTransition", "LoginSession")
    }
    housekeeping.clean_up(any_db, now=NOW + timedelta(days=41))
    assert counts(any_db)["LoginSession"] == 0
