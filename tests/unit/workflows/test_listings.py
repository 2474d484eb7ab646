"""Lists for the command line: plain values that any machine can read."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import pytest

from domus.core.errors import InvalidInput, NotFound
from domus.workflows import listings
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def test_every_list_survives_json(shop):
    shop.active()
    shop.failed()
    shop.order()
    for rows in (
        listings.orders(shop.db),
        listings.vps(shop.db),
        listings.jobs(shop.db),
        listings.dom0s(shop.db),
        listings.capacity(shop.db),
    ):
        assert rows
        assert json.loads(json.dumps(rows)) == rows


def test_orders_show_their_vps_and_can_be_chosen_by_state(shop):
    vps = shop.active()
    shop.order()
    assert [row["state"] for row in listings.orders(shop.db)] == ["placed", "fulfilled"]
    [row] = listings.orders(shop.db, state="fulfilled")
    assert (row["vps"], row["vps_state"], row["amount"], row["account"]) == (
        vps.name,
        "active",
        "10.00 USD",
        "Acme",
    )


def test_vps_show_where_they_are_and_how(shop):
    vps = shop.active()
    [row] = listings.vps(shop.db, dom0=shop.machine.minion_id, state="active")
    assert (row["name"], row["shown"], row["addresses"]) == (vps.name, "Running", ["192.0.2.10"])
    assert (row["wanted"], row["observed"], row["revision"], row["applied_revision"]) == (
        "running",
        "running",
        1,
        1,
    )


def test_no_list_shows_a_password_hash(shop):
    shop.paid(root_password="correct horse battery")
    everything = json.dumps([listings.orders(shop.db), listings.vps(shop.db), listings.jobs(shop.db)])
    assert "$2b$" not in everything


def test_jobs_show_errors_and_who_asked(shop):
    shop.failed(error="disk full")
    [row] = listings.jobs(shop.db, state="failed")
    assert (row["kind"], row["error"], row["actor"]) == ("provision", "disk full", shop.people.as_alice.name)


def test_capacity_tells_how_many_of_each_product_can_be_sold(shop):
    shop.paid()
    [row] = listings.capacity(shop.db)
    assert (row["location"], row["ipv4_free"], row["places"]) == (
        shop.location.name, 9, {shop.price.product.name: 9},
    )  # fmt: skip


@pytest.mark.parametrize("make", [listings.orders, listings.vps, listings.jobs])
def test_an_unknown_state_is_answered_with_the_known_ones(shop, make):
    with pytest.raises(InvalidInput, match="allowed are"):
        make(shop.db, state="lively")


def test_an_unknown_dom0_is_named(shop):
    with pytest.raises(InvalidInput, match="dom0-x"):
        listings.vps(shop.db, dom0="dom0-x")


def test_an_order_tells_what_the_demo_prints(shop):
    vps = shop.paid()
    order_id = vps.order_id
    early = listings.order_status(shop.db, order_id)
    assert (early["state"], early["seconds_paid_to_running"]) == ("provisioning", None)
    shop.machine.run(NOW)
    shop.machine.end_installs()
    shop.machine.run(NOW + timedelta(seconds=90))
    assert listings.order_status(shop.db, order_id) == {
        "order": str(order_id),
        "vps": str(vps.id),
        "dom0": shop.machine.minion_id,
        "hypervisor": "simulated",
        "state": "active",
        "ipv4": "192.0.2.10",
        "seconds_paid_to_running": 90.0,
    }


def test_an_order_that_is_not_there_is_not_found(shop):
    with pytest.raises(NotFound):
        listings.order_status(shop.db, uuid.uuid4())
