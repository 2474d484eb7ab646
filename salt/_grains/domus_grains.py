"""Facts about a dom0 that do not change from minute to minute, under the grain ``domus``.

Grains are made before the pillar is there, so this looks at the machine and at the minion's own
configuration, and not at what the pillar wants.
"""

import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from domus_errors import DomusError
from domus_run import Runner
from domus_spec import SCHEMA_VERSION

if TYPE_CHECKING:
    __opts__: dict[str, Any]

TIMEOUT_SECONDS = 20
XEN_CAPABILITIES = Path("/proc/xen/capabilities")


def domus() -> dict[str, Any]:
    """Return the facts; nothing on a machine that runs no domUs."""
    options = __opts__.get("domus") or {}
    kind = _hypervisor(options)
    if kind is None:
        return {}
    facts = {"hypervisor": kind, "schema_version": SCHEMA_VERSION, "kernel": platform.release()}
    if kind == "simulated":
        return {"domus": facts | dict(options["simulated"])}
    runner = Runner()
    return {"domus": facts | _xen(kind, runner) | {"volume_groups": _volume_groups(runner)}}


def _hypervisor(options: Mapping[str, Any]) -> str | None:
    if options.get("simulated"):
        return "simulated"
    try:
        if "control_d" in XEN_CAPABILITIES.read_text(encoding="ascii"):
            return "xen"
    except OSError:
        pass
    return "kvm" if options and Path("/dev/kvm").exists() else None


def _xen(kind: str, runner: Runner) -> dict[str, Any]:
    """Return what Xen says about the machine."""
    if kind != "xen":
        return {}
    try:
        said = runner.run(["xl", "info"], timeout_seconds=TIMEOUT_SECONDS).stdout
    except DomusError:
        # The grains of a dom0 whose Xen tools do not answer are those that are left.
        return {}
    found = dict(re.findall(r"^(\w+)\s*: (.*)$", said, re.MULTILINE))
    numbers = {"memory_mib": "total_memory", "vcpus": "nr_cpus"}
    facts: dict[str, Any] = {name: int(found[key]) for name, key in numbers.items() if key in found}
    return facts | {
        name: found[name] for name in ("xen_version", "xen_scheduler", "virt_caps") if name in found
    }


def _volume_groups(runner: Runner) -> list[dict[str, Any]]:
    """Return the volume groups with their sizes."""
    command = ["vgs", "--reportformat", "json", "--units", "m", "--nosuffix", "-o", "vg_name,vg_size,vg_free"]
    try:
        said = runner.run(command, timeout_seconds=TIMEOUT_SECONDS).stdout
        rows = [row for report in json.loads(said)["report"] for row in report["vg"]]
    except (DomusError, ValueError, KeyError):
        return []
    return [
        {
            "name": row["vg_name"],
            "size_mib": int(float(row["vg_size"])),
            "free_mib": int(float(row["vg_free"])),
        }
        for row in rows
    ]
