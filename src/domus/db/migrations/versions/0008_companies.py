"""Companies, rates of tax, what an invoice has to say, credit notes.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime

import sqlalchemy as sa
from alembic import op

from domus.core.settings import company_name
from domus.db.migrations.columns import KEY, MOMENT, choice, only_where

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

#: Standard rates as they stood on 1 January 2025, in thousandths of a percent, as the European Commission publishes them in
#: "Taxes in Europe", and those of neighbours that a company may sit in. Later ones are entered by operators.
RATES = {
    "AT": 20000, "BE": 21000, "BG": 20000, "CH": 8100, "CY": 19000, "CZ": 21000, "DE": 19000, "DK": 25000,
    "EE": 22000, "ES": 21000, "FI": 25500, "FR": 20000, "GB": 20000, "GR": 24000, "HR": 25000, "HU": 27000,
    "IE": 23000, "IT": 22000, "LT": 21000, "LU": 17000, "LV": 21000, "MT": 18000, "NL": 21000, "NO": 25000,
    "PL": 23000, "PT": 23000, "RO": 19000, "SE": 25000, "SI": 22000, "SK": 23000,
}  # fmt: skip
LATER_RATES = (("EE", date(2025, 7, 1), 24000), ("RO", date(2025, 8, 1), 21000))


def upgrade() -> None:
    """Make the tables of ``domus.tax``, and what invoices and accounts need for them."""
    _company()
    _tax_rate()
    _account()
    _invoice()
    _credit_note()
    for statement in SQLITE_GUARDS if _is_sqlite() else POSTGRESQL_GUARDS:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    if _is_sqlite():
        for name in SQLITE_TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    else:
        for function in ("domus_frozen_invoice", "domus_frozen_invoice_line"):
            op.execute(f"DROP FUNCTION {function}() CASCADE")
    op.drop_table("credit_note")
    op.drop_index("ix_invoice_company_id", "invoice")
    with op.batch_alter_table("invoice") as invoice:
        for column in (
            "company_id", "seller", "buyer", "language", "tax_rule", "tax_country", "tax_millipercent", "tax_note"
        ):  # fmt: skip
            invoice.drop_column(column)
    op.drop_table("account_contact")
    for column in ("company", "address", "vat_number", "language"):
        op.drop_column("account", column)
    for table in ("tax_rate", "invoicing_country", "company"):
        op.drop_table(table)


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _company() -> None:
    table = op.create_table(
        "company",
        sa.Column("id", KEY, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("address", sa.String(length=500), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("vat_number", sa.String(length=20), nullable=False),
        sa.Column("registration", sa.String(length=200), nullable=False),
        sa.Column("bank_details", sa.String(length=500), nullable=False),
        sa.Column("invoice_prefix", sa.String(length=8), nullable=False),
        sa.Column("charges_tax", sa.Boolean(), nullable=False),
        sa.Column("one_stop_shop", sa.Boolean(), nullable=False),
        sa.Column("prices_include_tax", sa.Boolean(), nullable=False),
        sa.Column("untaxed_note", sa.String(length=300), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("country <> '' OR NOT charges_tax", name=op.f("ck_company_taxed_somewhere")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company")),
        sa.UniqueConstraint("invoice_prefix", name=op.f("uq_company_invoice_prefix")),
    )
    op.create_index(
        "ix_company_one_default", "company", ["is_default"], unique=True, **only_where("is_default")
    )
    texts = ("address", "country", "email", "vat_number", "registration", "bank_details", "untaxed_note")
    op.bulk_insert(
        table,
        [
            dict.fromkeys(texts, "")
            | {
                # The numbers that were given out so far have no prefix; this company goes on with them.
                "name": company_name(os.environ)[:200], "invoice_prefix": "", "charges_tax": False,
                "one_stop_shop": False, "prices_include_tax": False, "is_default": True, "created_at": datetime.now(UTC),
            }
        ],
    )  # fmt: skip
    op.create_table(
        "invoicing_country",
        sa.Column("id", KEY, nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("company_id", KEY, nullable=False),
        sa.ForeignKeyConstraint(["company_id"], ["company.id"], name=op.f("fk_invoicing_country_company_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invoicing_country")),
        sa.UniqueConstraint("country", name=op.f("uq_invoicing_country_country")),
    )
    op.create_index(op.f("ix_invoicing_country_company_id"), "invoicing_country", ["company_id"])


def _tax_rate() -> None:
    table = op.create_table(
        "tax_rate",
        sa.Column("id", KEY, nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("millipercent", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("millipercent BETWEEN 0 AND 100000", name=op.f("ck_tax_rate_percent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax_rate")),
        sa.UniqueConstraint("country", "valid_from", name=op.f("uq_tax_rate_country_valid_from")),
    )
    first = [(country, date(2025, 1, 1), millipercent) for country, millipercent in RATES.items()]
    op.bulk_insert(
        table,
        [
            {"country": country, "valid_from": valid_from, "millipercent": millipercent}
            for country, valid_from, millipercent in (*first, *LATER_RATES)
        ],
    )


def _account() -> None:
    for name, length, default in (
        ("company", 200, ""), ("address", 500, ""), ("vat_number", 20, ""), ("language", 8, "en")
    ):  # fmt: skip
        op.add_column(
            "account", sa.Column(name, sa.String(length=length), nullable=False, server_default=default)
        )
    op.create_table(
        "account_contact",
        sa.Column("id", KEY, nullable=False),
        sa.Column("account_id", KEY, nullable=False),
        sa.Column("kind", choice("contact_kind", "billing", "technical", "abuse"), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_account_contact_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_contact")),
        sa.UniqueConstraint(
            "account_id", "kind", "email", name=op.f("uq_account_contact_account_id_kind_email")
        ),
    )


def _invoice() -> None:
    if _is_sqlite():
        # A table that is rebuilt loses its triggers, and this one has got its CHECKs to keep.
        op.execute(
            "ALTER TABLE invoice ADD COLUMN company_id INTEGER CONSTRAINT fk_invoice_company_id REFERENCES company (id)"
        )
    else:
        op.add_column("invoice", sa.Column("company_id", KEY, nullable=True))
        op.create_foreign_key("fk_invoice_company_id", "invoice", "company", ["company_id"], ["id"])
    op.create_index("ix_invoice_company_id", "invoice", ["company_id"])
    for name in ("seller", "buyer"):
        op.add_column("invoice", sa.Column(name, sa.JSON(), nullable=True))
    for name, length, default in (
        ("language", 8, "en"), ("tax_rule", 32, ""), ("tax_country", 2, ""), ("tax_note", 300, "")
    ):  # fmt: skip
        op.add_column(
            "invoice", sa.Column(name, sa.String(length=length), nullable=False, server_default=default)
        )
    op.add_column(
        "invoice", sa.Column("tax_millipercent", sa.BigInteger(), nullable=False, server_default="0")
    )


def _credit_note() -> None:
    op.create_table(
        "credit_note",
        sa.Column("id", KEY, nullable=False),
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("invoice_id", KEY, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("net_minor", sa.BigInteger(), nullable=False),
        sa.Column("tax_minor", sa.BigInteger(), nullable=False),
        sa.Column("gross_minor", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("issued_at", MOMENT, nullable=False),
        sa.CheckConstraint("net_minor + tax_minor = gross_minor", name=op.f("ck_credit_note_gross")),
        sa.CheckConstraint("gross_minor > 0", name=op.f("ck_credit_note_positive")),
        sa.ForeignKeyConstraint(["invoice_id"], ["invoice.id"], name=op.f("fk_credit_note_invoice_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_note")),
        sa.UniqueConstraint("number", name=op.f("uq_credit_note_number")),
    )
    op.create_index(op.f("ix_credit_note_invoice_id"), "credit_note", ["invoice_id"])
    op.create_index(op.f("ix_credit_note_issued_at"), "credit_note", ["issued_at"])


#: What a numbered invoice says stays said. Its state is not among it.
FROZEN = (
    "id", "number", "account_id", "currency", "net_minor", "tax_minor", "gross_minor", "issued_at", "paid_at",
    "company_id", "seller", "buyer", "language", "tax_rule", "tax_country", "tax_millipercent", "tax_note",
)  # fmt: skip

SQLITE_TRIGGERS = (
    "invoice_frozen", "invoice_numbered_delete", "credit_note_update", "credit_note_delete",
    *(f"invoice_line_frozen_{event}" for event in ("insert", "update", "delete")),
)  # fmt: skip

_NUMBERED = "(SELECT number FROM invoice WHERE id = {row}.invoice_id) IS NOT NULL"

SQLITE_GUARDS = (
    f"""
    CREATE TRIGGER invoice_frozen BEFORE UPDATE ON invoice
    WHEN OLD.number IS NOT NULL AND ({" OR ".join(f"NEW.{name} IS NOT OLD.{name}" for name in FROZEN)})
    BEGIN SELECT RAISE(ABORT, 'invoice: a numbered invoice is never changed'); END
    """,
    """
    CREATE TRIGGER invoice_numbered_delete BEFORE DELETE ON invoice WHEN OLD.number IS NOT NULL
    BEGIN SELECT RAISE(ABORT, 'invoice: a numbered invoice is never deleted'); END
    """,
    *(
        f"CREATE TRIGGER invoice_line_frozen_{event.lower()} BEFORE {event} ON invoice_line "
        f"WHEN {_NUMBERED.format(row=row)} "
        "BEGIN SELECT RAISE(ABORT, 'invoice_line: a numbered invoice is never changed'); END"
        for event, row in (("INSERT", "NEW"), ("UPDATE", "OLD"), ("DELETE", "OLD"))
    ),
    *(
        f"CREATE TRIGGER credit_note_{event.lower()} BEFORE {event} ON credit_note "
        "BEGIN SELECT RAISE(ABORT, 'credit_note is append only'); END"
        for event in ("UPDATE", "DELETE")
    ),
)


def _rows(record: str) -> str:
    # JSON has no equality of its own on PostgreSQL.
    columns = (
        f"{record}.{name}::text" if name in ("seller", "buyer") else f"{record}.{name}" for name in FROZEN
    )
    return f"ROW({', '.join(columns)})"


POSTGRESQL_GUARDS = (
    f"""
    CREATE FUNCTION domus_frozen_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.number IS NOT NULL AND (TG_OP = 'DELETE' OR {_rows("NEW")} IS DISTINCT FROM {_rows("OLD")}) THEN
            RAISE EXCEPTION 'invoice: a numbered invoice is never changed' USING ERRCODE = '23000';
        END IF;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER invoice_frozen BEFORE UPDATE OR DELETE ON invoice
    FOR EACH ROW EXECUTE FUNCTION domus_frozen_invoice()
    """,
    """
    CREATE FUNCTION domus_frozen_invoice_line() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        line invoice_line;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            line := NEW;
        ELSE
            line := OLD;
        END IF;
        IF (SELECT number FROM invoice WHERE id = line.invoice_id) IS NOT NULL THEN
            RAISE EXCEPTION 'invoice_line: a numbered invoice is never changed' USING ERRCODE = '23000';
        END IF;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER invoice_line_frozen BEFORE INSERT OR UPDATE OR DELETE ON invoice_line
    FOR EACH ROW EXECUTE FUNCTION domus_frozen_invoice_line()
    """,
    """
    CREATE TRIGGER credit_note_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_note
    FOR EACH STATEMENT EXECUTE FUNCTION domus_append_only()
    """,
)
