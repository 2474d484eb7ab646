"""The console tail: asked for when somebody looks, and only its own dom0 may fill it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from domus.core.errors import Conflict, NotFound
from domus.workflows import console, work
from tests.support.builders import NOW
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


def wanted(shop: Shop, now=NOW) -> list[work.ClaimedMessage]:
    return [m for m in work.claim_messages(shop.db, now=now) if m.tag == "domus/console/wanted"]


def look(shop: Shop, vps, now=NOW):
    return console.ask(shop.db, vps_id=vps.id, actor=shop.people.as_alice, now=now)


def store(shop: Shop, vps, lines, *, problem="", minion_id=None):
    console.store(
        shop.db,
        minion_id=minion_id or shop.machine.minion_id,
        vps_id=vps.id,
        lines=lines,
        problem=problem,
        now=NOW,
    )


def test_looking_asks_the_dom0_once_in_five_seconds(shop):
    vps = shop.active()
    assert look(shop, vps).text == ""
    look(shop, vps, NOW + timedelta(seconds=4))
    [message] = wanted(shop)
    assert message.payload == {"vps_id": str(vps.id), "message_id": message.id}
    look(shop, vps, NOW + timedelta(seconds=5))
    assert len(wanted(shop, NOW + timedelta(seconds=5))) == 1


def test_the_runner_learns_which_domu_on_which_dom0(shop):
    vps = shop.active()
    look(shop, vps)
    [message] = wanted(shop)
    answer = work.console_wanted(shop.db, message_id=message.id, vps_id=vps.id, now=NOW)
    assert answer == (shop.machine.minion_id, vps.name)
    assert work.console_wanted(shop.db, message_id=message.id, vps_id=vps.id, now=NOW) is None


def test_what_came_is_shown_at_the_next_look(shop):
    vps = shop.active()
    store(shop, vps, ["Debian GNU/Linux 12", "login:"])
    tail = look(shop, vps)
    assert (tail.text, tail.fetched_at, tail.problem) == ("Debian GNU/Linux 12\nlogin:", NOW, "")


def test_a_problem_keeps_the_last_lines(shop):
    vps = shop.active()
    store(shop, vps, ["login:"])
    store(shop, vps, None, problem="the domU is off")
    tail = look(shop, vps)
    assert (tail.text, tail.problem) == ("login:", "the domU is off")


def test_a_guest_cannot_send_control_characters_or_floods(shop):
    vps = shop.active()
    store(shop, vps, ["\x1b[31mred\0\ud800\t|"])
    assert look(shop, vps).text == "[31mred\t|"
    store(shop, vps, [f"{n} " + "x" * 1000 for n in range(1000)])
    text = look(shop, vps).text
    assert len(text) == console.MAX_CHARACTERS
    assert text.endswith("x" * 1000)


def test_another_dom0_is_not_heard(db):
    shop = make_shop(db, dom0s=2)
    vps = shop.active()
    store(shop, vps, ["forged"], minion_id=shop.machines[1].minion_id)
    assert look(shop, vps).text == ""


def test_strangers_see_no_console(shop):
    vps = shop.active()
    with pytest.raises(NotFound):
        console.ask(shop.db, vps_id=vps.id, actor=shop.people.as_charlie, now=NOW)


def test_what_is_not_made_yet_has_no_console(shop):
    with pytest.raises(Conflict):
        look(shop, shop.vps_of(shop.order()))
