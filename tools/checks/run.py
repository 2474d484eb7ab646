"""The house's own rules, each a module beside this one with a function ``problems()``; exit 1 when one is broken."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checks import cli_examples, migrations, salt_tree, templates, two_worlds

CHECKS = (two_worlds, salt_tree, cli_examples, templates, migrations)


def main() -> None:
    """Print what every check found."""
    found = [line for check in CHECKS for line in check.problems()]
    print("\n".join(found) or f"{len(CHECKS)} rules of the house hold")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
