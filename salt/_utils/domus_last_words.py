"""Why a Xen guest is off: what its kernel said last on its console.

libvirt's Xen driver gives the same reason, "shutdown", for a guest that powered itself off, for one that is
restarting itself just now, and for one whose restart failed: it sets the reason before it looks which of them
it is, and a domain that cannot be created does not change it. Xen itself forgets the domain. The kernel,
however, names its last deed as an emergency message, which no log level keeps from the console.

A guest may write there what it likes. By that it can only be taken for off by its own will, and stay off.
"""

import re
import time
from collections.abc import Sequence
from pathlib import Path

from domus_guest_console import tail
from domus_interfaces import RESTARTING

READ_BYTES = 4096
LINES = 20
# libxl clears the old domain away in 10 s, and gives disks and cards 40 s to come up in the new one.
RESTART_SECONDS = 90

DEEDS = re.compile(
    r"(?P<boot>Linux version )|reboot: (?:(?P<off>Power down|System halted)|Restarting system)"
)


def why_off(lines: Sequence[str], silent_seconds: float | None) -> str:
    """Return the reason for a guest that libvirt calls shut down.

    It is ``shutdown`` for one that powered itself off, `RESTARTING` for one that may still come back by
    itself, ``failed`` for one that restarted itself and did not come back, and ``unknown`` where no word of it is
    found. ``lines`` are the last of its console, ``silent_seconds`` is how long ago it wrote them; None
    stands for a console that is not logged.
    """
    deed = next((found for line in reversed(lines) if (found := DEEDS.search(line))), None)
    if deed and deed["off"]:
        return "shutdown"
    if silent_seconds is not None and 0 <= silent_seconds < RESTART_SECONDS:
        return RESTARTING
    return "failed" if deed and not deed["boot"] else "unknown"


def read_why_off(log: Path) -> str:
    """Return the reason by the guest's console log."""
    try:
        silent_seconds = time.time() - log.stat().st_mtime
    except FileNotFoundError:
        return why_off((), None)
    return why_off(tail(log, LINES, read_bytes=READ_BYTES), silent_seconds)
