"""The addresses of a pool as ranges, which may grow and be kept out of sale; none is taken away."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.core.errors import InvalidInput
from domus.inventory import networks
from domus.inventory.models import AddressState, IpAddress, IpPool


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRange:
    """Addresses from ``first`` to ``last``, both meant with it; ``withheld`` ones are kept out of sale."""

    first: str
    last: str
    withheld: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """How many addresses were added, kept out of sale, put on sale again; and how many the ranges did not name."""

    added: int
    withheld: int
    freed: int
    not_named: int


def positions(pool: IpPool, span: AddressRange) -> range:
    """Return the places of a range in its pool; raise InvalidInput for one that is none."""
    network = ipaddress.ip_network(pool.network)
    return networks.address_range(span.first, span.last, network, gateway=ipaddress.ip_address(pool.gateway))


def merge(session: Session, pool: IpPool, wanted: Mapping[int, bool]) -> Merged:
    """Make a pool have these addresses (place: whether it is withheld), besides those that it has.

    Raises InvalidInput when one that a VPS holds is to be withheld.
    """
    network = ipaddress.ip_network(pool.network)
    rows = session.execute(
        sa.select(IpAddress.id, IpAddress.position, IpAddress.state, IpAddress.address)
        .where(IpAddress.pool_id == pool.id)
        .with_for_update()
    ).all()
    known = {row.position: row for row in rows}
    new = [
        {
            "pool_id": pool.id, "address": str(network[position]), "position": position,
            "state": AddressState.WITHHELD if withheld else AddressState.FREE,
        }
        for position, withheld in wanted.items()
        if position not in known
    ]  # fmt: skip
    if new:
        session.execute(sa.insert(IpAddress), new)
    to_keep: list[int] = []
    to_free: list[int] = []
    for position, withheld in wanted.items():
        row = known.get(position)
        if row is None or withheld is (row.state is AddressState.WITHHELD):
            continue
        if withheld and row.state not in (AddressState.FREE, AddressState.QUARANTINED):
            raise InvalidInput(
                f"{row.address} is {row.state.value}: a VPS holds it, so it cannot be withheld."
            )
        (to_keep if withheld else to_free).append(row.id)
    for ids, state in ((to_keep, AddressState.WITHHELD), (to_free, AddressState.FREE)):
        if ids:
            change = sa.update(IpAddress).values(state=state, free_again_at=None)
            session.execute(
                change.where(IpAddress.id.in_(ids)), execution_options={"synchronize_session": False}
            )
    not_named = len(known.keys() - wanted.keys())
    return Merged(added=len(new), withheld=len(to_keep), freed=len(to_free), not_named=not_named)
