"""The history of a VPS in words."""

from __future__ import annotations

from domus.vps.models import VpsTransition

_WANTED = {
    "running": "Start asked for",
    "stopped": "Stop asked for",
    "reboot": "Reboot asked for",
    "hard reboot": "Hard reboot asked for",
    "another attempt": "Installation to be tried again",
    "absent": "To be removed",
    "kept": "Removal called back",
}

_STATES = {
    "reserved": "Reserved",
    "provisioning": "Paid; installation begins",
    "provision_failed": "Installation failed",
    "active": "Handed over",
    "removing": "Being removed",
    "removed": "Removed",
    "cancelled": "Order cancelled",
}


def sentence(row: VpsTransition) -> str:
    """Return what happened, without who did it."""
    if row.kind == "state":
        return _STATES.get(row.new, row.new.replace("_", " "))
    if row.kind == "wanted":
        return _WANTED.get(row.new, f"Wanted: {row.new}")
    if row.kind == "observed":
        return "Gone from its server" if row.new == "absent" else f"Seen {row.new}"
    if row.kind == "suspension":
        return f"Suspended: {row.new}" if row.new else f"Suspension lifted: {row.old}"
    if row.kind == "owner":
        return "Got another owner"
    if row.kind == "size":
        return f"Size changed from {row.old} to {row.new}"
    return f"{row.kind}: {row.new}"
