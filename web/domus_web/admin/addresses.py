"""Addresses: who holds each, and who ever did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import request
from markupsafe import Markup
from sqlalchemy.orm import Session, joinedload

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.db.engine import Database
from domus.inventory.models import AddressHistory, AddressState, IpAddress
from domus.vps.models import Vps
from domus.workflows import inventory
from domus_web.operator.acting import ActingView
from domus_web.operator.acts import Act, ActForm, Doing
from domus_web.operator.choices import Of, by_state
from domus_web.operator.columns import NOTHING, link, state, when
from domus_web.operator.editing import Deletable
from domus_web.operator.keyset import Ordering
from domus_web.operator.reading import reading
from domus_web.operator.searching import parse_address

HISTORY_SHOWN = 200


def _withhold(doing: Doing) -> str:
    _set_withheld(doing, withheld=True)
    return f"{doing.model} is kept out of sale."


def _release(doing: Doing) -> str:
    _set_withheld(doing, withheld=False)
    return f"{doing.model} is on sale again."


def _set_withheld(doing: Doing, *, withheld: bool) -> None:
    inventory.set_address_withheld(
        doing.db, address_id=doing.model.id, withheld=withheld, actor=doing.actor, now=doing.now
    )


def _holder(view: Any, _context: Any, row: IpAddress, _name: str) -> Markup:
    if row.vps_id is None:
        return NOTHING
    names = view.beside("holders", {})
    return link("operator_vps.details_view", names.get(row.vps_id, row.vps_id), id=row.vps_id)


class AddressView(Deletable, ActingView):
    """All addresses."""

    singular = "Address"
    intro = "Every address of every pool: free, held by a VPS, resting after it was given back, or withheld."
    empty_message = "Addresses are added as ranges on the page of an IP pool."
    details_template = "operator/address.html"
    delete_consequence = "The address is taken out of its pool. Who held it when stays in the history."
    column_list = ("address", "state", "pool", "holder", "free_again_at")
    column_details_list = column_list
    column_labels = {"free_again_at": "Free again"}
    column_formatters = {
        "state": state("state"),
        "pool": lambda _v, _c, row, _n: link("operator_pools.details_view", row.pool.network, id=row.pool_id),
        "holder": _holder,
        "free_again_at": when("free_again_at", "not resting"),
    }
    default_order = ("id", False)
    list_options = details_options = (joinedload(IpAddress.pool),)
    choices = (by_state(IpAddress.state, AddressState), Of("pool", "pool", IpAddress.pool_id))
    search_hint = "Address"
    acts = (
        Act(
            name="withhold",
            label="Withhold",
            run=_withhold,
            offered=lambda address: address.state in (AddressState.FREE, AddressState.QUARANTINED),
            consequence=lambda address: f"{address} is given to no VPS until it is released.",
            form=ActForm,
            direct=True,
        ),
        Act(
            name="release",
            label="Put on sale again",
            run=_release,
            offered=lambda address: address.state is AddressState.WITHHELD,
            consequence=lambda address: f"{address} can be given to a VPS.",
            form=ActForm,
            direct=True,
        ),
    )

    def narrow(self, _session: Session, query: sa.Select[Any], text: str) -> sa.Select[Any]:
        """Find an address."""
        return query.where(IpAddress.address == (parse_address(text) or text))

    def _ordering(self, sort_column: str | None, sort_desc: bool | None) -> Ordering:
        # Within a pool the addresses stand in their own order, for which there is an index.
        if request.args.get("pool"):
            return Ordering(IpAddress.position, self.key)
        return super()._ordering(sort_column, sort_desc)

    def get_list(self, *arguments: Any, **options: Any) -> tuple[None, Sequence[IpAddress]]:
        """Return one page, and read the names of all holders in one statement."""
        count, rows = super().get_list(*arguments, **options)
        self._template_args["holders"] = _names([row.vps_id for row in rows if row.vps_id is not None])
        return count, rows

    def details_arguments(self, model: IpAddress) -> dict[str, Any]:
        """Add who held the address, and when."""
        query = (
            sa.select(AddressHistory, Vps.name, Account.name)
            .outerjoin(Vps, Vps.id == AddressHistory.vps_id)
            .outerjoin(Account, Account.id == AddressHistory.account_id)
            .where(AddressHistory.address == model.address)
            .order_by(AddressHistory.id.desc())
            .limit(HISTORY_SHOWN)
        )
        if model.vps_id is not None:
            self._template_args["holders"] = _names([model.vps_id])
        return {**super().details_arguments(model), "history": reading().execute(query).all()}

    def destroy(self, model: Any, *, db: Database, actor: Actor, now: datetime) -> None:
        """Remove a free address."""
        inventory.remove_address(db, address_id=model.id, actor=actor, now=now)


def _names(keys: Sequence[Any]) -> dict[Any, str]:
    if not keys:
        return {}
    rows = reading().execute(sa.select(Vps.id, Vps.name).where(Vps.id.in_(keys)))
    return {row.id: row.name for row in rows}
