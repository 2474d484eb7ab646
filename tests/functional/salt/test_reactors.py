"""Reactors pass on an id, as text, and nothing else; Salt's own renderer reads them here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.salt_loader import SaltDom0

REACTOR = Path(__file__).resolve().parents[3] / "reactor"
EVIL = (
    '"{{ 7*7 }}"',
    "{% include 'x' %}",
    "$(id)",
    "x\n- runner.salt.cmd: []",
    "!!python/object/apply:os.system ['id']",
    "' or 1=1 --",
    "a: b # c",
)


def render(dom0: SaltDom0, name: str, data: dict[str, Any]) -> Any:
    path = str(REACTOR / f"{name}.sls")
    return json.loads(json.dumps(dom0.modules.slsutil.renderer(path=path, tag="x", data=data)))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("order_paid", {"message_id": 17, "order_id": "6f1b"}),
        ("vps_changed", {"message_id": 17, "vps_id": "6f1b"}),
        ("console_wanted", {"message_id": 17, "vps_id": "6f1b"}),
        ("dom0_due", {"dom0_id": 3}),
    ],
)
def test_a_reaction_is_one_call_of_a_runner_with_the_ids(
    salt_dom0: SaltDom0, name: str, data: dict[str, Any]
) -> None:
    arguments = [{key: value} for key, value in data.items()]
    expected = {f"domus-{name}-runner": {f"runner.domus_work.{name}": [{"args": arguments}]}}
    assert render(salt_dom0, name, {**data, "_stamp": "2026-11-20T12:00:00", "paid": True}) == expected


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
def test_what_became_of_a_contract_is_one_call_with_the_ids(salt_dom0: SaltDom0, name: str) -> None:
    data = {"message_id": 17, "vps_id": "6f1b"}
    arguments = [{key: value} for key, value in data.items()]
    expected = {f"domus-{name}-runner": {f"runner.domus_contract.{name}": [{"args": arguments}]}}
    assert render(salt_dom0, name, {**data, "_stamp": "2026-11-20T12:00:00"}) == expected


def test_a_minion_that_starts_is_named_by_its_id(salt_dom0: SaltDom0) -> None:
    expected = {"runner.domus_work.minion_started": [{"args": [{"minion_id": "dom0-a"}]}]}
    found = render(salt_dom0, "minion_start", {"id": "dom0-a", "cmd": "_minion_event", "data": "up"})
    assert found == {"domus-minion_start-runner": expected}


@pytest.mark.parametrize("text", EVIL)
def test_whatever_stands_in_an_event_stays_text(salt_dom0: SaltDom0, text: str) -> None:
    found = render(salt_dom0, "order_paid", {"message_id": text, "order_id": text})
    [call] = found["domus-order_paid-runner"].values()
    assert call == [{"args": [{"message_id": text}, {"order_id": text}]}]


def test_there_is_no_logic_in_a_reactor() -> None:
    for path in REACTOR.glob("*.sls"):
        assert "{%" not in path.read_text(), path
