"""The end of a contract, whatever led to it: its VPS stops, and is removed when its grace time is over.

Works in the caller's transaction, which holds VPS and contract locked.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.billing.models import Subscription
from domus.provisioning import outbox
from domus.provisioning import services as provisioning
from domus.provisioning.models import JobKind
from domus.vps import services as vps_services
from domus.vps.models import Vps


def end(
    session: Session,
    vps: Vps,
    contract: Subscription,
    *,
    grace: timedelta,
    reason: str,
    actor: Actor,
    now: datetime,
) -> datetime:
    """End a contract; return from when on its VPS is wiped."""
    wiped_from = now + grace
    vps_services.transition(session, vps.id, "remove", actor=actor, reason=reason, now=now)
    revision = vps_services.want_absent(
        session, vps.id, not_before=wiped_from, actor=actor, reason=reason, now=now
    )
    provisioning.ask_dom0(
        session, vps.id, JobKind.REMOVE, revision=revision, actor=actor, reason=reason, now=now,
        tag=outbox.SUBSCRIPTION_ENDED,
    )  # fmt: skip
    contract.ended_on = now.date()
    session.flush()
    return wiped_from
