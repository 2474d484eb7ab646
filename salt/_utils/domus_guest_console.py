"""The end of a guest's console log, read so that no guest can harm its reader.

A guest writes what it likes there: gigabytes, and escape sequences for the terminal that shows it.
"""

import os
import re
from pathlib import Path

MAX_LINES = 1000
READ_BYTES = 256 * 1024
LINE_CHARACTERS = 500
# Terminal sequences first, as a whole; then whatever else is not to be printed.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_()][0-9A-B]?)")


def clean_line(line: str) -> str:
    """Return a line of the console as plain text; what a carriage return wrote over is gone."""
    line = ESCAPES.sub("", line).rstrip("\r")
    line = line.rpartition("\r")[2].replace("\t", "    ")
    return "".join(c for c in line if c.isprintable())[:LINE_CHARACTERS]


def tail(path: Path, lines: int, *, read_bytes: int = READ_BYTES) -> list[str]:
    """Return the last lines of a console log; empty where there is no log."""
    count = min(max(lines, 0), MAX_LINES)
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(0, size - read_bytes))
            data = log.read(read_bytes)
    except FileNotFoundError:
        return []
    text = data.decode(errors="replace")
    if size > read_bytes:
        text = text.partition("\n")[2]
    found = text.removesuffix("\n").split("\n") if text else []
    return [clean_line(line) for line in found[-count:]] if count else []
