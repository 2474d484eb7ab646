"""Whatever is killed, at whatever step of an order, there is one VPS, one set of addresses and one invoice."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from domus.core.clock import utc_now
from domus.core.errors import Conflict
from domus.workflows import orders, work
from domus_stack.errors import StackError
from tests.integration.conftest import OPERATOR, World
from tests.support.truth import assert_sold_once

pytestmark = [pytest.mark.salt, pytest.mark.timeout(900)]


def is_called(world: World, order: str) -> bool:
    """Tell whether a state run is under way on the order's dom0."""
    return world.status(order)["dom0"] in {run.minion_id for run in work.open_runs(world.db)}


def is_installing(world: World, order: str) -> bool:
    return bool(world.job(order)["step"])


def is_installed(world: World, order: str) -> bool:
    return world.job(order)["percent"] >= 90


STEPS: dict[str, Callable[[World, str], bool]] = {
    "as soon as it is paid": lambda world, order: True,
    "when its dom0 is called": is_called,
    "while it is being installed": is_installing,
    "when it is almost installed": is_installed,
}


def kill_master(world: World) -> None:
    world.stack.master.kill()
    world.stack.start_master()


def kill_minion(world: World) -> None:
    world.stack.minion("dom0-a").kill()
    world.stack.start_minion("dom0-a")


def kill_panel(world: World) -> None:
    world.stack.panel.kill()
    world.stack.panel.start()


@pytest.mark.parametrize("kill", [kill_master, kill_minion, kill_panel])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_a_step_of_an_order_changes_nothing_in_the_end(
    world: World, eventually: Callable[..., Any], step: str, kill: Callable[[World], None]
) -> None:
    order = world.place("kill.example.org")
    world.pay(order)
    # A step can be over before it is seen: then it is the end that is tested.
    eventually(lambda: STEPS[step](world, order) or world.status(order)["state"] == "active", step)
    kill(world)
    world.wait_for(order, "active")
    vps_id = str(assert_sold_once(world.db, order))
    eventually(lambda: is_running_once(world, vps_id), "the machine to run, once")


def test_a_panel_that_is_killed_while_it_takes_orders_and_payments_sells_each_once(world: World) -> None:
    token = uuid.uuid4().hex
    wishes = {"hostname": "again.example.org", "request_token": token}
    while_killing(world, lambda: world.place(**wishes))
    order = world.place(**wishes)
    while_killing(world, lambda: world.pay(order))
    # Whoever does not know whether it was paid pays again, and is told when it was.
    with suppress(Conflict):
        orders.pay_with_test_gateway(
            world.db, order_id=uuid.UUID(order), reference="another", actor=OPERATOR, now=utc_now()
        )
    assert world.place(**wishes) == order
    world.wait_for(order, "active")
    assert_sold_once(world.db, order)


def while_killing(world: World, act: Callable[[], object]) -> None:
    """Do something at the panel while it is killed; it may succeed or fail."""

    def try_it() -> None:
        try:
            act()
        except (StackError, OSError):
            return

    acting = threading.Thread(target=try_it)
    acting.start()
    kill_panel(world)
    acting.join()


def is_running_once(world: World, vps_id: str) -> bool:
    found = {minion: world.domus_on(minion) for minion in ("dom0-a", "dom0-b")}
    return [domus[vps_id]["power"] for domus in found.values() if vps_id in domus] == ["running"]
