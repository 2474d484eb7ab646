"""Run by Alembic: gives it the models and a connection.

``domus.db.migrate`` hands a connection in; the ``alembic`` command opens ``DOMUS_DATABASE_URL`` itself.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

# Every module with models, so that the metadata is whole. This is the one place below the doors that knows them all.
import domus.accounts.models
import domus.billing.models
import domus.catalog.models
import domus.commissions.models
import domus.contracts.models
import domus.coupons.models
import domus.gateways.models
import domus.inventory.models
import domus.mail.models
import domus.provisioning.models
import domus.renewals.models
import domus.tax.models
import domus.vps.models  # noqa: F401 - imported for their tables
from domus.core.settings import database_url
from domus.db.base import Base
from domus.db.migrate import migration_connection


def run(connection: Connection) -> None:
    """Run what Alembic was asked for over the connection, as one transaction."""
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with migration_connection(database_url(os.environ)) as opened:
        run(opened)
