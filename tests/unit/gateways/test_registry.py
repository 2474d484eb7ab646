"""Gateways are found by entry points, those of others as well as ours."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint

import pytest

from domus.core.errors import ConfigurationError, NotFound
from domus.gateways import registry
from tests.support.fake_gateway import FakeGateway


def make(env: Mapping[str, str]) -> FakeGateway | None:
    """Return the gateway of somebody else's package."""
    return FakeGateway() if "THEIR_KEY" in env else None


def offer(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found = [EntryPoint(name, f"{__name__}:make", registry.GROUP)]
    monkeypatch.setattr(EntryPoint, "load", lambda _self: make)
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == registry.GROUP else [])


def test_a_gateway_of_another_package_is_found_when_it_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "fake")
    assert [gateway.name for gateway in registry.gateways_from({"THEIR_KEY": "x"})] == ["fake"]
    assert list(registry.gateways_from({})) == []


def test_a_gateway_under_another_name_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, "else")
    with pytest.raises(ConfigurationError, match="calls itself 'fake'"):
        registry.gateways_from({"THEIR_KEY": "x"})


def test_our_own_are_all_there() -> None:
    names = {entry_point.name for entry_point in registry.entry_points(group=registry.GROUP)}
    assert names >= {"balance", "bank", "paypal", "stripe", "test"}


def test_what_is_switched_off_is_not_there() -> None:
    with pytest.raises(NotFound):
        registry.gateways_from({}).get("stripe")
