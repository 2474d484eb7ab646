"""What a dom0 says of others, and what anybody says of money, changes nothing."""

from __future__ import annotations

import json
import stat
import sys
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from domus.core.clock import iso_z, utc_now
from domus.provisioning.models import OutboxMessage
from domus.vps.models import Vps, VpsTransition
from domus_stack.stack import CHECKOUT
from tests.integration.conftest import World

sys.path.append(str(CHECKOUT / "salt" / "_utils"))
import domus_seal

pytestmark = pytest.mark.salt


def test_a_dom0_is_shown_its_own_vpss_alone(world: World) -> None:
    order = world.place("secret.example.org")
    world.pay(order)
    vps_id = world.wait_for(order, "active")["vps"]
    own = world.stack.salt.call("dom0-a", "pillar.items", unmask=True)["domus"]
    assert own["vps"][vps_id]["os"]["root_password_hash"].startswith("$2")
    other = world.stack.salt.call("dom0-b", "pillar.items", unmask=True)["domus"]
    assert other["dom0"]["minion_id"] == "dom0-b"
    assert vps_id not in json.dumps(other)


def test_a_minion_cannot_fetch_the_pillars_code(world: World) -> None:
    listed = world.stack.salt.call("dom0-b", "cp.list_master")
    assert any(path.startswith("_modules/") for path in listed)
    assert [path for path in listed if "pillar" in path and not path.startswith(("_", "vps/", "dom0/"))] == []
    for path in (
        "salt://../pillar/domus_pillar.py",
        "salt://pillar/domus_pillar.py",
        "salt://../../Makefile",
    ):
        assert world.stack.salt.call("dom0-b", "cp.get_file_str", path) in (False, "")


def test_no_password_hash_lies_on_the_master(world: World) -> None:
    order = world.place()
    world.pay(order)
    vps_id = world.wait_for(order, "active")["vps"]
    with world.db.reading() as session:
        hashed = session.scalars(sa.select(Vps.root_password_hash).where(Vps.id == uuid.UUID(vps_id))).one()
    assert hashed
    found = [
        path
        for folder in (world.stack.master_config_dir, world.stack.logs)
        for path in folder.rglob("*")
        if path.is_file() and hashed.encode() in path.read_bytes()
    ]
    assert found == []


def test_what_holds_secrets_is_the_owners_alone(world: World) -> None:
    root = world.stack.root
    for name in ("database_url", "secret_key", "salt/master/master"):
        assert stat.S_IMODE((root / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert (root / "secret_key").read_text() not in process.read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue


def test_a_forged_payment_makes_nothing(world: World) -> None:
    order = world.place("unpaid.example.org")
    # The last message of another order, so that even the number is one that exists.
    with world.db.reading() as session:
        message_id = session.scalar(sa.select(sa.func.max(OutboxMessage.id))) or 1
    forged = {"message_id": message_id, "order_id": order}
    world.stack.salt.call("dom0-b", "event.send", "domus/order/paid", forged)
    assert world.stack.salt.run("domus_work.order_paid", **forged) == "nothing to do"
    settled = world.place("paid.example.org")
    world.pay(settled)
    world.wait_for(settled, "active")
    assert world.status(order)["state"] == "reserved"
    assert world.status(order)["vps"] not in world.domus_on("dom0-a")


def test_a_dom0_is_not_believed_about_anothers_vps(world: World, eventually: Callable[..., Any]) -> None:
    order = world.place(location="Frankfurt")
    world.pay(order)
    theirs = world.wait_for(order, "active")["vps"]
    own_order = world.place(location="Paris")
    world.pay(own_order)
    own = world.wait_for(own_order, "active")["vps"]
    # dom0-b was taken over: it can fire any tag and any data, and knows its own key.
    key = world.stack.salt.call("dom0-b", "pillar.items", unmask=True)["domus"]["dom0"]["report_key"]

    def says_stopped(vps_id: str, minion_id: str) -> None:
        change = {"uuid": vps_id, "name": "x", "power": "stopped", "power_reason": "guest", "at": later}
        message = domus_seal.sealed(key, "power", {"changes": [change]})
        world.stack.salt.fire(f"salt/beacon/{minion_id}/domus_power/", {"id": minion_id, **message})

    later = iso_z(utc_now() + timedelta(minutes=1))
    says_stopped(theirs, "dom0-b")
    says_stopped(theirs, "dom0-a")
    # The engine takes events in their order: once it took this one, it has had the two before.
    says_stopped(own, "dom0-b")
    eventually(lambda: world.vps(own_order)["wanted"] == "stopped", "the true word to be taken")
    assert world.vps(order)["observed"] == "running"
    assert world.vps(order)["wanted"] == "running"


def test_a_return_in_anothers_name_does_not_end_its_run(world: World, eventually: Callable[..., Any]) -> None:
    order = world.place(location="Frankfurt")
    world.pay(order)
    vps_id = world.wait_for(order, "active")["vps"]
    key = world.stack.salt.call("dom0-b", "pillar.items", unmask=True)["domus"]["dom0"]["report_key"]
    report = world.stack.salt.call("dom0-a", "dom0.report")
    report.pop("seal")
    report["vps"][vps_id] |= {"power": "crashed"}
    report["at"] = iso_z(utc_now() + timedelta(minutes=1))
    forged = {"id": "dom0-a", "jid": "20261120000000000000", "fun": "dom0.report", "fun_args": []}
    world.stack.salt.fire(
        "salt/job/20261120000000000000/ret/dom0-a",
        {**forged, "return": domus_seal.sealed(key, "report", report)},
    )
    # The engine takes events in their order: once it took this one, it has had the one before.
    world.stack.salt.call("dom0-a", "domu.destroy", world.vps(order)["name"])
    eventually(lambda: world.vps(order)["observed"] == "stopped", "the true word to be taken")
    with world.db.reading() as session:
        seen = session.scalars(
            sa.select(VpsTransition.new).where(
                VpsTransition.vps_id == uuid.UUID(vps_id), VpsTransition.kind == "observed"
            )
        ).all()
    assert "crashed" not in seen


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("domus_work.dom0_due", {"dom0_id": 999_999}),
        ("domus_work.minion_started", {"minion_id": "nobody"}),
        ("domus_work.vps_changed", {"message_id": 1, "vps_id": "00000000-0000-4000-8000-000000000000"}),
        ("domus_work.console_wanted", {"message_id": 1, "vps_id": "00000000-0000-4000-8000-000000000000"}),
    ],
)
def test_events_about_what_is_not_there_do_nothing(
    world: World, function: str, arguments: dict[str, Any]
) -> None:
    answer = world.stack.salt.run(function, **arguments)
    assert "nothing" in answer or answer.startswith("no "), answer
