"""The simulated hypervisor: each domU is a file, so it survives the minion and can be thousands.

It keeps account of memory like a real one: what does not fit does not start. Faults can be ordered
(`domus_faults`), and guests can be made to shut down or to crash.
"""

import time
import uuid as uuid_module
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import domus_domxml
import domus_guest_console
from domus_errors import NotValid, Refused, ToolFailed
from domus_faults import Faults
from domus_interfaces import LIVE, NEXT_BOOT, RESTARTING, Changes, DomuInfo, NodeCapacity
from domus_spec import VpsSpec
from domus_state_dir import StateDir, read_json, write_json

DEFAULT_MEMORY_MIB = 65536
DEFAULT_VCPUS = 16
LOCK = "simulated"
TOPIC = "simulated/domus"
ON = ("running", "paused")

Domu = dict[str, Any]


class SimulatedHypervisor:
    """DomUs in the files ``<state_dir>/simulated/domus/<uuid>.json``."""

    def __init__(
        self,
        state_dir: StateDir,
        options: Mapping[str, Any],
        clock: Callable[[], float] = time.time,
    ) -> None:
        simulated = options.get("simulated") or {}
        self._memory_mib = int(simulated.get("memory_mib", DEFAULT_MEMORY_MIB))
        self._vcpus = int(simulated.get("vcpus", DEFAULT_VCPUS))
        self._state_dir = state_dir
        self._clock = clock
        self.faults = Faults(state_dir)

    def info(self, uuid: str) -> DomuInfo | None:
        """Return one domU."""
        domu = self._state_dir.read(TOPIC, uuid)
        return None if domu is None else self._info(domu)

    def find(self, name: str) -> DomuInfo | None:
        """Return one domU by its name."""
        owner = self._name_owner(name)
        return None if owner is None else self.info(owner)

    def define(self, spec: VpsSpec, disk_paths: Mapping[str, str]) -> bool:
        """Define a domU or bring its definition up to date; False means that it was so already."""
        self.faults.meet("define", spec.uuid)
        with self._state_dir.lock(LOCK):
            before = self._state_dir.read(TOPIC, spec.uuid)
            wanted = _definition(spec, disk_paths)
            if before is not None and before["definition"] == wanted:
                return False
            owner = self._name_owner(spec.name)
            if owner not in (None, spec.uuid):
                raise Refused(f"The name {spec.name} is that of the domU {owner}, not of {spec.uuid}")
            domu = before or _new_domu(spec.uuid)
            domu["definition"] = wanted
            self._write(domu)
            self._note_name(spec.name, spec.uuid)
        return True

    def outdated(self, spec: VpsSpec, disk_paths: Mapping[str, str]) -> Changes:
        """Return what `define` would change."""
        domu = self._state_dir.read(TOPIC, spec.uuid)
        if domu is None:
            return {"definition": {"old": None, "new": spec.name}}
        return domus_domxml.differences(domu["definition"], _definition(spec, disk_paths))

    def start(self, uuid: str) -> None:
        """Start a domU, or let a paused one go on; nothing happens when it runs."""
        self.faults.meet("start", uuid)
        with self._state_dir.lock(LOCK):
            domu = self._existing(uuid)
            if domu["power"] == "running":
                return
            if domu["power"] != "paused":
                self._boot(domu)
            self._write(domu | {"power": "running", "power_reason": ""})

    def shutdown(self, uuid: str) -> None:
        """Ask the guest to shut itself down; a simulated one obeys at once unless told not to."""
        self.faults.meet("shutdown", uuid)
        domu = self._existing(uuid)
        if domu["power"] in ON and not domu.get("ignores_shutdown"):
            self._stop(uuid, "stopped", "shutdown", "The system is going down")

    def reboot(self, uuid: str, *, hard: bool = False) -> None:
        """Ask the guest to restart; hard pulls the plug and starts it again."""
        self.faults.meet("reboot", uuid)
        if hard:
            self.destroy(uuid)
        else:
            self.shutdown(uuid)
        self.start(uuid)

    def destroy(self, uuid: str) -> None:
        """Pull the plug; nothing happens when it does not run."""
        self.faults.meet("destroy", uuid)
        if self._existing(uuid)["power"] in ON:
            self._stop(uuid, "stopped", "destroyed", None)

    def undefine(self, uuid: str) -> None:
        """Forget a domU that does not run; nothing happens when it is not known."""
        self.faults.meet("undefine", uuid)
        with self._state_dir.lock(LOCK):
            domu = self._state_dir.read(TOPIC, uuid)
            if domu is None:
                return
            if domu["power"] in ON:
                raise Refused(f"The domU {uuid} is running; stop it before it is undefined")
            self._state_dir.forget("simulated/names", domu["definition"]["name"])
            self._state_dir.forget(TOPIC, uuid)
            self._state_dir.forget(TOPIC, uuid, ".console")

    def set_memory(self, uuid: str, memory_mib: int) -> str:
        """Change the memory; a running guest grows no further than it was started with."""
        return self._set(uuid, "memory_mib", memory_mib)

    def set_vcpus(self, uuid: str, vcpus: int) -> str:
        """Change the virtual CPUs; a running guest gets no more than it was started with."""
        return self._set(uuid, "vcpus", vcpus)

    def set_autostart(self, uuid: str, autostart: bool) -> None:
        """Say whether the domU starts together with dom0."""
        with self._state_dir.lock(LOCK):
            self._write(self._existing(uuid) | {"autostart": autostart})

    def console_tail(self, uuid: str, lines: int) -> list[str]:
        """Return the last lines of the guest's console."""
        return domus_guest_console.tail(self._console(uuid), lines)

    def capacity(self) -> NodeCapacity:
        """Return what the simulated machine has."""
        return NodeCapacity(self._memory_mib, self._memory_mib - self._used_mib(), self._vcpus)

    def versions(self) -> dict[str, str]:
        """Return the version of the simulation."""
        return {"simulated": "1"}

    def renew_shares(self) -> None:
        """Do nothing: nothing is shared here that a restart could lose."""

    def boot_id(self) -> str:
        """Return a text that changes whenever the simulated dom0 starts anew."""
        boot = read_json(self._state_dir.simulated / "boot.json")
        return boot["boot_id"] if boot else self._new_boot_id()

    def guest_shuts_down(self, uuid: str) -> None:
        """Let the guest shut itself down, as ``poweroff`` in it does."""
        self._stop(uuid, "stopped", "shutdown", "The system is going down by itself")

    def guest_restarts(self, uuid: str) -> None:
        """Let the guest restart itself, and not come back before it is started or given up."""
        self._stop(uuid, "stopped", RESTARTING, "The system is restarting by itself")

    def restart_fails(self, uuid: str) -> None:
        """Let the restart of a guest by itself fail, as on Xen when its disks do not come up in time."""
        self._stop(uuid, "stopped", "failed", None)

    def guest_crashes(self, uuid: str) -> None:
        """Let the guest's kernel crash; as on Xen the domU is gone then."""
        self._stop(uuid, "crashed", "crashed", "Kernel panic - not syncing: simulated")

    def guest_ignores_shutdown(self, uuid: str, ignores: bool = True) -> None:
        """Let the guest take no notice when it is asked to shut down."""
        with self._state_dir.lock(LOCK):
            self._write(self._existing(uuid) | {"ignores_shutdown": ignores})

    def dom0_reboots(self) -> None:
        """Let dom0 start anew: all domUs are off, then those with autostart come up."""
        for domu in self.list():
            if domu.power in ON:
                self._stop(domu.uuid, "stopped", "unknown", None)
        self._new_boot_id()
        for domu in self.list():
            if domu.autostart:
                self.start(domu.uuid)

    def _boot(self, domu: Domu) -> None:
        wanted = domu["definition"]
        free = self._memory_mib - self._used_mib()
        if wanted["memory_mib"] > free:
            raise ToolFailed(
                f"Not enough memory to start {wanted['name']}: it needs "
                f"{wanted['memory_mib']} MiB and {free} MiB are free"
            )
        domu |= {name: wanted[name] for name in ("memory_mib", "vcpus")}
        domu |= {"started_at": self._clock(), "started_with": dict(wanted)}
        root = wanted["disks"][0].partition("=")[0]
        self._say(domu["uuid"], f"Linux version 6.1.0 (simulated) on {wanted['name']}")
        self._say(domu["uuid"], f"Command line: root=/dev/{root} ro console=hvc0")
        self._say(domu["uuid"], f"Memory: {wanted['memory_mib']} MiB, {wanted['vcpus']} CPUs")
        self._say(domu["uuid"], f"{wanted['name']} login:")

    def _stop(self, uuid: str, power: str, reason: str, last_words: str | None) -> None:
        with self._state_dir.lock(LOCK):
            domu = self._existing(uuid)
            if last_words:
                self._say(uuid, last_words)
            seconds = self._info(domu).cpu_seconds
            domu |= {"power": power, "power_reason": reason, "cpu_seconds": seconds}
            self._write(domu | {"started_at": None})

    def _set(self, uuid: str, field: str, value: int) -> str:
        with self._state_dir.lock(LOCK):
            domu = self._existing(uuid)
            domu["definition"][field] = value
            live = domu["power"] not in ON or value <= domu["started_with"][field]
            if live and domu["power"] in ON:
                domu[field] = value
            self._write(domu)
        return LIVE if live else NEXT_BOOT

    def _info(self, domu: Domu) -> DomuInfo:
        on = domu["power"] in ON
        running_seconds = self._clock() - domu["started_at"] if domu["started_at"] else 0.0
        return DomuInfo(
            uuid=domu["uuid"],
            name=domu["definition"]["name"],
            power=domu["power"],
            power_reason=domu["power_reason"],
            memory_mib=domu["memory_mib"] if on else domu["definition"]["memory_mib"],
            vcpus=domu["vcpus"] if on else domu["definition"]["vcpus"],
            # An idle guest uses about a hundredth of a CPU.
            cpu_seconds=round(domu["cpu_seconds"] + max(0.0, running_seconds) / 100, 3),
            autostart=domu["autostart"],
        )

    def _existing(self, uuid: str) -> Domu:
        domu = self._state_dir.read(TOPIC, uuid)
        if domu is None:
            raise NotValid(f"There is no domU {uuid}")
        return domu

    def _write(self, domu: Domu) -> None:
        self._state_dir.write(TOPIC, domu["uuid"], domu)

    def _name_owner(self, name: str) -> str | None:
        noted = self._state_dir.read("simulated/names", name)
        return noted["uuid"] if noted else None

    def _note_name(self, name: str, uuid: str) -> None:
        if self._name_owner(name) is None:
            self._state_dir.write("simulated/names", name, {"uuid": uuid})

    def _used_mib(self) -> int:
        return sum(domu.memory_mib for domu in self.list() if domu.power in ON)

    def _console(self, uuid: str) -> Path:
        return self._state_dir.file(TOPIC, uuid, ".console")

    def _say(self, uuid: str, line: str) -> None:
        stamp = datetime.fromtimestamp(self._clock(), UTC).strftime("%H:%M:%S")
        with self._console(uuid).open("a", encoding="utf-8") as console:
            console.write(f"[{stamp}] {line}\n")

    def _new_boot_id(self) -> str:
        boot_id = str(uuid_module.uuid4())
        write_json(self._state_dir.simulated / "boot.json", {"boot_id": boot_id})
        return boot_id

    # Last, because below it the class could not say list[...] any more.
    def list(self) -> list[DomuInfo]:
        """Return all domUs."""
        domus = (self._state_dir.read(TOPIC, uuid) for uuid in self._state_dir.names(TOPIC))
        found = [self._info(domu) for domu in domus if domu is not None]
        return sorted(found, key=lambda domu: domu.name)


def _new_domu(uuid: str) -> Domu:
    return {
        "uuid": uuid,
        "power": "stopped",
        "power_reason": "unknown",
        "memory_mib": 0,
        "vcpus": 0,
        "autostart": False,
        "started_at": None,
        "started_with": {},
        "cpu_seconds": 0.0,
    }


def _definition(spec: VpsSpec, disk_paths: Mapping[str, str]) -> domus_domxml.Facts:
    """Return what is defined for a VPS, in the form that libvirt's definitions are compared in."""
    boot = domus_domxml.Boot("/boot/vmlinuz-simulated", "/boot/initrd.img-simulated")
    return domus_domxml.facts(domus_domxml.render(spec, disk_paths, "xen", boot))
