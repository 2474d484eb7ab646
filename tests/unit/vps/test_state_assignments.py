"""A rule held by a script: states are changed by the transition services, and by nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

#: Where a state may be written: each walks one table, by compare-and-swap or under a row lock.
WRITERS = {
    "src/domus/billing/invoicing.py",
    "src/domus/billing/services.py",
    "src/domus/billing/states.py",
    "src/domus/commissions/services.py",
    "src/domus/gateways/attempts.py",
    "src/domus/gateways/events.py",
    "src/domus/inventory/ranges.py",
    "src/domus/mail/outbox.py",
    "src/domus/placement/addresses.py",
    "src/domus/provisioning/jobs.py",
    "src/domus/vps/services.py",
    "src/domus/workflows/inventory.py",
    "src/domus/workflows/mail.py",
    "src/domus/workflows/payments/bank.py",
    "src/domus/workflows/payments/givenback.py",
}


def state_writes(source: str) -> Iterator[int]:
    """Yield the lines that assign ``x.state`` or pass ``state=`` to ``.values()``."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(attr="state", ctx=ast.Store()):
                yield node.lineno
            case ast.Call(func=ast.Attribute(attr="values"), keywords=keywords):
                if any(keyword.arg == "state" for keyword in keywords):
                    yield node.lineno


@pytest.mark.parametrize("path", sorted(WRITERS))
def test_every_exception_is_still_needed(path):
    assert list(state_writes((ROOT / path).read_text(encoding="utf-8")))


def test_only_the_transition_services_write_a_state():
    folders = [
        ROOT / "src",
        ROOT / "web",
        ROOT / "salt" / "engines",
        ROOT / "salt" / "runners",
        ROOT / "tools",
    ]
    found = {
        f"{path.relative_to(ROOT)}:{line}"
        for folder in folders
        for path in folder.rglob("*.py")
        if str(path.relative_to(ROOT)) not in WRITERS
        for line in state_writes(path.read_text(encoding="utf-8"))
    }
    assert found == set()


@pytest.mark.parametrize(
    "source",
    [
        "vps.state = 'active'",
        "vps.state: str = 'x'",
        "sa.update(Vps).values(state=new)",
        "a.b, order.state = 1, 2",
    ],
)
def test_the_script_finds_what_it_looks_for(source):
    assert list(state_writes(source)) == [1]


@pytest.mark.parametrize(
    "source", ["vps.state == 'active'", "state = 1", "Vps(state=new)", "vps.state_since = now"]
)
def test_the_script_leaves_reading_alone(source):
    assert list(state_writes(source)) == []
