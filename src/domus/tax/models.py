"""Companies that sell, which of them invoices whom, and the rates of tax."""

from __future__ import annotations

from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domus.db.base import Base, big_pk


class Company(Base):
    """Who sells and sends the invoice. Invoices carry a copy, so that editing this changes none of them."""

    __tablename__ = "company"
    __table_args__ = (
        sa.CheckConstraint("country <> '' OR NOT charges_tax", name="taxed_somewhere"),
        sa.Index(
            "ix_company_one_default", "is_default", unique=True,
            sqlite_where=sa.text("is_default"), postgresql_where=sa.text("is_default"),
        ),
    )  # fmt: skip

    id: Mapped[big_pk]
    name: Mapped[str] = mapped_column(sa.String(200))
    address: Mapped[str] = mapped_column(sa.String(500), default="")
    """Lines as they stand on an envelope, without the country."""
    country: Mapped[str] = mapped_column(sa.String(2), default="")
    email: Mapped[str] = mapped_column(sa.String(254), default="")
    vat_number: Mapped[str] = mapped_column(sa.String(20), default="")
    registration: Mapped[str] = mapped_column(sa.String(200), default="")
    """Where and as what it is registered, such as ``HRB 12345, Amtsgericht Köln``."""
    bank_details: Mapped[str] = mapped_column(sa.String(500), default="")
    """Lines, for the foot of an invoice."""
    invoice_prefix: Mapped[str] = mapped_column(sa.String(8), default="", unique=True)
    """Before the year in numbers of invoices; never changed once it was used."""
    charges_tax: Mapped[bool] = mapped_column(default=False)
    one_stop_shop: Mapped[bool] = mapped_column(default=False)
    """Whether consumers in other EU countries pay their own country's tax (OSS)."""
    prices_include_tax: Mapped[bool] = mapped_column(default=False)
    """Whether catalogue prices are gross: with the tax of the company's own country in them."""
    untaxed_note: Mapped[str] = mapped_column(sa.String(300), default="")
    """What stands on invoices of a company that charges no tax, such as which law frees it."""
    logo: Mapped[bytes | None] = mapped_column(sa.LargeBinary, deferred=True)
    """A PNG for the head of documents; not copied into invoices, for it says nothing that counts."""
    is_default: Mapped[bool] = mapped_column(default=False)
    """Invoices everybody whom no other company does; there is one such company at all times."""
    created_at: Mapped[datetime]

    def __str__(self) -> str:
        return self.name


class InvoicingCountry(Base):
    """Which company invoices the customers of a country."""

    __tablename__ = "invoicing_country"

    id: Mapped[big_pk]
    country: Mapped[str] = mapped_column(sa.String(2), unique=True)
    company_id: Mapped[int] = mapped_column(sa.ForeignKey("company.id"), index=True)

    company: Mapped[Company] = relationship()

    def __str__(self) -> str:
        return self.country


class TaxRate(Base):
    """The standard rate of a country, from a day on until the next one of that country."""

    __tablename__ = "tax_rate"
    __table_args__ = (
        sa.UniqueConstraint("country", "valid_from"),
        sa.CheckConstraint("millipercent BETWEEN 0 AND 100000", name="percent"),
    )

    id: Mapped[big_pk]
    country: Mapped[str] = mapped_column(sa.String(2))
    valid_from: Mapped[date]
    millipercent: Mapped[int]
    """Thousandths of a percent: 19 % is 19000, 25.5 % is 25500."""

    def __str__(self) -> str:
        return f"{self.country} {percent_text(self.millipercent)} from {self.valid_from:%Y-%m-%d}"


def percent_text(millipercent: int) -> str:
    """Return a rate as people write it: ``19 %``, ``25.5 %``."""
    whole, rest = divmod(millipercent, 1000)
    decimals = f"{rest:03d}".rstrip("0")
    return f"{whole}.{decimals} %" if decimals else f"{whole} %"
