"""The list of VPSs, the page of one, its power, its console, its history."""

from __future__ import annotations

import pytest

from domus.core.clock import utc_now
from domus.db.engine import Database
from domus.vps.models import SuspensionReason
from domus.workflows import console, power
from tests.support.panel import Visitor, text_of
from tests.support.people import People
from tests.support.shop import Shop


def _said(visitor: Visitor, path: str) -> str:
    return text_of(visitor.get(path)).replace("\N{NO-BREAK SPACE}", " ")


def test_who_has_no_vps_is_shown_the_way_to_one(alice: Visitor) -> None:
    page = alice.get("/vps")
    assert "No VPS yet" in text_of(page)
    assert "/orders/new" in page.get_data(as_text=True)


def test_the_list_shows_state_and_address_and_only_ones_own(
    shop: Shop, people: People, alice: Visitor, charlie: Visitor
) -> None:
    shop.delivered(people.alice)
    assert "www.example.org Running 192.0.2." in _said(alice, "/vps")
    assert "www.example.org" not in _said(charlie, "/vps")


def test_the_page_shows_machine_contract_and_history(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.delivered(people.alice)
    said = _said(alice, f"/vps/{shop.vps(order).id}")
    for fact in (
        "ssh root@192.0.2.",
        "Memory 512 MiB",
        "Disk 10 GiB",
        "Swap 512 MiB",
        "Debian 12",
        "Paris",
        "VPS Small",
        "First registered",
        "Paid until",
        "9.00 USD for 1 month",
        f"Order {order}",
        "Handed over",
        "alice@example.org",
    ):
        assert fact in said, fact


@pytest.mark.parametrize(
    ("action", "shown"),
    [("shutdown", "Shutting down"), ("reboot", "Rebooting"), ("power-off", "Powering off")],
)
def test_what_interrupts_a_vps_is_asked_first_and_then_done(
    shop: Shop, people: People, alice: Visitor, action: str, shown: str
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    alice.get(f"/vps/{vps.id}/{action}")
    assert "Running" in _said(alice, f"/vps/{vps.id}"), "asking changes nothing"
    alice.post(f"/vps/{vps.id}/{action}")
    said = _said(alice, f"/vps/{vps.id}")
    assert shown in said
    assert "alice@example.org" in said


def test_powering_off_says_what_is_lost(shop: Shop, people: People, alice: Visitor) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    assert "whatever is not on disk yet is lost" in _said(alice, f"/vps/{vps.id}/power-off")


def test_a_vps_that_is_off_is_started(shop: Shop, people: People, alice: Visitor) -> None:
    order = shop.delivered(people.alice)
    vps = shop.vps(order)
    alice.post(f"/vps/{vps.id}/power-off")
    shop.says_running(order, power="stopped")
    body = alice.get(f"/vps/{vps.id}").get_data(as_text=True)
    assert f'action="/vps/{vps.id}/start"' in body
    assert f"/vps/{vps.id}/reboot" not in body
    alice.post(f"/vps/{vps.id}/start")
    assert "Starting" in _said(alice, f"/vps/{vps.id}")


@pytest.mark.parametrize("action", ["destroy", "", "start/", "hard-reboot"])
def test_other_actions_do_not_exist(shop: Shop, people: People, alice: Visitor, action: str) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    alice.post(f"/vps/{vps.id}/{action}", status=404)


def test_a_suspended_vps_says_why_and_has_no_buttons_and_the_server_refuses(
    db: Database, shop: Shop, people: People, alice: Visitor
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    power.suspend(
        db, vps_id=vps.id, suspension=SuspensionReason.UNPAID, note="Invoice 12 is overdue.",
        actor=people.as_olga, now=utc_now(),
    )  # fmt: skip
    page = alice.get(f"/vps/{vps.id}")
    said = text_of(page)
    assert "Suspended: unpaid. Invoice 12 is overdue." in said
    assert "Pay what is open" in said
    for action in ("start", "shutdown", "reboot", "power-off"):
        assert f"/vps/{vps.id}/{action}" not in page.get_data(as_text=True)
        alice.get(f"/vps/{vps.id}/{action}", status=409)
    for action in ("start", "reboot"):
        refusal = alice.post(f"/vps/{vps.id}/{action}", status=409)
        assert "suspended" in text_of(refusal)


def test_a_vps_that_is_not_made_yet_cannot_be_driven(shop: Shop, people: People, alice: Visitor) -> None:
    vps = shop.vps(shop.paid(people.alice))
    page = alice.get(f"/vps/{vps.id}")
    assert "See how far it is" in text_of(page)
    alice.post(f"/vps/{vps.id}/start", status=409)


def test_the_live_part_is_slow_when_nothing_is_under_way(shop: Shop, people: People, alice: Visitor) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    assert 'data-every="10000"' in alice.get(f"/vps/{vps.id}/state").get_data(as_text=True)
    alice.post(f"/vps/{vps.id}/reboot")
    assert 'data-every="1500"' in alice.get(f"/vps/{vps.id}/state").get_data(as_text=True)


def test_the_console_is_asked_for_and_then_shown_as_text(
    db: Database, shop: Shop, people: People, alice: Visitor
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    assert "Nothing was fetched yet" in _said(alice, f"/vps/{vps.id}/console")
    alice.post(f"/vps/{vps.id}/console")
    assert "waiting for the server" in _said(alice, f"/vps/{vps.id}/console")
    console.store(
        db, minion_id=shop.dom0.minion_id, vps_id=vps.id, lines=["www login: <b>"], problem="", now=utc_now()
    )
    lines = alice.get(f"/vps/{vps.id}/console/lines")
    assert "www login: <b>" in text_of(lines)
    assert "<b>" not in lines.get_data(as_text=True)


def test_the_script_asks_for_the_console_without_leaving_the_page(
    shop: Shop, people: People, alice: Visitor
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    alice.post(f"/vps/{vps.id}/console", headers={"X-Requested-With": "fetch"}, status=204)


def test_a_console_that_cannot_be_had_says_why(
    db: Database, shop: Shop, people: People, alice: Visitor
) -> None:
    vps = shop.vps(shop.delivered(people.alice))
    alice.post(f"/vps/{vps.id}/console")
    console.store(
        db, minion_id=shop.dom0.minion_id, vps_id=vps.id, lines=None, problem="It is off.", now=utc_now()
    )
    assert "It is off." in _said(alice, f"/vps/{vps.id}/console")
