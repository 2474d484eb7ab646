"""The same story on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from domus.db import migrate
from tests.integration.conftest import World, start_world
from tests.support.database import PostgresServer
from tests.support.truth import assert_sold_once

pytestmark = [pytest.mark.salt, pytest.mark.postgres]


@pytest.fixture
def postgres_world(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[World]:
    """Offer the world on PostgreSQL; it is used once, so nothing is left of it."""
    name = postgres_server.new_database()
    with contextlib.contextmanager(start_world)(
        tmp_path_factory.mktemp("world"), database_url=postgres_server.url(name)
    ) as world:
        yield world
    postgres_server.drop_database(name)


def test_orders_become_running_vpss_on_postgresql_and_a_refunded_one_stops(
    postgres_world: World, eventually: Callable[..., Any]
) -> None:
    world = postgres_world
    assert migrate.current(world.stack.database_url) == migrate.newest()
    placed = [world.place(f"pg{number}.example.org") for number in range(3)]
    for order in placed:
        world.pay(order)
    for order in placed:
        world.wait_for(order, "active")
        assert_sold_once(world.db, order)
    world.refund(placed[0])
    # It was in use, so its disk is kept for a grace time; it is stopped at once.
    vps_id = world.status(placed[0])["vps"]
    eventually(lambda: world.domus_on("dom0-a")[vps_id]["power"] == "stopped", "the refunded VPS to stop")
    assert world.status(placed[0])["state"] == "removing"
    answer = world.stack.salt.run("domus.orders", state="refunded")
    assert [row["order"] for row in answer] == [placed[0]]
