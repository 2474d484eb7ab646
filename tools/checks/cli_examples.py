"""Every function that ``salt`` or ``salt-run`` offers shows in its help how it is called."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("salt/_modules", "salt/runners")


def problems(repository: Path = REPOSITORY) -> Iterator[str]:
    """Yield a line for every public function without a ``CLI Example:`` in its docstring."""
    for path in sorted(file for folder in FOLDERS for file in (repository / folder).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            if "CLI Example:" not in (ast.get_docstring(node) or ""):
                yield f"{path.relative_to(repository)}:{node.lineno}: {node.name} shows no CLI Example"
