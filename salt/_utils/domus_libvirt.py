"""The hypervisor driver for Xen and KVM over libvirt."""

import importlib
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import domus_domxml
import domus_last_words
from domus_errors import NotValid, Refused, ToolFailed
from domus_guest_console import tail
from domus_interfaces import LIVE, NEXT_BOOT, Changes, DomuInfo, NodeCapacity
from domus_run import Runner
from domus_spec import VpsSpec

URIS = {"xen": "xen:///system", "kvm": "qemu:///system"}
CONSOLE_LOGS = {
    "xen": "/var/log/xen/console/guest-{name}.log",
    "kvm": "/var/log/libvirt/qemu/{name}-console.log",
}
BOOT_DIRECTORY = Path("/var/lib/domus/boot")
CONTEXT_KEY = "domus.libvirt"
SHARED_KEY = "domus.libvirt.shared"  # numbers of the running Xen domains that have their share
XL_TIMEOUT_SECONDS = 30
START_TRIES = 3
# virDomainShutoffReason
SHUTOFF_REASONS = {1: "shutdown", 2: "destroyed", 3: "crashed", 6: "failed"}
# systemd makes it when dom0 begins to go down. What the guests do then is not their owners' will.
GOING_DOWN = Path("/run/nologin")


def import_libvirt() -> Any:
    """Return the libvirt module; it is wanted only where there is a real hypervisor."""
    try:
        return importlib.import_module("libvirt")
    except ImportError:
        raise ToolFailed(
            "The Python module libvirt is missing; install python3-libvirt for the minion's Python"
        ) from None


def guest_boot(options: Mapping[str, Any], kind: str, name: str) -> domus_domxml.Boot:
    """Return the kernel and the initrd for guests: as configured, else Domus's own, else dom0's."""
    kernel, initrd = options.get("guest_kernel"), options.get("guest_initrd")
    if not (kernel and initrd):
        own = (BOOT_DIRECTORY / "vmlinuz", BOOT_DIRECTORY / "initrd.img")
        found = own if all(path.exists() for path in own) else newest_kernel(Path("/boot"))
        kernel, initrd = kernel or str(found[0]), initrd or str(found[1])
    log = CONSOLE_LOGS["kvm"].format(name=name) if kind == "kvm" else None
    return domus_domxml.Boot(str(kernel), str(initrd), log)


def newest_kernel(directory: Path) -> tuple[Path, Path]:
    """Return the newest kernel that has an initrd beside it."""

    def by_version(path: Path) -> list[tuple[int, str]]:
        return [(int(part or 0), word) for part, word in re.findall(r"(\d*)(\D*)", path.name)]

    for kernel in sorted(directory.glob("vmlinuz-*"), key=by_version, reverse=True):
        initrd = directory / kernel.name.replace("vmlinuz-", "initrd.img-", 1)
        if initrd.exists():
            return kernel, initrd
    raise ToolFailed(
        f"There is no kernel with an initrd in {directory}; "
        "set domus:guest_kernel and domus:guest_initrd in the minion configuration"
    )


class LibvirtHypervisor:
    """DomUs of a libvirt connection; kind is ``xen``, ``kvm`` or ``test``."""

    def __init__(
        self,
        kind: str,
        options: Mapping[str, Any],
        runner: Runner,
        context: MutableMapping[str, Any],
    ) -> None:
        self.uri = str(options.get("libvirt_uri") or URIS[kind])
        self.kind = "test" if self.uri.startswith("test:") else kind
        self._options = options
        self._runner = runner
        self._context = context
        self._libvirt = import_libvirt()

    def info(self, uuid: str) -> DomuInfo | None:
        """Return one domU."""
        domain = self._lookup(uuid)
        return None if domain is None else self._call("look at", self._info, domain)

    def find(self, name: str) -> DomuInfo | None:
        """Return one domU by its name."""
        domain = self._optional(self._connection().lookupByName, name)
        return None if domain is None else self._call("look at", self._info, domain)

    def define(self, spec: VpsSpec, disk_paths: Mapping[str, str]) -> bool:
        """Define a domU or bring its definition up to date; False means that it was so already."""
        namesake = self.find(spec.name)
        if namesake is not None and namesake.uuid != spec.uuid:
            raise Refused(f"The name {spec.name} is that of the domU {namesake.uuid}, not of {spec.uuid}")
        if self._lookup(spec.uuid) is not None and not self.outdated(spec, disk_paths):
            return False
        domain = self._call("define", self._connection().defineXML, self._render(spec, disk_paths))
        if self._call("look at", domain.isActive):
            self._share_cpus(domain)
        return True

    def outdated(self, spec: VpsSpec, disk_paths: Mapping[str, str]) -> Changes:
        """Return what `define` would change."""
        domain = self._lookup(spec.uuid)
        if domain is None:
            return {"definition": {"old": None, "new": spec.name}}
        inactive = self._libvirt.VIR_DOMAIN_XML_INACTIVE
        is_now = domus_domxml.facts(self._call("read", domain.XMLDesc, inactive))
        return domus_domxml.differences(is_now, domus_domxml.facts(self._render(spec, disk_paths)))

    def start(self, uuid: str) -> None:
        """Start a domU, or let a paused one go on; nothing happens when it runs."""
        domain = self._existing(uuid)
        power = self._call("look at", self._info, domain).power
        if power == "running":
            return
        if power == "paused":
            self._call("resume", domain.resume)
            return
        self._pull_plug(domain)
        self._create(domain)
        self._share_cpus(domain)

    def shutdown(self, uuid: str) -> None:
        """Ask the guest to shut itself down, and return at once."""
        domain = self._existing(uuid)
        if self._call("look at", domain.isActive):
            self._call("shut down", domain.shutdown)

    def reboot(self, uuid: str, *, hard: bool = False) -> None:
        """Ask the guest to restart; hard pulls the plug and starts it again."""
        if hard:
            self.destroy(uuid)
            self.start(uuid)
            return
        self._call("reboot", self._existing(uuid).reboot)

    def destroy(self, uuid: str) -> None:
        """Pull the plug; nothing happens when it does not run."""
        self._pull_plug(self._existing(uuid))

    def undefine(self, uuid: str) -> None:
        """Forget a domU that does not run; nothing happens when it is not known."""
        domain = self._lookup(uuid)
        if domain is None:
            return
        if self._call("look at", domain.isActive):
            raise Refused(f"The domU {uuid} is running; stop it before it is undefined")
        self._call("undefine", domain.undefine)

    def set_memory(self, uuid: str, memory_mib: int) -> str:
        """Change the memory; a running guest grows no further than it was started with."""
        domain, kib = self._existing(uuid), memory_mib * domus_domxml.KIB_PER_MIB
        self._redefine(domain, lambda xml: domus_domxml.with_memory(xml, memory_mib))
        if not self._call("look at", domain.isActive):
            return LIVE
        if kib > self._call("look at", domain.maxMemory):
            return NEXT_BOOT
        live = self._libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._call("set the memory of", domain.setMemoryFlags, kib, live)
        return LIVE

    def set_vcpus(self, uuid: str, vcpus: int) -> str:
        """Change the virtual CPUs; a running guest gets no more than it was started with."""
        domain = self._existing(uuid)
        self._redefine(domain, lambda xml: domus_domxml.with_vcpus(xml, vcpus))
        if not self._call("look at", domain.isActive):
            return LIVE
        if vcpus > self._call("look at", domain.maxVcpus):
            return NEXT_BOOT
        live = self._libvirt.VIR_DOMAIN_AFFECT_LIVE
        self._call("set the CPUs of", domain.setVcpusFlags, vcpus, live)
        return LIVE

    def set_autostart(self, uuid: str, autostart: bool) -> None:
        """Say whether the domU starts together with dom0."""
        self._call("set the start of", self._existing(uuid).setAutostart, int(autostart))

    def renew_shares(self) -> None:
        """Give back their share of the CPUs to guests that restarted themselves and so lost it.

        Xen keeps weight and cap with the running domain only, and a guest that restarts itself is a
        new one: without this a customer would be rid of his cap by a reboot.
        """
        if self.kind != "xen":
            return
        active = self._libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
        running = {d.ID(): d for d in self._call("list", self._connection().listAllDomains, active)}
        shared = self._context.setdefault(SHARED_KEY, set())
        shared.intersection_update(running)
        for number in running.keys() - shared - {0}:
            try:
                self._share_cpus(running[number])
            except ToolFailed:
                continue  # it went down meanwhile; if not, the next look tries again
            shared.add(number)

    def console_tail(self, uuid: str, lines: int) -> list[str]:
        """Return the last lines of the guest's console; Xen's console daemon writes them down."""
        found = self.info(uuid)
        if found is None or self.kind not in CONSOLE_LOGS:
            return []
        return tail(Path(CONSOLE_LOGS[self.kind].format(name=found.name)), lines)

    def capacity(self) -> NodeCapacity:
        """Return what the machine has; free is what no domain holds."""
        connection = self._connection()
        node = self._call("ask", connection.getInfo)
        free = self._call("ask", connection.getFreeMemory) // (1 << 20)
        return NodeCapacity(int(node[1]), int(free), int(node[2]))

    def versions(self) -> dict[str, str]:
        """Return the versions of the hypervisor and of libvirt."""
        connection = self._connection()
        numbers = {
            self.kind: self._call("ask", connection.getVersion),
            "libvirt": self._call("ask", connection.getLibVersion),
        }
        return {name: f"{n // 1_000_000}.{n // 1000 % 1000}.{n % 1000}" for name, n in numbers.items()}

    def boot_id(self) -> str:
        """Return the kernel's name for this boot of dom0."""
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    def _render(self, spec: VpsSpec, disk_paths: Mapping[str, str]) -> str:
        boot = guest_boot(self._options, self.kind, spec.name)
        return domus_domxml.render(spec, disk_paths, self.kind, boot)

    def _pull_plug(self, domain: Any) -> None:
        """Destroy a domain that is active.

        One that shut itself down stays active until a thread of libvirtd has cleared it away; when
        that was quicker than our call, all is well too.
        """
        if not self._call("look at", domain.isActive):
            return
        try:
            domain.destroy()
        except self._libvirt.libvirtError as error:
            if self._call("look at", domain.isActive):
                raise ToolFailed(f"libvirt could not destroy {self.uri}: {error}") from None

    def _create(self, domain: Any) -> None:
        """Start a domain. One that restarted itself while we waited for our turn runs already, and all is well.

        Xen gives disks and cards 40 s to come up, which a dom0 that is busy with installations may not keep; so
        it is tried again.
        """
        for further_tries in reversed(range(START_TRIES)):
            try:
                domain.create()
            except self._libvirt.libvirtError as error:
                if self._call("look at", domain.isActive):
                    return
                if not further_tries:
                    raise ToolFailed(f"libvirt could not start {self.uri}: {error}") from None
            else:
                return

    def _redefine(self, domain: Any, change: Callable[[str], str]) -> None:
        """Change what holds from the next start on.

        Through the definition, because libvirt's Xen driver compares a new size with the running
        guest's limits even when only the definition is to change.
        """
        now = self._call("read", domain.XMLDesc, self._libvirt.VIR_DOMAIN_XML_INACTIVE)
        self._call("define", self._connection().defineXML, change(now))

    def _info(self, domain: Any) -> DomuInfo:
        state, reason = domain.state()
        active = bool(domain.isActive())
        power, power_reason = self._power(state, reason)
        if power_reason == "shutdown":
            power_reason = self._why_shut_down(domain.name())
        _, max_kib, memory_kib, vcpus, cpu_nanoseconds = domain.info()
        return DomuInfo(
            uuid=domain.UUIDString(),
            name=domain.name(),
            power=power,
            power_reason=power_reason,
            memory_mib=int((memory_kib if active else max_kib) // domus_domxml.KIB_PER_MIB),
            vcpus=int(vcpus),
            cpu_seconds=cpu_nanoseconds / 1e9,
            autostart=bool(domain.autostart()),
        )

    def _power(self, state: int, reason: int) -> tuple[str, str]:
        names = self._libvirt
        if state == names.VIR_DOMAIN_CRASHED:
            return "crashed", "crashed"
        if state in (names.VIR_DOMAIN_PAUSED, names.VIR_DOMAIN_PMSUSPENDED):
            return "paused", ""
        if state == names.VIR_DOMAIN_SHUTOFF:
            why = SHUTOFF_REASONS.get(reason, "unknown")
            return ("crashed" if why == "crashed" else "stopped"), why
        return "running", ""

    def _why_shut_down(self, name: str) -> str:
        """Return why a guest is off of which libvirt says that it shut down."""
        why = "shutdown"
        if self.kind == "xen":
            why = domus_last_words.read_why_off(Path(CONSOLE_LOGS["xen"].format(name=name)))
        going_down = self.kind in CONSOLE_LOGS and GOING_DOWN.exists()
        return "unknown" if why == "shutdown" and going_down else why

    def _share_cpus(self, domain: Any) -> None:
        """Give a running guest its weight and cap; libvirt cannot do it under credit2."""
        if self.kind != "xen":
            return
        inactive = self._libvirt.VIR_DOMAIN_XML_INACTIVE
        wanted = domus_domxml.facts(self._call("read", domain.XMLDesc, inactive))
        said = self._runner.run(["xl", "info"], timeout_seconds=XL_TIMEOUT_SECONDS).stdout
        scheduler = re.search(r"^xen_scheduler\s*:\s*(credit2?)\s*$", said, re.MULTILINE)
        if not scheduler or not wanted["cpu_weight"]:
            return
        shares = ["-w", str(wanted["cpu_weight"]), "-c", str(wanted["cpu_cap_percent"])]
        self._runner.run(
            ["xl", f"sched-{scheduler[1]}", "-d", domain.name(), *shares],
            timeout_seconds=XL_TIMEOUT_SECONDS,
        )

    def _lookup(self, uuid: str) -> Any:
        return self._optional(self._connection().lookupByUUIDString, uuid)

    def _existing(self, uuid: str) -> Any:
        domain = self._lookup(uuid)
        if domain is None:
            raise NotValid(f"There is no domU {uuid}")
        return domain

    def _connection(self) -> Any:
        """Return a living connection of this very process; libvirt's do not survive a fork."""
        key = f"{CONTEXT_KEY}.{self.uri}"
        process, connection = self._context.get(key, (0, None))
        if process == os.getpid() and connection is not None and connection.isAlive():
            return connection
        # Without a handler libvirt writes each error to the minion's standard error.
        self._libvirt.registerErrorHandler(lambda *_: None, None)
        connection = self._call("connect to", self._libvirt.open, self.uri)
        self._context[key] = (os.getpid(), connection)
        return connection

    def _optional(self, look_up: Callable[[str], Any], key: str) -> Any:
        """Return a domain, or None when libvirt knows none of that key."""
        try:
            return look_up(key)
        except self._libvirt.libvirtError as error:
            if error.get_error_code() == self._libvirt.VIR_ERR_NO_DOMAIN:
                return None
            raise ToolFailed(f"libvirt could not look up {key}: {error}") from None

    def _call(self, deed: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except self._libvirt.libvirtError as error:
            raise ToolFailed(f"libvirt could not {deed} {self.uri}: {error}") from None

    # Last, because below it the class could not say list[...] any more.
    def list(self) -> list[DomuInfo]:
        """Return all domUs; Xen counts dom0 as domain 0, which is left out."""
        domains = self._call("list", self._connection().listAllDomains)
        found = [self._call("look at", self._info, domain) for domain in domains if domain.ID() != 0]
        return sorted(found, key=lambda domu: domu.name)
