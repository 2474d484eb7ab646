"""What the database itself refuses, whoever asks: overselling, edited history, a ledger that does not balance.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

#: Rows of these tables are written once and never again.
APPEND_ONLY = ("ledger_transaction", "ledger_entry", "audit_event", "vps_transition")


def upgrade() -> None:
    """Make the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        statements = (*SQLITE_RESERVATION, *SQLITE_ADDRESS_HISTORY, *_sqlite_append_only())
    else:
        statements = (
            *POSTGRESQL_RESERVATION,
            *POSTGRESQL_ADDRESS_HISTORY,
            *POSTGRESQL_LEDGER,
            *_postgresql_append_only(),
        )
    for statement in statements:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    if op.get_bind().dialect.name == "sqlite":
        for name in SQLITE_TRIGGERS:
            op.execute(f"DROP TRIGGER {name}")
    else:
        for function in POSTGRESQL_FUNCTIONS:
            op.execute(f"DROP FUNCTION {function}() CASCADE")


_SQLITE_TAKE = """
    UPDATE dom0 SET memory_reserved_mib = memory_reserved_mib + NEW.memory_mib,
                    disk_reserved_mib = disk_reserved_mib + NEW.disk_mib,
                    vcpus_reserved = vcpus_reserved + NEW.vcpus
    WHERE id = NEW.dom0_id;"""
_SQLITE_GIVE_BACK = """
    UPDATE dom0 SET memory_reserved_mib = memory_reserved_mib - OLD.memory_mib,
                    disk_reserved_mib = disk_reserved_mib - OLD.disk_mib,
                    vcpus_reserved = vcpus_reserved - OLD.vcpus
    WHERE id = OLD.dom0_id;"""

SQLITE_RESERVATION = (
    f"CREATE TRIGGER reservation_insert AFTER INSERT ON reservation BEGIN {_SQLITE_TAKE} END",
    f"CREATE TRIGGER reservation_update AFTER UPDATE ON reservation BEGIN {_SQLITE_GIVE_BACK} {_SQLITE_TAKE} END",
    f"CREATE TRIGGER reservation_delete AFTER DELETE ON reservation BEGIN {_SQLITE_GIVE_BACK} END",
)

SQLITE_ADDRESS_HISTORY = (
    """
    CREATE TRIGGER address_history_update BEFORE UPDATE ON address_history
    WHEN OLD.until_at IS NOT NULL OR NEW.until_at IS NULL OR NEW.id IS NOT OLD.id OR NEW.address IS NOT OLD.address
        OR NEW.vps_id IS NOT OLD.vps_id OR NEW.account_id IS NOT OLD.account_id OR NEW.from_at IS NOT OLD.from_at
    BEGIN SELECT RAISE(ABORT, 'address_history: only until_at may be set, and once'); END
    """,
    """
    CREATE TRIGGER address_history_delete BEFORE DELETE ON address_history
    BEGIN SELECT RAISE(ABORT, 'address_history is append only'); END
    """,
)


def _sqlite_append_only() -> tuple[str, ...]:
    return tuple(
        f"CREATE TRIGGER {table}_{event.lower()} BEFORE {event} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append only'); END"
        for table in APPEND_ONLY
        for event in ("UPDATE", "DELETE")
    )


SQLITE_TRIGGERS = (
    *(f"reservation_{event}" for event in ("insert", "update", "delete")),
    *(f"{table}_{event}" for table in ("address_history", *APPEND_ONLY) for event in ("update", "delete")),
)

POSTGRESQL_FUNCTIONS = (
    "domus_reservation_sums",
    "domus_append_only",
    "domus_address_history",
    "domus_ledger_balances",
)

POSTGRESQL_RESERVATION = (
    """
    CREATE FUNCTION domus_reservation_sums() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP IN ('UPDATE', 'DELETE') THEN
            UPDATE dom0 SET memory_reserved_mib = memory_reserved_mib - OLD.memory_mib,
                            disk_reserved_mib = disk_reserved_mib - OLD.disk_mib,
                            vcpus_reserved = vcpus_reserved - OLD.vcpus
            WHERE id = OLD.dom0_id;
        END IF;
        IF TG_OP IN ('UPDATE', 'INSERT') THEN
            UPDATE dom0 SET memory_reserved_mib = memory_reserved_mib + NEW.memory_mib,
                            disk_reserved_mib = disk_reserved_mib + NEW.disk_mib,
                            vcpus_reserved = vcpus_reserved + NEW.vcpus
            WHERE id = NEW.dom0_id;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER reservation_sums AFTER INSERT OR UPDATE OR DELETE ON reservation
    FOR EACH ROW EXECUTE FUNCTION domus_reservation_sums()
    """,
)

POSTGRESQL_ADDRESS_HISTORY = (
    """
    CREATE FUNCTION domus_address_history() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF OLD.until_at IS NOT NULL OR NEW.until_at IS NULL
            OR ROW(NEW.id, NEW.address, NEW.vps_id, NEW.account_id, NEW.from_at)
               IS DISTINCT FROM ROW(OLD.id, OLD.address, OLD.vps_id, OLD.account_id, OLD.from_at) THEN
            RAISE EXCEPTION 'address_history: only until_at may be set, and once' USING ERRCODE = '23000';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER address_history_update BEFORE UPDATE ON address_history
    FOR EACH ROW EXECUTE FUNCTION domus_address_history()
    """,
)

# Two entries of one booking are two inserts; so the sum is looked at when the transaction commits.
POSTGRESQL_LEDGER = (
    """
    CREATE FUNCTION domus_ledger_balances() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT 1 FROM ledger_entry WHERE transaction_id = NEW.transaction_id
                   GROUP BY currency HAVING sum(amount_minor) <> 0) THEN
            RAISE EXCEPTION 'ledger transaction % does not sum to zero', NEW.transaction_id USING ERRCODE = '23000';
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON ledger_entry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION domus_ledger_balances()
    """,
)


def _postgresql_append_only() -> tuple[str, ...]:
    function = """
    CREATE FUNCTION domus_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append only', TG_TABLE_NAME USING ERRCODE = '23000';
    END $$
    """
    events = dict.fromkeys(APPEND_ONLY, "UPDATE OR DELETE OR TRUNCATE")
    events["address_history"] = "DELETE OR TRUNCATE"
    triggers = (
        f"CREATE TRIGGER {table}_append_only BEFORE {event} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION domus_append_only()"
        for table, event in events.items()
    )
    return (function, *triggers)
