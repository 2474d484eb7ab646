"""What processes weigh: the proportional set size, in which shared pages are counted once."""

from __future__ import annotations

from pathlib import Path


def group_pss_mib(leader: int) -> float:
    """Return the PSS of all processes of a process group, in MiB."""
    total_kib = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            group = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[2])
            if group == leader:
                total_kib += _pss_kib((folder / "smaps_rollup").read_text(encoding="utf-8"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # It has just ended.
    return total_kib / 1024


def _pss_kib(rollup: str) -> int:
    return next((int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")), 0)
