"""Which of Domus's dom0 modules another one needs: what goes into the image to build its template."""

import ast
from pathlib import Path


def import_closure(name: str, folder: Path) -> list[Path]:
    """Return the file of a module and of all modules of the same folder that it comes to import."""
    found: dict[str, Path] = {}
    waiting = [name]
    while waiting:
        path = folder / f"{waiting.pop()}.py"
        if path.stem in found or not path.exists():
            continue
        found[path.stem] = path
        waiting += _imported(path)
    return [found[stem] for stem in sorted(found)]


def _imported(path: Path) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names
