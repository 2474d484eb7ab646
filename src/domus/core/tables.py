"""Rows of plain values as a table of plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from domus.core.texts import visible


def plain_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return the columns of the rows in lines that a terminal shows; a word where there are none."""
    if not rows:
        return "There are none."
    lines = [tuple(column.replace("_", " ") for column in columns)]
    lines += [tuple(_cell(row[column]) for column in columns) for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    padded = (
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)


def _cell(value: Any) -> str:
    """Return a value on one line, whatever stands in it."""
    if value is None or value in ("", [], {}):
        return "-"
    if isinstance(value, Mapping):
        return visible(", ".join(f"{name}: {count}" for name, count in value.items()))
    if isinstance(value, list | tuple):
        return visible(" ".join(str(item) for item in value))
    return visible(str(value))
