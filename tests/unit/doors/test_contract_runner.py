"""What reactions do with news of a contract: one look into the database, and a run where there is work."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from domus.db.engine import Database
from domus.provisioning import outbox
from domus.vps.models import SuspensionReason
from domus.workflows import power, work
from tests.support.order_shop import NOW, Shop, make_shop
from tests.support.salt_doors import load_door


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one dom0."""
    return make_shop(db)


@pytest.fixture
def called() -> list[int]:
    """Offer the list of dom0s that a run was asked for on."""
    return []


@pytest.fixture
def runner(db: Database, called: list[int]) -> ModuleType:
    """Offer the runner, with Salt's other runner replaced by one that notes what it is asked for."""
    opts: dict[str, Any] = {"domus": {"database_url": db.engine.url.render_as_string()}}

    def dom0_due(dom0_id: int) -> str:
        called.append(dom0_id)
        return "run 1"

    return load_door("runners/domus_contract.py", opts=opts, salt={"domus_work.dom0_due": dom0_due})


def message_of(shop: Shop, tag: str) -> int:
    [message] = [m for m in work.claim_messages(shop.db, now=NOW) if m.tag == tag]
    return message.id


def test_a_suspension_asks_for_one_run_and_nothing_more(
    shop: Shop, runner: ModuleType, called: list[int]
) -> None:
    vps = shop.active()
    power.suspend(
        shop.db, vps_id=vps.id, suspension=SuspensionReason.ABUSE, actor=shop.people.as_olga, now=NOW
    )
    message_id = message_of(shop, outbox.SUBSCRIPTION_SUSPENDED)
    assert runner.subscription_suspended(message_id, str(vps.id)) == "run 1"
    assert called == [vps.dom0_id]
    shop.machine.run(NOW)
    assert runner.subscription_suspended(message_id, str(vps.id)) == "nothing to do"
    assert called == [vps.dom0_id]


@pytest.mark.parametrize(
    "name",
    [
        "renewal_paid",
        "subscription_suspended",
        "subscription_released",
        "subscription_ended",
        "subscription_changed",
    ],
)
def test_an_event_about_nothing_starts_nothing(
    shop: Shop, runner: ModuleType, called: list[int], name: str
) -> None:
    vps = shop.active()
    assert getattr(runner, name)(99, str(vps.id)) == "nothing to do"
    with pytest.raises(ValueError, match="badly formed"):
        getattr(runner, name)(99, "x; reboot")
    assert called == []
