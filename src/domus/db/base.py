"""The declarative base and the column types that every model shares."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, mapped_column

from domus.core.clock import require_aware

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware moment. PostgreSQL keeps it with its zone; SQLite keeps UTC without one, and gets it back here."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse a naive moment on its way to the database."""
        return None if value is None else require_aware(value)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Give every moment from the database its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: SQLite numbers rows by itself only in a column that is exactly INTEGER.
BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

big_pk = Annotated[int, mapped_column(BigKey, primary_key=True)]
uuid_pk = Annotated[uuid.UUID, mapped_column(sa.Uuid(), primary_key=True, default=uuid.uuid4)]
currency_code = Annotated[str, mapped_column(sa.String(3))]


class Base(DeclarativeBase):
    """The base of all models. Constraint names are fixed, so that migrations can speak of them."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own documented form
        datetime: UtcDateTime(),
        uuid.UUID: sa.Uuid(),
        int: sa.BigInteger(),
        dict[str, Any]: sa.JSON(),
        list[str]: sa.JSON(),
    }


def enum_column(enum: type[Any], **options: Any) -> Any:
    """Return a column that stores a StrEnum's value in plain text, checked by the database."""
    column_type = sa.Enum(
        enum,
        native_enum=False,
        create_constraint=True,
        length=32,
        name=options.pop("name"),
        values_callable=lambda members: [member.value for member in members],
    )
    return mapped_column(column_type, **options)
