"""Why a Xen guest is off, told by the last of its console.

The lines have the form that Linux 6.1 writes on hvc0 and Xen's console daemon logs.
"""

import os
from pathlib import Path

import pytest
from domus_interfaces import RESTARTING
from domus_last_words import RESTART_SECONDS, read_why_off, why_off

ENDING = [
    "[  OK  ] Reached target umount.target - Unmount All Filesystems.",
    "[   61.418206] systemd-shutdown[1]: All filesystems unmounted.",
]
POWERS_OFF = [*ENDING, "[   61.733012] reboot: Power down"]
HALTS = [*ENDING, "[   61.733012] reboot: System halted"]
RESTARTS = [*ENDING, "[   61.733012] reboot: Restarting system"]
BOOTS = ["[    0.000000] Linux version 6.1.0-25-amd64 (debian-kernel@lists.debian.org)"]
NOW, LONG_AGO = 1.0, RESTART_SECONDS + 1.0


@pytest.mark.parametrize(
    ("lines", "silent_seconds", "reason"),
    [
        (POWERS_OFF, NOW, "shutdown"),
        (POWERS_OFF, LONG_AGO, "shutdown"),
        (POWERS_OFF, None, "shutdown"),
        (HALTS, NOW, "shutdown"),
        ([*POWERS_OFF, ""], NOW, "shutdown"),
        (RESTARTS, NOW, RESTARTING),
        (RESTARTS, LONG_AGO, "failed"),
        # What an earlier boot said is no word of this one.
        ([*POWERS_OFF, *BOOTS], NOW, RESTARTING),
        ([*POWERS_OFF, *BOOTS], LONG_AGO, "unknown"),
        ([*POWERS_OFF, *BOOTS, *RESTARTS], LONG_AGO, "failed"),
        # Nothing said, or not yet logged: it may come back, and if not, nobody knows.
        (ENDING, NOW, RESTARTING),
        (ENDING, LONG_AGO, "unknown"),
        ([], None, "unknown"),
        # A clock that was set back must not make a restart last for ever.
        (RESTARTS, -10_000.0, "failed"),
    ],
)
def test_reason_by_last_words(lines: list[str], silent_seconds: float | None, reason: str) -> None:
    assert why_off(lines, silent_seconds) == reason


def test_log_is_read_with_the_time_of_its_last_word(tmp_path: Path) -> None:
    log = tmp_path / "guest-vps.log"
    log.write_text("\r\n".join([*BOOTS, *RESTARTS, ""]))
    assert read_why_off(log) == RESTARTING
    os.utime(log, (1_700_000_000, 1_700_000_000))
    assert read_why_off(log) == "failed"


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "guest-vps.log"
    log.write_text("\n".join([*POWERS_OFF, *["the next boot goes on and on"] * 1000, ""]))
    os.utime(log, (1_700_000_000, 1_700_000_000))
    assert read_why_off(log) == "unknown"


def test_guest_without_a_log_said_nothing(tmp_path: Path) -> None:
    assert read_why_off(tmp_path / "guest-vps.log") == "unknown"
