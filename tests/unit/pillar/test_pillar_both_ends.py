"""Both ends of the contract: what the house accepts and writes, a dom0 reads without a complaint.

The dom0's own parser is loaded from ``salt/_utils``, as Salt would load it. Something that the house sells and the dom0 then
refuses would be a customer who has paid and gets nothing.
"""

from __future__ import annotations

import base64
import importlib
import json
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.catalog import services as catalog
from domus.core.errors import InvalidInput
from domus.core.hostnames import parse_hostname
from domus.core.ssh_keys import KEY_TYPES, parse_ssh_key
from domus.inventory import services as inventory
from domus.workflows.order_checks import hash_root_password
from tests.support.order_shop import make_shop

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def _dom0_modules() -> Iterator[None]:
    """Make the dom0's modules importable, as Salt's loader does there."""
    folder = str(ROOT / "salt" / "_utils")
    sys.path.append(folder)
    yield
    sys.path.remove(folder)


def dom0_module(name: str) -> ModuleType:
    return importlib.import_module(name)


def assert_the_dom0_understands(pillar: dict) -> None:
    parsed = dom0_module("domus_spec").Dom0Pillar.parse(pillar)
    assert parsed.problems == {}
    assert set(parsed.vps) == set(pillar["vps"])
    assert set(parsed.templates) == set(pillar["templates"])


def test_the_dom0_understands_the_sample():
    sample = json.loads((ROOT / "tests" / "data" / "contracts" / "pillar-two-vps.json").read_text())
    assert len(sample["domus"]["vps"]) == 2
    assert_the_dom0_understands(sample["domus"])


def test_the_dom0_understands_what_orders_become(db):
    shop = make_shop(db)
    shop.active(root_password="correct horse battery")
    shop.failed()
    assert_the_dom0_understands(shop.machine.pillar())


def test_every_root_password_hash_is_one_for_the_dom0():
    assert dom0_module("domus_fields").password_hash(hash_root_password("ünïcödé pässwörd"), "hash")


@given(st.one_of(st.text(max_size=80), st.from_regex(r"[a-zA-Z0-9.-]{1,80}", fullmatch=True)))
def test_every_host_name_that_is_sold_is_one_for_the_dom0(text):
    try:
        name = parse_hostname(text)
    except InvalidInput:
        return
    assert dom0_module("domus_fields").hostname(name, "hostname") == name


@st.composite
def key_lines(draw: st.DrawFn) -> str:
    kind = draw(st.sampled_from(KEY_TYPES))
    size = 32 if kind == "ssh-ed25519" else draw(st.integers(1, 5000))
    parts = [kind.encode(), b"\1\0\1", b"\x7f" * size] if kind == "ssh-rsa" else [kind.encode(), b"x" * size]
    blob = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return f"{kind} {base64.b64encode(blob).decode()} {draw(st.text(max_size=300))}"


@given(key_lines())
def test_every_ssh_key_that_is_sold_is_one_for_the_dom0(line):
    try:
        key = parse_ssh_key(line)
    except InvalidInput:
        return
    assert dom0_module("domus_fields").ssh_key(key, "key") == key


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (inventory._MINION_ID, "LVM_NAME"),
        (inventory._LVM_NAME, "LVM_NAME"),
        (inventory._BRIDGE, "INTERFACE"),
        (inventory._MIRROR, "MIRROR"),
        (catalog._TEMPLATE_NAME, "SLUG"),
        (catalog._WORD, "SLUG"),
        (catalog._VERSION, "VERSION"),
    ],
)
@given(data=st.data())
def test_every_name_that_an_operator_may_give_is_one_for_the_dom0(ours, theirs, data):
    name = data.draw(st.from_regex(ours, fullmatch=True))
    assert getattr(dom0_module("domus_fields"), theirs).fullmatch(name)


@given(st.from_regex(inventory._DIRECTORY, fullmatch=True))
def test_every_image_folder_is_one_for_the_dom0(path):
    assert dom0_module("domus_spec").ABSOLUTE_PATH.fullmatch(path)
    assert not re.search(r"/\.", path)
