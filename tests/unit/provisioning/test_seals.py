"""The seal on what a dom0 says: made by the dom0's code, checked by the house's, over the same bytes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.provisioning.seals import is_genuine

ROOT = Path(__file__).parents[3]
KEY = "5e" * 32
OTHER_KEY = "e5" * 32
SALTS_OWN = ("id", "_stamp", "seal")
REPORT = json.loads((ROOT / "tests/data/contracts/report-simulated.json").read_text(encoding="utf-8"))

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def dom0_side() -> ModuleType:
    spec = importlib.util.spec_from_file_location("domus_seal_alone", ROOT / "salt/_utils/domus_seal.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_report_is_genuine_after_its_way_over_salts_bus(dom0_side) -> None:
    sealed = dom0_side.sealed(KEY, "report", REPORT)
    arrived = msgpack.unpackb(msgpack.packb(sealed))
    assert is_genuine(KEY, "report", arrived)


def test_what_salt_adds_to_an_event_is_no_part_of_the_seal(dom0_side) -> None:
    sealed = dom0_side.sealed(KEY, "jobs", {"jobs": []})
    assert is_genuine(KEY, "jobs", sealed | {"id": "dom0-a", "_stamp": "2026-11-20T12:00:00"})


@given(
    body=st.dictionaries(st.text(min_size=1, max_size=8).filter(lambda name: name not in SALTS_OWN), plain)
)
def test_whatever_the_dom0_seals_is_genuine(dom0_side, body) -> None:
    arrived = msgpack.unpackb(msgpack.packb(dom0_side.sealed(KEY, "power", body)))
    assert is_genuine(KEY, "power", arrived)


def test_another_dom0s_key_seals_nothing_here(dom0_side) -> None:
    assert not is_genuine(KEY, "report", dom0_side.sealed(OTHER_KEY, "report", REPORT))


def test_what_was_said_as_one_kind_is_not_taken_as_another(dom0_side) -> None:
    assert not is_genuine(KEY, "run", dom0_side.sealed(KEY, "report", REPORT))


def test_a_changed_word_breaks_the_seal(dom0_side) -> None:
    sealed = dom0_side.sealed(KEY, "jobs", {"jobs": [{"percent": 10}]})
    assert not is_genuine(KEY, "jobs", sealed | {"jobs": [{"percent": 99}]})


@pytest.mark.parametrize("seal", [None, "", 7, "0" * 64, "é"])
def test_a_missing_or_odd_seal_is_not_genuine(seal) -> None:
    assert not is_genuine(KEY, "jobs", {"jobs": [], "seal": seal})


def test_a_message_without_a_seal_is_not_genuine() -> None:
    assert not is_genuine(KEY, "jobs", {"jobs": []})


def test_without_a_key_nothing_is_sealed(dom0_side) -> None:
    assert dom0_side.sealed(None, "jobs", {"jobs": []}) == {"jobs": []}
