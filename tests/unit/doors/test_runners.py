"""The runners: what operators type, and what reactions call."""

from __future__ import annotations

import uuid
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import salt.exceptions
import sqlalchemy as sa

from domus.db.engine import Database
from domus.inventory.models import AddressState, Dom0State, IpAddress
from domus.vps.models import Power, VpsState
from domus.workflows import work
from tests.support.order_shop import NOW, Shop, make_shop
from tests.support.salt_doors import load_door


class FakeClient:
    """Stands for Salt's LocalClient: remembers what was published."""

    def __init__(self) -> None:
        self.published: list[tuple[Any, ...]] = []
        self.answer: str | int = "1"

    def cmd_async(
        self, target: list[str], function: str, arguments: list[Any], *, tgt_type: str, **more: Any
    ) -> Any:
        assert tgt_type == "list"
        self.published.append((target, function, arguments, more))
        return self.answer


@pytest.fixture
def shop(db: Database) -> Shop:
    """Offer a shop with one dom0."""
    return make_shop(db)


@pytest.fixture
def opts(db: Database) -> dict[str, Any]:
    """Offer the master's options."""
    return {"domus": {"database_url": db.engine.url.render_as_string()}, "id": "master", "utc_jid": True}


@pytest.fixture
def operator(opts: dict[str, Any]) -> SimpleNamespace:
    """Offer the operators' runner, called from Python, as Salt puts it together of its files."""
    files = ("domus_lists", "domus_orders", "domus_machines")
    doors = [load_door(f"runners/{file}.py", opts=opts, salt={}) for file in files]
    return SimpleNamespace(**{name: value for door in doors for name, value in vars(door).items()})


@pytest.fixture
def client() -> FakeClient:
    """Offer a client that only remembers."""
    return FakeClient()


@pytest.fixture
def worker(opts: dict[str, Any], client: FakeClient) -> ModuleType:
    """Offer the reactions' runner with that client."""
    module = load_door("runners/domus_work.py", opts=opts)
    module._clients.append(client)
    return module


def test_a_paid_order_starts_a_run_on_its_dom0_and_is_told_once(
    shop: Shop, worker: ModuleType, client: FakeClient
) -> None:
    order = shop.pay(shop.order())
    assert "run" in worker.order_paid(1, str(order.id))
    [(target, function, arguments, more)] = client.published
    assert (target, function, arguments) == ([shop.machine.minion_id], "dom0.converge", [])
    [run] = work.open_runs(shop.db)
    assert run.jid == more["jid"]
    # A second event for the same dom0 finds the run under way.
    other = shop.pay(shop.order())
    assert "nothing to do" in worker.order_paid(2, str(other.id))
    assert len(client.published) == 1


def test_an_order_that_is_not_paid_starts_nothing(shop: Shop, worker: ModuleType, client: FakeClient) -> None:
    order = shop.order()
    assert worker.order_paid(1, str(order.id)) == "nothing to do"
    assert client.published == []


def test_an_id_that_is_none_is_refused(worker: ModuleType, client: FakeClient) -> None:
    with pytest.raises(ValueError, match="badly formed"):
        worker.order_paid(1, "{{ 7*7 }}")
    assert client.published == []


def test_a_dom0_whose_key_is_not_accepted_is_said_to_be_so(
    shop: Shop, worker: ModuleType, client: FakeClient
) -> None:
    shop.paid()
    client.answer = 0
    with pytest.raises(salt.exceptions.SaltClientError, match="accepted no key"):
        worker.dom0_due(shop.dom0s[0].id)
    assert work.open_runs(shop.db) == []
    assert "accepted no key" in shop.dom0().problem


def test_a_dom0_that_starts_fetches_its_modules_and_a_stranger_does_not(
    shop: Shop, worker: ModuleType, client: FakeClient
) -> None:
    worker.minion_started(shop.machine.minion_id)
    worker.minion_started("web-1")
    assert [(target, function) for target, function, *_ in client.published] == [
        ([shop.machine.minion_id], "saltutil.sync_all")
    ]


def test_a_list_is_data_for_python_and_a_table_for_people(
    shop: Shop, operator: SimpleNamespace, opts: dict[str, Any]
) -> None:
    vps = shop.active()
    [row] = operator.vps_()
    assert row["uuid"] == str(vps.id)
    opts["fun"] = "domus.vps"
    shown = load_door("runners/domus_lists.py", opts=opts).vps_()
    assert shown["outputter"] == "text"
    assert shown["data"].splitlines()[1].startswith(vps.name)
    opts["output"] = "json"
    assert load_door("runners/domus_lists.py", opts=opts).vps_() == [row]


@pytest.mark.parametrize("name", ["orders", "vps_", "jobs", "dom0s", "capacity"])
def test_every_list_has_its_table(shop: Shop, opts: dict[str, Any], name: str) -> None:
    shop.active()
    opts["fun"] = f"domus.{name.rstrip('_')}"
    shown = getattr(load_door("runners/domus_lists.py", opts=opts), name)()
    assert len(shown["data"].splitlines()) >= 2


def test_power_is_asked_for_by_name_and_stands_in_the_history_with_its_reason(
    shop: Shop, operator: SimpleNamespace
) -> None:
    vps = shop.active()
    answer = operator.power(vps.name, "shutdown", reason="by phone")
    assert uuid.UUID(answer["job"])
    assert shop.vps(vps.id).wanted_power is Power.STOPPED
    job = shop.jobs(vps.id)[-1]
    assert job.reason == "by phone"
    assert job.actor.startswith("cli:")


def test_what_is_refused_comes_as_a_sentence_with_an_exit_code(shop: Shop, operator: SimpleNamespace) -> None:
    for answer in (
        operator.power("vps-nix", "start"),
        operator.power(shop.active().name, "fly"),
        operator.orders(state="lost"),
        operator.refund("x"),
        operator.refund("4711"),
        operator.set_dom0_state("dom0-nix", "draining"),
        operator.suspend(shop.active().name, "boredom"),
    ):
        assert answer["retcode"] == 1
        assert answer["error"].endswith(".")


def test_an_order_is_paid_refunded_and_cancelled_by_its_number(shop: Shop, operator: SimpleNamespace) -> None:
    order = shop.order()
    assert operator.mark_paid(order.number, reason="transfer")["state"] == "paid"
    assert operator.refund(str(order.id))["state"] == "refunded"
    assert shop.vps_of(order).state is VpsState.REMOVING
    other = shop.order()
    assert operator.cancel(f"#{other.number}")["state"] == "cancelled"


def test_a_failed_installation_is_retried(shop: Shop, operator: SimpleNamespace) -> None:
    vps = shop.failed(now=NOW)
    assert "done" in operator.retry(vps.name)
    assert shop.vps(vps.id).state is VpsState.PROVISIONING


def test_a_vps_is_suspended_and_released(shop: Shop, operator: SimpleNamespace) -> None:
    vps = shop.active()
    operator.suspend(vps.name, "abuse", note="ticket 17")
    assert operator.vps_()[0]["suspended"] == ["abuse"]
    operator.release(vps.name, "abuse")
    assert operator.vps_()[0]["suspended"] == []


def test_a_dom0_is_put_into_maintenance(shop: Shop, operator: SimpleNamespace) -> None:
    operator.set_dom0_state(shop.machine.minion_id, "maintenance", reason="new disks")
    assert shop.dom0().state is Dom0State.MAINTENANCE


def test_what_is_being_removed_on_a_lost_dom0_is_forgotten(
    operator: SimpleNamespace, opts: dict[str, Any], shop: Shop
) -> None:
    vps = shop.active()
    operator.refund(str(vps.order_id), reason="goodwill")
    assert "not lost" in operator.forget(vps.name, reason="burnt")["error"]
    operator.set_dom0_state(shop.machine.minion_id, "lost", reason="burnt")
    opts["domus"]["address_quarantine_hours"] = 0
    operator.forget(vps.name, reason="burnt")
    assert shop.vps(vps.id).state is VpsState.REMOVED
    with shop.db.reading() as session:
        resting = sa.select(IpAddress).where(IpAddress.state == AddressState.QUARANTINED)
        address = session.scalars(resting).one()
        assert address.free_again_at == shop.vps(vps.id).state_since
