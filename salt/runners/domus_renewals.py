"""
Domus for operators at the command line of the Salt master: contracts, and the run that keeps them going.

A VPS is named by its name or uuid. Whoever runs a command stands in the history with the reason given.
"""

import os
from datetime import date
from typing import TYPE_CHECKING, Any

import salt.utils.user

from domus.accounts.actor import Actor
from domus.core.clock import utc_now
from domus.core.errors import InvalidInput
from domus.core.refusals import told
from domus.db.engine import Database
from domus.db.shared import shared_database
from domus.gateways.registry import gateways_from
from domus.workflows import commissions, lookups
from domus.workflows.renewals import dunning, paying, running
from domus.workflows.renewals import preview as renewals_preview

if TYPE_CHECKING:
    __opts__: dict[str, Any] = {}

# See `domus_lists`.
__virtualname__ = "domus"


def __virtual__() -> str:
    return __virtualname__


@told
def renewals_run(preview: bool = False) -> dict[str, Any]:
    """
    Do all that is due for contracts: invoices, payments, reminders, suspensions, ends. Again, it does nothing.

    Salt's scheduler on the master calls this (``etc/salt/master.d/domus.conf``); two at once share the work.

    preview
        Tell what would be done, and do nothing. Defaults to False.

    CLI Example:

    .. code-block:: bash

        salt-run domus.renewals_run
        salt-run domus.renewals_run preview=True
    """
    db, now = _database(), utc_now()
    if preview:
        return {plan.name: plan.count for plan in renewals_preview.preview(db, now=now)}
    report = running.run(db, gateways=gateways_from(os.environ), now=now)
    earned = commissions.run(db, policy=commissions.policy_from(os.environ), now=now)
    done: dict[str, Any] = dict(report.counts())
    if report.failed:
        done["faults"] = {fault.subscription_id: fault.text for fault in report.faults}
        done["retcode"] = 1
    done.update({f"commissions_{name}": count for name, count in earned.counts().items()})
    if earned.faults:
        done["commission_faults"], done["retcode"] = earned.faults, 1
    return done


@told
def commissions_run() -> dict[str, Any]:
    """
    Earn, take back and credit the commissions that are due. Again, it does nothing; ``renewals_run`` does it at its end.

    CLI Example:

    .. code-block:: bash

        salt-run domus.commissions_run
    """
    report = commissions.run(_database(), policy=commissions.policy_from(os.environ), now=utc_now())
    done: dict[str, Any] = dict(report.counts())
    if report.faults:
        done["faults"], done["retcode"] = report.faults, 1
    return done


@told
def renewal_paid(invoice: int, reason: str) -> dict[str, Any]:
    """
    Book a renewal as paid by other means; its VPS comes back if it was down for want of it.

    invoice
        The id of its invoice.

    reason
        What the history says.

    CLI Example:

    .. code-block:: bash

        salt-run domus.renewal_paid 4711 reason='transfer of 20 November'
    """
    paid = paying.mark_paid(
        _database(), invoice_id=int(invoice), actor=_actor(), reason=str(reason), now=utc_now()
    )
    return {"invoice": str(paid.invoice), "paid_until": f"{paid.ends_on:%Y-%m-%d}"}


@told
def hold(vps: str, until: str, reason: str) -> dict[str, Any]:
    """
    Leave the contract of a VPS in peace until a day. A suspension that stands is not lifted by it.

    vps
        Its name or uuid.

    until
        The first day on which steps are taken again, as YYYY-MM-DD.

    reason
        What the history says.

    CLI Example:

    .. code-block:: bash

        salt-run domus.hold vps-6f1b2c3d 2027-01-31 reason='promised to pay'
    """
    db, day = _database(), _day(until)
    vps_id = lookups.vps_id(db, str(vps))
    dunning.hold(db, vps_id=vps_id, until=day, reason=str(reason), actor=_actor(), now=utc_now())
    return {"vps": vps, "held_until": f"{day:%Y-%m-%d}"}


@told
def end_hold(vps: str, reason: str) -> dict[str, Any]:
    """
    Let steps be taken about the contract of a VPS again, from the next run on.

    vps
        Its name or uuid.

    reason
        What the history says.

    CLI Example:

    .. code-block:: bash

        salt-run domus.end_hold vps-6f1b2c3d reason='did not keep the promise'
    """
    db = _database()
    vps_id = lookups.vps_id(db, str(vps))
    dunning.end_hold(db, vps_id=vps_id, reason=str(reason), actor=_actor(), now=utc_now())
    return {"vps": vps, "held_until": None}


def _day(text: object) -> date:
    # Salt reads 2027-01-31 as a day by itself.
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise InvalidInput(f"until is {text!r}; write a day as YYYY-MM-DD.", field="until") from None


def _actor() -> Actor:
    # sudo_alice for Alice as root.
    return Actor.shell(salt.utils.user.get_specific_user())


def _database() -> Database:
    return shared_database(__opts__.get("domus"), os.environ)
