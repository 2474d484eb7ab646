"""What every benchmark shares: turn-taking rounds, results, the registry, the table and the file."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).with_name("results.json")


class LeftOut(Exception):
    """A benchmark cannot run here; the text says what is missing and which package has it."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One measured figure beside its peer or its limit.

    ``limit`` is the target as a person would write it (``<= 0.6 of peer``); ``holds`` says whether this run met it.
    ``ratio`` is value / peer_value. Values are medians.
    """

    name: str
    value: float
    unit: str
    limit: str
    holds: bool | None
    command: str
    peer: str = ""
    peer_value: float | None = None
    ratio: float | None = None
    rounds: int = 1
    spread: tuple[float, float] | None = None
    load_before: float = field(default_factory=lambda: round(os.getloadavg()[0], 2))


Benchmark = Callable[[int], Iterable[Result]]
REGISTRY: dict[str, Benchmark] = {}


def benchmark(name: str) -> Callable[[Benchmark], Benchmark]:
    """Register a function that takes a number of rounds and yields results, under the name that ``--only`` takes."""

    def register(function: Benchmark) -> Benchmark:
        REGISTRY[name] = function
        return function

    return register


def require(program: str, package: str) -> str:
    """Return the path of a program; raise LeftOut naming the Debian package when it is not installed."""
    path = shutil.which(program)
    if path is None:
        raise LeftOut(f"{program} is not installed (Debian package {package})")
    return path


def seconds(action: Callable[[], object]) -> float:
    """Return how long *action* took by the monotonic clock."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def in_turn(rounds: int, *actions: Callable[[], float]) -> list[list[float]]:
    """Run the actions A B A B ..., each returning its own measure; return one list per action."""
    measures: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for collected, action in zip(measures, actions, strict=True):
            collected.append(action())
    return measures


def compare(
    name: str, unit: str, ours: Sequence[float], *, peer: str, theirs: Sequence[float], at_most: float | None = None,
    at_least: float | None = None, command: str,
) -> Result:  # fmt: skip
    """Return the result of a comparison: the ratio of medians against ``at_most`` or ``at_least``."""
    value, peer_value = statistics.median(ours), statistics.median(theirs)
    ratio = value / peer_value
    limit, holds = "", None
    if at_most is not None:
        limit, holds = f"<= {at_most:g} of {peer}", ratio <= at_most
    elif at_least is not None:
        limit, holds = f">= {at_least:g} times {peer}", ratio >= at_least
    return Result(
        name=name, value=round(value, 4), unit=unit, limit=limit, holds=holds, command=command, peer=peer,
        peer_value=round(peer_value, 4), ratio=round(ratio, 3), rounds=len(ours),
        spread=(round(min(ours), 4), round(max(ours), 4)),
    )  # fmt: skip


def absolute(
    name: str, unit: str, values: Sequence[float], *, at_most: float | None = None, command: str
) -> Result:
    """Return the result of a figure that has a limit of its own, or none."""
    value = statistics.median(values)
    return Result(
        name=name, value=round(value, 4), unit=unit, limit="" if at_most is None else f"<= {at_most:g} {unit}",
        holds=None if at_most is None else value <= at_most, command=command, rounds=len(values),
        spread=(round(min(values), 4), round(max(values), 4)),
    )  # fmt: skip


def save(results: Sequence[Result]) -> None:
    """Write the results beside those of earlier runs; a name that was measured again replaces its old entry."""
    kept: dict[str, object] = {}
    if RESULTS.exists():
        kept = {entry["name"]: entry for entry in json.loads(RESULTS.read_text(encoding="utf-8"))}
    kept |= {result.name: asdict(result) for result in results}
    RESULTS.write_text(json.dumps(list(kept.values()), indent=2) + "\n", encoding="utf-8")


def show(results: Sequence[Result], left_out: Sequence[str]) -> None:
    """Print the table, and what was left out and why."""
    table = Table("benchmark", "Domus", "peer", "ratio", "limit", "holds", title="Medians of this run")
    for result in results:
        peer = "" if result.peer_value is None else f"{result.peer_value:g} {result.unit} ({result.peer})"
        table.add_row(
            result.name, f"{result.value:g} {result.unit}", peer, "" if result.ratio is None else f"{result.ratio:g}",
            result.limit, {True: "yes", False: "NO", None: ""}[result.holds],
        )  # fmt: skip
    console = Console()
    console.print(table)
    for text in left_out:
        console.print(f"left out: {text}")
