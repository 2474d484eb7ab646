"""The rows behind one dom0's pillar: four statements, however many VPSs it has, and never another dom0's.

They ask for what the pillar is made of and for nothing else, and take it as it comes: to make objects of the models,
of which only the columns would be read, takes several times as long as the statements. They ask for no order, for the sake
of which the database would rather walk through all that it has.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from domus.catalog.models import OsTemplate
from domus.inventory.models import Dom0, IpAddress, IpPool, Location
from domus.pillar.rows import AddressRow, DiskRow, Dom0Row, Dom0Rows, VpsRow
from domus.vps.models import Disk, Nic, Suspension, Vps
from domus.vps.states import ON_DOM0


class _UuidText(sa.types.UserDefinedType[str]):
    """A UUID as the contracts write it: SQLite keeps its 32 digits, PostgreSQL's driver makes an object of it."""

    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], str | None]:
        """Return what writes a value of this database out."""
        return _str if dialect.supports_native_uuid else _hyphenated


def _str(value: uuid.UUID | None) -> str | None:
    return None if value is None else str(value)


def _hyphenated(digits: str | None) -> str | None:
    if digits is None:
        return None
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class _JsonList(sa.types.UserDefinedType[list[str]]):
    """A list in JSON: SQLite keeps the text, PostgreSQL's driver has decoded it."""

    cache_ok = True

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], list[str]] | None:
        """Return what reads a value of this database, if anything."""
        return _decoded if dialect.name == "sqlite" else None


_decode = json.JSONDecoder().raw_decode


def _decoded(text: str) -> list[str]:
    # json.loads would look for white space around it, which takes longer than the rest and of which we write none.
    value: list[str] = _decode(text)[0]
    return value


def _columns(row: Any, model: type[Any], **others: Any) -> list[sa.ColumnElement[Any]]:
    """Return the columns of a row in its order: the model's columns of the same names, but for the others."""
    table = model.__table__.c
    return [_plain(others[name] if name in others else table[name]) for name in row._fields]


def _plain(column: Any) -> sa.ColumnElement[Any]:
    """Return a column so that its values come as the pillar has them, with no object made on the way."""
    if isinstance(column.type, sa.Enum):
        return sa.type_coerce(column, sa.String())
    if isinstance(column.type, sa.Uuid):
        return sa.type_coerce(column, _UuidText())
    if isinstance(column.type, sa.JSON):
        return sa.type_coerce(column, _JsonList())
    return cast("sa.ColumnElement[Any]", column)


# The statements are made once: making one takes longer than running it. A list as a parameter would be written into
# them at each run, so every state is a parameter of its own.
_dom0, _vps, _template, _nic, _disk, _address, _pool = (
    model.__table__.c for model in (Dom0, Vps, OsTemplate, Nic, Disk, IpAddress, IpPool)
)
_HERE = sa.and_(
    _vps.dom0_id == sa.bindparam("dom0_id"), _vps.state.in_([sa.literal(state.value) for state in ON_DOM0])
)

_DOM0 = (
    sa.select(*_columns(Dom0Row, Dom0, debian_mirror=Location.__table__.c.debian_mirror))
    .join(Location, Location.id == _dom0.location_id)
    .where(_dom0.minion_id == sa.bindparam("minion_id"))
)
_VPS = (
    sa.select(
        *_columns(
            VpsRow, Vps,
            suspended=sa.exists().where(Suspension.vps_id == _vps.id),
            template=_template.name, method=_template.method, distribution=_template.distribution,
            release=_template.release, arch=_template.arch, version=_template.version,
            nic_id=_nic.id, mac=_nic.mac,
        )
    )
    .join_from(Vps.__table__, OsTemplate.__table__, _template.id == _vps.template_id)
    .outerjoin(Nic.__table__, _nic.vps_id == _vps.id)
    .where(_HERE)
)  # fmt: skip
_DISKS = sa.select(*_columns(DiskRow, Disk, vps_name=_vps.name)).where(_disk.vps_id == _vps.id, _HERE)
_ADDRESSES = sa.select(
    *_columns(
        AddressRow, IpAddress,
        vps_name=_vps.name, network=_pool.network, gateway=_pool.gateway, dns=_pool.dns,
    )
).where(_address.vps_id == _vps.id, _pool.id == _address.pool_id, _HERE)  # fmt: skip


def rows_of(session: Session, minion_id: str) -> Dom0Rows | None:
    """Return the dom0 that this minion is with what stands on it, or None when it is not one."""
    dom0 = session.execute(_DOM0, {"minion_id": minion_id}).first()
    if dom0 is None:
        return None
    here = {"dom0_id": dom0.id}
    # The VPSs are read first: one that appears between two statements is then missing entirely, not half there.
    vps = [VpsRow._make(row) for row in session.execute(_VPS, here).all()]
    # These are only taken apart, as the named tuples that they stand for.
    disks = cast("Sequence[DiskRow]", session.execute(_DISKS, here).all())
    addresses = cast("Sequence[AddressRow]", session.execute(_ADDRESSES, here).all())
    return Dom0Rows(Dom0Row._make(dom0), vps, disks, addresses)
