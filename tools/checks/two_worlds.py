"""What runs on a dom0 knows nothing of the house: no file of ``salt/_*`` imports ``domus``, and none is a package.

A dom0 has neither the package ``domus`` nor its database; and an ``__init__.py`` below ``salt/`` would hide Salt itself from
everybody who starts Python in the repository.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
HOUSE = ("domus", "domus_web", "domus_stack", "domus_lab")


def problems(repository: Path = REPOSITORY) -> Iterator[str]:
    """Yield a line, with file and line number, for everything that breaks the rule."""
    salt = repository / "salt"
    for package in sorted(salt.rglob("__init__.py")):
        yield f"{package.relative_to(repository)}:1: a package below salt/ hides Salt itself"
    for path in sorted(file for folder in salt.glob("_*") for file in folder.rglob("*.py")):
        for line, module in _imports(path):
            if module.partition(".")[0] in HOUSE:
                yield f"{path.relative_to(repository)}:{line}: {module} does not exist on a dom0"


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.lineno, node.module or ""


def main() -> None:
    """Print the problems; exit 1 when there are any."""
    found = list(problems())
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
