"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}

A migration runs before the new release starts, while the previous one still serves:
- It must leave a database that the previous release can work with. Add columns with a server default or as NULL; drop and
  rename in the release after the one that stopped using them.
- It must not hold a lock on a large table for long: fill new columns in batches, make indexes CONCURRENTLY on PostgreSQL.
- It runs on SQLite and on PostgreSQL. Change a table of SQLite inside ``with op.batch_alter_table(...)``, which rebuilds it:
  the rebuilt table has lost its triggers, so make them again (their text is in ``0007_guards.py``).
- It never edits money or history; those are corrected by new rows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
