"""``python -m domus_stack demo [--once]``."""

from __future__ import annotations

import argparse
import sys

from domus.core.errors import DomusError
from domus_stack.demo import Demo
from domus_stack.errors import StackError


def main() -> int:
    """Run what the command line asks for and return the exit code."""
    parser = argparse.ArgumentParser(prog="domus_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="a whole Domus with simulated dom0s, and one order")
    demo.add_argument("--once", action="store_true", help="end after the order; the last line is its JSON")
    arguments = parser.parse_args()
    try:
        Demo().run(once=arguments.once)
    except KeyboardInterrupt:
        # The end that people ask for.
        return 0 if not arguments.once else 130
    except (StackError, DomusError) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
