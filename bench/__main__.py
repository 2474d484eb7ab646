"""``python -m bench``: run the benchmarks, print a table, write ``bench/results.json``."""

from __future__ import annotations

import argparse
import importlib
import sys

from bench.harness import REGISTRY, LeftOut, Result, save, show

MODULES = (
    "bench.image_stage",
    "bench.pillar",
    "bench.control_plane",
    "bench.burst",
    "bench.lab_way",
    "bench.lab_dom0",
    "bench.renewals",
    "bench.webhooks",
)


def main() -> int:
    """Run what was asked for; exit 1 when a limit was missed and ``--strict`` was given."""
    for module in MODULES:
        importlib.import_module(module)
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--only", choices=sorted(REGISTRY), action="append", help="run this one (may be repeated)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="rounds for each short measure (default 5)")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a limit was missed")
    arguments = parser.parse_args()
    results: list[Result] = []
    left_out: list[str] = []
    for name in arguments.only or REGISTRY:
        print(f"-- {name}", file=sys.stderr, flush=True)
        try:
            results.extend(REGISTRY[name](arguments.rounds))
        except LeftOut as reason:
            left_out.append(f"{name}: {reason}")
    save(results)
    show(results, left_out)
    return 1 if arguments.strict and any(result.holds is False for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
