"""Turns the pillar of a dom0 into the states of its VPSs; the SLS `vps` is nothing else."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from domus_errors import NotValid
from domus_fields import UUID
from domus_removal import due, why_halted
from domus_spec import Dom0Pillar, VpsSpec, volume_name

ID_PREFIX = "domus-vps-"

HighState = dict[str, dict[str, list[dict[str, Any]]]]


def highstate(pillar: Any, settled: Mapping[str, str], now: datetime) -> HighState:
    """Return the states for a pillar; ``settled`` is what `domus_removal.settled_tokens` says.

    Requisites hold only within a VPS, so that one that fails does not fail its neighbours.
    """
    if not pillar:
        text = "This minion has no pillar `domus`, so it is no dom0; nothing is done"
        return _state("none", "test.show_notification", name="domus", text=text)
    try:
        parsed = Dom0Pillar.parse(pillar)
    except NotValid as error:
        return _state("pillar", "test.fail_without_changes", name="domus", comment=str(error))
    states = _state("notes", "domu.noted", name="what is wanted of the VPSs")
    for key in sorted(parsed.problems):
        owner = {"uuid": key} if UUID.fullmatch(key) else {}
        states |= _state(f"{key}-pillar", "domu.invalid", name=key, problem=parsed.problems[key], **owner)
    halted = why_halted(parsed, settled, now)
    held_back = dict.fromkeys((spec.uuid for spec in due(parsed, settled, now)), halted) if halted else {}
    for spec in parsed.vps.values():
        states |= _vps_states(spec, held_back.get(spec.uuid))
    return states


def _vps_states(spec: VpsSpec, held_back: str | None) -> HighState:
    who = {"name": spec.name, "uuid": spec.uuid}
    if spec.wanted == "absent":
        why = {"held_back": held_back} if held_back else {}
        return _state(f"{spec.uuid}-absent", "domu.absent", **who, **why)
    states = _state(f"{spec.uuid}-os", "os_template.installed", **who)
    installed = {"os_template": f"{ID_PREFIX}{spec.uuid}-os"}
    for disk in spec.disks:
        volume = {"name": volume_name(spec, disk), "uuid": spec.uuid, "size_mib": disk.size_mib}
        # The installation makes the volumes; afterwards they may have to grow.
        states |= _state(
            f"{spec.uuid}-volume-{disk.name}", "domus_volume.grown", **volume, require=[installed]
        )
    # A stop must not wait for an installation that failed.
    needs = {"require": [installed]} if spec.wanted == "running" else {}
    return states | _state(f"{spec.uuid}-power", f"domu.{spec.wanted}", **who, **needs)


def _state(identity: str, function: str, /, **arguments: Any) -> HighState:
    return {f"{ID_PREFIX}{identity}": {function: [{key: value} for key, value in arguments.items()]}}
