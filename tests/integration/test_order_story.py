"""From the panel to the running VPS, on a real master and real minions."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from domus.core.clock import utc_now
from domus.core.errors import Conflict
from domus.inventory.models import AddressState, IpAddress
from domus.provisioning.models import Dom0Run
from domus.workflows import orders
from tests.integration.conftest import OPERATOR, World
from tests.support.truth import assert_sold_once

pytestmark = pytest.mark.salt


def test_a_paid_order_becomes_exactly_one_running_vps(world: World) -> None:
    order = world.place("story.example.org")
    world.pay(order)
    status = world.wait_for(order, "active")
    vps_id = str(assert_sold_once(world.db, order))
    assert status["dom0"] == "dom0-a"
    assert status["hypervisor"] == "simulated"
    assert status["seconds_paid_to_running"] > 0
    assert [domu["power"] for uuid_, domu in world.domus_on("dom0-a").items() if uuid_ == vps_id] == [
        "running"
    ]
    assert vps_id not in world.domus_on("dom0-b")
    assert world.job(order)["state"] == "done"
    assert "story.example.org" in world.customer.page(f"/vps/{vps_id}")


def test_paying_twice_changes_nothing(world: World) -> None:
    order = world.place()
    world.pay(order)
    with pytest.raises(Conflict, match="paid already"):
        orders.pay_with_test_gateway(
            world.db, order_id=uuid.UUID(order), reference="another", actor=OPERATOR, now=utc_now()
        )
    world.wait_for(order, "active")
    assert_sold_once(world.db, order)


def test_a_burst_of_orders_makes_few_runs(world: World) -> None:
    placed = [world.place(f"burst{number}.example.org") for number in range(20)]
    before = runs_on(world, "dom0-a")
    for order in placed:
        orders.mark_paid(world.db, order_id=uuid.UUID(order), actor=OPERATOR, reason="burst", now=utc_now())
    for order in placed:
        world.wait_for(order, "active")
    # Twenty orders are forty reasons to run: each is paid, and each installation ends.
    assert runs_on(world, "dom0-a") - before < 20
    for order in placed:
        assert_sold_once(world.db, order)


def test_power_follows_what_the_customer_wants(world: World, eventually: Callable[..., Any]) -> None:
    order = world.place()
    world.pay(order)
    world.wait_for(order, "active")
    name = world.vps(order)["name"]
    for action, power in (("shutdown", "stopped"), ("start", "running"), ("power_off", "stopped")):
        answer = world.stack.salt.run("domus.power", vps=name, action=action)
        assert "job" in answer, answer
        eventually(lambda power=power: world.vps(order)["observed"] == power, f"the VPS to be {power}")
        eventually(lambda: world.job(order)["state"] == "done", "the job to end")


def test_what_happens_behind_our_back_is_seen(world: World, eventually: Callable[..., Any]) -> None:
    order = world.place()
    world.pay(order)
    world.wait_for(order, "active")
    name = world.vps(order)["name"]
    world.stack.salt.call("dom0-a", "domu.destroy", name)
    eventually(lambda: world.vps(order)["observed"] == "stopped", "the beacon to tell")
    # Nobody asked for it, so it is started again.
    eventually(lambda: world.vps(order)["observed"] == "running", "the dom0 to be looked at")


def test_a_console_is_fetched_when_somebody_looks(world: World, eventually: Callable[..., Any]) -> None:
    order = world.place("console.example.org")
    world.pay(order)
    status = world.wait_for(order, "active")
    path = f"/vps/{status['vps']}/console"
    assert "Command line: root=" not in world.customer.page(path)
    world.customer.press(path, path)
    eventually(lambda: "Command line: root=" in world.customer.page(path), "the console's lines")


def test_a_failed_installation_is_tried_again(world: World, eventually: Callable[..., Any]) -> None:
    world.order_fault("dom0-a", "define", "the disk is full", times=99)
    order = world.place()
    world.pay(order)
    world.wait_for(order, "provision_failed")
    assert "the disk is full" in world.job(order)["error"]
    world.forget_faults("dom0-a")
    answer = world.stack.salt.run("domus.retry", vps=world.vps(order)["name"], reason="a new disk")
    assert answer.get("done"), answer
    world.wait_for(order, "active")
    assert_sold_once(world.db, order)


def test_a_refunded_order_leaves_nothing_behind(world: World, eventually: Callable[..., Any]) -> None:
    world.order_fault("dom0-a", "define", "the disk is full", times=99)
    order = world.place()
    world.pay(order)
    status = world.wait_for(order, "provision_failed")
    world.forget_faults("dom0-a")
    addresses = world.vps(order)["addresses"]
    orders.refund(world.db, order_id=uuid.UUID(order), actor=OPERATOR, reason="no luck", now=utc_now())
    world.wait_for(order, "removed")
    assert status["vps"] not in world.domus_on("dom0-a")
    volumes = world.stack.salt.call("dom0-a", "domus_volume.list")
    assert [volume for volume in volumes if world.vps(order)["name"] in volume["name"]] == []
    with world.db.reading() as session:
        states = session.scalars(sa.select(IpAddress.state).where(IpAddress.address.in_(addresses))).all()
    assert set(states) == {AddressState.QUARANTINED}


def test_a_dom0_that_is_down_delays_the_order_and_the_order_says_so(
    world: World, eventually: Callable[..., Any]
) -> None:
    world.stack.minion("dom0-b").kill()
    order = world.place(location="Paris")
    world.pay(order)
    eventually(lambda: "does not answer" in world.job(order)["note"], "the job to say what it waits for")
    assert world.status(order)["state"] == "provisioning"
    world.stack.start_minion("dom0-b")
    world.wait_for(order, "active")
    assert world.job(order)["note"] == ""
    assert_sold_once(world.db, order)


def runs_on(world: World, minion_id: str) -> int:
    with world.db.reading() as session:
        count = sa.select(sa.func.count(Dom0Run.id)).where(Dom0Run.dom0.has(minion_id=minion_id))
        return session.scalar(count) or 0
