"""Every template can be read: the panels' pages, and what Salt renders by Jinja or by Python."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jinja2

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = "web/domus_web/templates"
SLS = ("salt/states", "salt/pillar", "reactor")


def problems(repository: Path = REPOSITORY) -> Iterator[str]:
    """Yield a line for every template that does not parse, and for every value put into an SLS without ``| json``."""
    environment = jinja2.Environment(autoescape=True, extensions=["jinja2.ext.i18n", "jinja2.ext.do"])
    for path in sorted((repository / PAGES).rglob("*.html")):
        yield from _parse(environment, path, repository)
    for path in sorted(file for folder in SLS for file in (repository / folder).rglob("*.sls")):
        text = path.read_text(encoding="utf-8")
        if text.startswith("#!py"):
            yield from _python(path, repository)
            continue
        yield from _parse(environment, path, repository)
        for number, line in enumerate(text.splitlines(), start=1):
            if "{{" in line and "| json" not in line:
                yield f"{path.relative_to(repository)}:{number}: a value without | json can change what the SLS says"


def _parse(environment: jinja2.Environment, path: Path, repository: Path) -> Iterator[str]:
    try:
        environment.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except jinja2.TemplateSyntaxError as error:
        yield f"{path.relative_to(repository)}:{error.lineno}: {error.message}"


def _python(path: Path, repository: Path) -> Iterator[str]:
    try:
        ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        yield f"{path.relative_to(repository)}:{error.lineno}: {error.msg}"
