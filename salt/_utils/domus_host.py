"""Everything that is needed to work on one dom0, opened from Salt's options and pillar."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import domus_fields
from domus_errors import NotValid
from domus_hypervisor import Hypervisor, open_hypervisor
from domus_run import Runner
from domus_spec import Dom0Pillar, VpsSpec
from domus_state_dir import StateDir
from domus_storage import Storage, open_storage

PILLAR_KEY = "domus"
CONTEXT_KEY = "domus.dom0"
NO_PILLAR = f"This minion has no pillar `{PILLAR_KEY}`, so it is no dom0 of Domus"


@dataclass(frozen=True, slots=True)
class Dom0:
    """A dom0 with its pillar parsed and its hypervisor and storage at hand."""

    pillar: Dom0Pillar
    hypervisor: Hypervisor
    storage: Storage
    state_dir: StateDir
    # The pillar and the options as they came, for a process that has to open the same dom0 anew.
    raw: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def spec(self, uuid: str) -> VpsSpec:
        """Return what the pillar wants of a VPS."""
        spec = self.pillar.vps.get(uuid)
        if spec is None:
            why = self.pillar.problems.get(uuid)
            raise NotValid(why or f"The pillar of this dom0 has no VPS {domus_fields.shorten(uuid)}")
        return spec

    def uuid(self, vps: str) -> str:
        """Return the uuid of a VPS or domU that is called by its uuid or its name."""
        key = str(vps)
        if domus_fields.UUID.fullmatch(key):
            return key
        for spec in self.pillar.vps.values():
            if spec.name == key:
                return spec.uuid
        found = self.hypervisor.find(key) if domus_fields.DOMU_NAME.fullmatch(key) else None
        if found is None:
            raise NotValid(f"There is no VPS or domU {domus_fields.shorten(key)}; give its uuid or its name")
        return found.uuid


def open_dom0(opts: Mapping[str, Any], pillar: Mapping[str, Any], context: MutableMapping[str, Any]) -> Dom0:
    """Open the dom0 that a minion's pillar describes; the arguments are Salt's dunders.

    A state run opens it for each state. So it is kept in the context as long as the pillar is the same
    object: reading a thousand VPSs a thousand times would take minutes.
    """
    raw = pillar.get(PILLAR_KEY)
    if not raw:
        raise NotValid(NO_PILLAR)
    kept = context.get(CONTEXT_KEY)
    if kept is None or kept[0] is not raw:
        kept = context[CONTEXT_KEY] = (raw, _open(opts, raw, context))
    dom0: Dom0 = kept[1]
    return dom0


def open_storage_of(opts: Mapping[str, Any], pillar: Mapping[str, Any]) -> Storage:
    """Open the storage alone: it may be looked at where the hypervisor is not installed yet."""
    raw = pillar.get(PILLAR_KEY)
    if not raw:
        raise NotValid(NO_PILLAR)
    dom0 = Dom0Pillar.parse(raw).dom0
    return open_storage(dom0, StateDir.from_options(opts), opts.get(PILLAR_KEY) or {}, Runner())


def _open(opts: Mapping[str, Any], raw: Mapping[str, Any], context: MutableMapping[str, Any]) -> Dom0:
    options, pillar = opts.get(PILLAR_KEY) or {}, Dom0Pillar.parse(raw)
    state_dir, runner = StateDir.from_options(opts), Runner()
    return Dom0(
        pillar=pillar,
        hypervisor=open_hypervisor(pillar.dom0, state_dir, options, runner, context),
        storage=open_storage(pillar.dom0, state_dir, options, runner),
        state_dir=state_dir,
        raw=raw,
        options=options,
    )


def stamp(moment: datetime) -> str:
    """Return a time as the contracts write it."""
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
