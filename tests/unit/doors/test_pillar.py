"""The external pillar: one dom0's own, nothing for others, and an error rather than an empty answer."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from domus.db.engine import Database
from tests.support.order_shop import make_shop
from tests.support.salt_doors import load_door


def door(url: str) -> ModuleType:
    return load_door("pillar/domus_pillar.py", opts={"domus": {"database_url": url}})


def url_of(db: Database) -> str:
    return db.engine.url.render_as_string(hide_password=False)


def test_a_dom0_gets_what_is_wanted_on_it(any_db: Database) -> None:
    shop = make_shop(any_db, dom0s=2)
    vps = shop.paid()
    first, second = (machine.minion_id for machine in shop.machines)
    pillar = door(url_of(any_db))
    found: dict[str, Any] = pillar.ext_pillar(first, {})
    assert list(found) == ["domus"]
    other = pillar.ext_pillar(second, {})
    mine, theirs = (found, other) if str(vps.id) in found["domus"]["vps"] else (other, found)
    assert list(mine["domus"]["vps"]) == [str(vps.id)]
    assert theirs["domus"]["vps"] == {}


def test_a_minion_that_is_no_dom0_gets_nothing(db: Database) -> None:
    assert door(url_of(db)).ext_pillar("web-1", {}) == {}


@pytest.mark.parametrize("name", ["nowhere/database.sqlite", "not-a-database"])
def test_a_database_that_is_away_is_an_error_that_tells_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "not-a-database").write_text("this is a text" * 100)
    pillar = door(f"sqlite:///{tmp_path / name}")
    with pytest.raises(pillar.PillarUnavailable) as caught:
        pillar.ext_pillar("dom0-a", {})
    assert str(caught.value) == "domus database unavailable"
    assert caught.value.__suppress_context__


def test_a_missing_setting_is_an_error_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOMUS_DATABASE_URL", raising=False)
    monkeypatch.delenv("DOMUS_DATABASE_URL_FILE", raising=False)
    pillar = load_door("pillar/domus_pillar.py", opts={})
    with pytest.raises(pillar.PillarUnavailable, match=r"^domus database unavailable$"):
        pillar.ext_pillar("dom0-a", {})
