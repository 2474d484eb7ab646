"""Notes down the newest wishes, so that a process outside a state run sees them as they are now."""

from collections.abc import Mapping
from typing import Any

import domus_fields
from domus_errors import DomusError
from domus_host import Dom0
from domus_interfaces import Changes
from domus_spec import VpsSpec
from domus_vps_notes import VpsNotes, known_uuids, note_known


def note(dom0: Dom0, pillar: Mapping[str, Any], *, test: bool = False) -> Changes:
    """Write down each VPS's entry of the pillar; return the revisions that are new.

    What the pillar does not have any more keeps its note: absence means nothing. An entry that is not
    valid keeps its former note too.
    """
    changes: Changes = {}
    for uuid, spec in dom0.pillar.vps.items():
        entry = dict(pillar["vps"][uuid])
        if _is_removed(dom0, spec, test=test):
            continue
        before = dom0.state_dir.read("wanted", uuid)
        if before != entry:
            changes[uuid] = {"old": before.get("revision") if before else None, "new": spec.revision}
            if not test:
                _note_withdrawn(dom0, spec, before)
                dom0.state_dir.write("wanted", uuid, entry)
    known = sorted({*dom0.pillar.vps, *_invalid_uuids(dom0, pillar)})
    before_known = known_uuids(dom0.state_dir)
    if known != before_known:
        changes["known"] = {"old": len(before_known), "new": len(known)}
        if not test:
            note_known(dom0.state_dir, known)
            _forget_removed(dom0, known)
    return changes


def wanted(dom0: Dom0, uuid: str) -> VpsSpec | None:
    """Return the newest wish about a VPS, or None when there is none that can be read."""
    entry = dom0.state_dir.read("wanted", uuid)
    try:
        return None if entry is None else VpsSpec.parse(entry)
    except DomusError:
        return None


def _note_withdrawn(dom0: Dom0, spec: VpsSpec, before: Mapping[str, Any] | None) -> None:
    """Remember the tombstone that is not there any more: a database restored from a backup may have it again."""
    token = ((before or {}).get("tombstone") or {}).get("token")
    notes = VpsNotes(dom0.state_dir, spec.uuid)
    if token and (spec.tombstone is None or spec.tombstone.token != token):
        dom0.state_dir.forget("removing", spec.uuid)
        if token not in notes.withdrawn:
            notes.keep(withdrawn=[*notes.withdrawn, token])


def _is_removed(dom0: Dom0, spec: VpsSpec, *, test: bool) -> bool:
    """Say whether this very wish to be absent was fulfilled before; its record gets the newest revision."""
    removed = dom0.state_dir.read("removed", spec.uuid)
    if removed is None:
        return False
    if spec.wanted != "absent" or spec.tombstone is None or spec.tombstone.token != removed["token"]:
        if not test:
            dom0.state_dir.forget("removed", spec.uuid)
        return False
    if removed["revision"] != spec.revision and not test:
        dom0.state_dir.write("removed", spec.uuid, removed | {"revision": spec.revision})
    return True


def _invalid_uuids(dom0: Dom0, pillar: Mapping[str, Any]) -> set[str]:
    """Return the VPSs with an entry that is not valid; one whose very key is none cannot be told apart."""
    keys = [str(key) for key in pillar.get("vps") or {}]
    return {key for key in keys if key in dom0.pillar.problems and domus_fields.UUID.fullmatch(key)}


def _forget_removed(dom0: Dom0, known: list[str]) -> None:
    """Forget the removals that the pillar does not ask about any more."""
    for uuid in dom0.state_dir.names("removed"):
        if uuid not in known:
            dom0.state_dir.forget("removed", uuid)
