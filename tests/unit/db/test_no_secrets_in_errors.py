"""What the database refuses is logged, and the log must not tell what the customer's secret was."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from domus.vps.models import Vps
from tests.support.order_shop import make_shop


def test_an_error_of_the_database_does_not_repeat_the_values_of_the_statement(any_db):
    shop = make_shop(any_db)
    vps = shop.paid(root_password="correct horse battery")
    with pytest.raises(sa.exc.SQLAlchemyError) as refused, any_db.unit_of_work() as session:
        session.execute(
            sa.update(Vps).where(Vps.id == vps.id).values(root_password_hash="$2b$12$secret", memory_mib=None)
        )
    assert "secret" not in str(refused.value)
