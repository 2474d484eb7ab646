"""Reading what dom0s send: strict about form, and one bad entry spoils itself only."""

from __future__ import annotations

import copy
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.errors import InvalidInput
from domus.provisioning.reports import parse_job, parse_power_change, parse_report
from domus.vps.models import Power
from tests.support.builders import NOW

VPS = "6f1b2c3d-0000-4000-8000-000000000001"
INSTALL = "0b9e0000-0000-4000-8000-000000000001"
TOKEN = "70c40000-0000-4000-8000-000000000001"

JOB = {
    "uuid": VPS, "name": "vps-6f1b2c3d", "install_id": INSTALL, "kind": "install", "state": "running",
    "step": "unpack", "percent": 40, "steps": [{"name": "unpack", "title": "Unpacking", "state": "running"}],
    "error": None, "attempt": 1, "tries": 1, "log_tail": ["one", "two"],
}  # fmt: skip

REPORT = {
    "schema_version": 1,
    "minion_id": "dom0-a",
    "boot_id": "b1",
    "at": "2026-11-20T12:00:00Z",
    "capacity": {"memory_total_mib": 1, "memory_free_mib": 1, "vcpus": 1},
    "vps": {
        VPS: {
            "name": "vps-6f1b2c3d", "revision": 3, "seen_revision": 3, "power": "running", "power_reason": "",
            "boot_serial": 0, "install": JOB, "problem": None, "removed_token": TOKEN, "look_again_at": None,
        }
    },
    "unknown": [],
}  # fmt: skip


def parse(report) -> object:
    return parse_report(report, minion_id="dom0-a", now=NOW)


def test_a_report_is_read():
    report = parse(REPORT)
    [seen] = report.vps.values()
    assert (report.at, report.boot_id, report.refused) == (NOW, "b1", ())
    assert (seen.revision, seen.power.power, str(seen.removed_token)) == (3, Power.RUNNING, TOKEN)
    assert (seen.install.percent, seen.install.log, seen.install.ended) == (40, "one\ntwo", False)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("schema_version", 2, "schema_version 2"),
        ("minion_id", "dom0-b", "came from dom0-a"),
        ("at", "yesterday", "at is 'yesterday'"),
        ("at", "2026-11-20T12:00:00", "zone"),
        ("at", None, "zone"),
        ("vps", [], "must be a map"),
        ("capacity", {"vcpus": "many"}, "capacity.vcpus"),
    ],
)
def test_a_report_that_is_none_is_refused(field, value, message):
    with pytest.raises(InvalidInput, match=message):
        parse(REPORT | {field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("power", "levitating"), ("power", None), ("power_reason", "magic"), ("revision", "3"), ("revision", -1),
        ("revision", True), ("removed_token", "x"), ("install", "soon"), ("install", JOB | {"uuid": TOKEN}),
        ("look_again_at", 12), ("seen_revision", 1 << 70),
    ],
)  # fmt: skip
def test_a_bad_entry_is_named_and_the_others_are_read(field, value):
    report = copy.deepcopy(REPORT)
    report["vps"][TOKEN] = REPORT["vps"][VPS] | {"install": None}
    report["vps"][VPS][field] = value
    found = parse(report)
    assert [str(vps_id) for vps_id in found.vps] == [TOKEN]
    assert [text[:36] for text in found.refused] == [VPS]


def test_a_clock_ahead_of_ours_is_taken_as_now():
    assert parse(REPORT | {"at": "2031-01-01T00:00:00Z"}).at == NOW
    change = {"uuid": VPS, "power": "running", "at": "2031-01-01T00:00:00Z"}
    assert parse_power_change(change, now=NOW).at == NOW
    assert parse_power_change(change, now=NOW + timedelta(days=3650)).at.year == 2031


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("uuid", None), ("install_id", "x"), ("state", "paused"), ("percent", "40"), ("attempt", None),
        ("steps", "all"), ("steps", ["one"]), ("log_tail", "text"),
    ],
)  # fmt: skip
def test_a_job_that_is_none_is_refused(field, value):
    with pytest.raises(InvalidInput):
        parse_job(JOB | {field: value})


def test_text_is_kept_only_as_far_as_the_database_takes_it():
    job = parse_job(
        JOB | {"error": "x" * 9000, "log_tail": ["y" * 900] * 90, "step": "a\0b\ud800", "percent": 250}
    )
    assert (len(job.error), len(job.log), job.step, job.percent) == (1000, 20_000, "ab", 100)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(["vps", "at", "capacity", "boot_id"]),
    JSON,
    st.dictionaries(st.sampled_from([*REPORT["vps"][VPS], "uuid"]), JSON),
)
def test_nothing_that_a_dom0_sends_breaks_the_reader(field, value, entry):
    report = copy.deepcopy(REPORT)
    report["vps"][VPS] |= entry
    try:
        parse(report)
        parse(report | {field: value})
    except InvalidInput:
        return
