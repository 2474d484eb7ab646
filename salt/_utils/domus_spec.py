"""What is wanted on a dom0, parsed strictly from its pillar (docs/contracts.md, section 1)."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import domus_fields
from domus_errors import NotValid
from domus_fields import Fields

SCHEMA_VERSION = 1
TAG_PREFIX = "domus:"
ABSOLUTE_PATH = re.compile(r"(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+")


@dataclass(frozen=True, slots=True)
class AddressSpec:
    """One address of a network card."""

    address: str
    prefix_length: int
    gateway: str | None

    @classmethod
    def parse(cls, value: Any, where: str) -> "AddressSpec":
        """Read an address; its gateway is of the same family."""
        fields = Fields(value, where)
        address = domus_fields.address(fields.take("address"), fields.path("address"))
        prefix = fields.number("prefix_length", 1, address.max_prefixlen)
        gateway = fields.optional("gateway", domus_fields.address)
        if gateway is not None and (gateway.version != address.version or gateway == address):
            raise NotValid(
                f"{fields.path('gateway')} is {gateway}; allowed is another "
                f"IPv{address.version} address than {address}"
            )
        fields.finish()
        return cls(str(address), prefix, None if gateway is None else str(gateway))


def _address_of(version: int) -> Any:
    def parse(value: Any, where: str) -> AddressSpec:
        parsed = AddressSpec.parse(value, where)
        if ipaddress.ip_address(parsed.address).version != version:
            raise NotValid(f"{where}.address is {parsed.address}; allowed is IPv{version}")
        return parsed

    return parse


@dataclass(frozen=True, slots=True)
class NicSpec:
    """One network card on a bridge."""

    mac: str
    bridge: str
    ipv4: tuple[AddressSpec, ...]
    ipv6: tuple[AddressSpec, ...]

    @classmethod
    def parse(cls, value: Any, where: str) -> "NicSpec":
        """Read a network card."""
        fields = Fields(value, where)
        nic = cls(
            mac=fields.text("mac", domus_fields.MAC, "a unicast MAC in lower case with colons"),
            bridge=_bridge(fields),
            ipv4=fields.each("ipv4", _address_of(4), 0, 256),
            ipv6=fields.each("ipv6", _address_of(6), 0, 256),
        )
        fields.finish()
        return nic


@dataclass(frozen=True, slots=True)
class DiskSpec:
    """One disk; it lives on a volume of its own."""

    name: str
    role: str
    size_mib: int
    device: str
    filesystem: str

    @classmethod
    def parse(cls, value: Any, where: str) -> "DiskSpec":
        """Read a disk."""
        fields = Fields(value, where)
        disk = cls(
            name=fields.text("name", domus_fields.DISK_NAME, "lower case letters and digits"),
            role=fields.one_of("role", ("root", "swap", "data")),
            size_mib=fields.number("size_mib", 1, 1 << 30),
            device=fields.text("device", domus_fields.DEVICE, "a Xen disk such as xvda1"),
            filesystem=fields.one_of("filesystem", ("ext4", "xfs", "btrfs", "swap")),
        )
        if (disk.role == "swap") != (disk.filesystem == "swap"):
            raise NotValid(f"{where}.filesystem is {disk.filesystem}; swap belongs to role swap")
        fields.finish()
        return disk


@dataclass(frozen=True, slots=True)
class OsSpec:
    """The operating system to install; a new ``install_id`` asks for a new installation.

    ``installed`` says that this very installation was handed over to its customer.
    """

    install_id: str
    template: str
    hostname: str
    root_password_hash: str | None = field(repr=False)
    ssh_keys: tuple[str, ...]
    attempt: int = 1
    installed: bool = False

    @classmethod
    def parse(cls, value: Any, where: str) -> "OsSpec":
        """Read what to install."""
        fields = Fields(value, where)
        parsed = cls(
            install_id=fields.uuid("install_id"),
            template=_slug(fields, "template"),
            hostname=domus_fields.hostname(fields.take("hostname"), fields.path("hostname")),
            root_password_hash=fields.optional("root_password_hash", domus_fields.password_hash),
            ssh_keys=fields.each("ssh_keys", domus_fields.ssh_key, 0, 50),
            attempt=fields.optional("attempt", domus_fields.count) or 1,
            installed=fields.optional("installed", domus_fields.flag) or False,
        )
        fields.finish()
        return parsed


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The permission to destroy one VPS, once its time has come."""

    token: str
    not_before: datetime

    @classmethod
    def parse(cls, value: Any, where: str) -> "Tombstone":
        """Read a tombstone."""
        fields = Fields(value, where)
        parsed = cls(
            token=fields.uuid("token"),
            not_before=domus_fields.moment(fields.take("not_before"), fields.path("not_before")),
        )
        fields.finish()
        return parsed


@dataclass(frozen=True, slots=True)
class VpsSpec:
    """One VPS as it should be."""

    uuid: str
    name: str
    revision: int
    wanted: str
    boot_serial: int
    reboot_mode: str
    stop_mode: str
    stop_timeout_seconds: int
    virtualization: str
    memory_mib: int
    vcpus: int
    cpu_weight: int
    cpu_cap_percent: int
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...]
    dns: tuple[str, ...]
    os: OsSpec
    tombstone: Tombstone | None

    @classmethod
    def parse(cls, value: Any, where: str = "vps") -> "VpsSpec":
        """Read one VPS; the first fault is raised as `NotValid`."""
        fields = Fields(value, where)
        spec = cls(
            uuid=fields.uuid("uuid"),
            name=fields.text("name", domus_fields.DOMU_NAME, "a-z, 0-9 and hyphens, a letter first"),
            revision=fields.number("revision", 0, 1 << 62),
            wanted=fields.one_of("wanted", ("running", "stopped", "absent")),
            boot_serial=fields.number("boot_serial", 0, 1 << 62),
            reboot_mode=fields.one_of("reboot_mode", ("soft", "hard")),
            stop_mode=fields.one_of("stop_mode", ("graceful", "hard")),
            stop_timeout_seconds=fields.number("stop_timeout_seconds", 1, 3600),
            virtualization=fields.one_of("virtualization", ("pv",)),
            memory_mib=fields.number("memory_mib", 32, 1 << 24),
            vcpus=fields.number("vcpus", 1, 512),
            cpu_weight=fields.number("cpu_weight", 1, 65535),
            cpu_cap_percent=fields.number("cpu_cap_percent", 0, 51200),
            disks=fields.each("disks", DiskSpec.parse, 1, 16),
            nics=fields.each("nics", NicSpec.parse, 0, 8),
            dns=fields.each("dns", lambda v, w: str(domus_fields.address(v, w)), 0, 8),
            os=OsSpec.parse(fields.take("os"), fields.path("os")),
            tombstone=fields.optional("tombstone", Tombstone.parse),
        )
        fields.finish()
        _distinct(f"{where}.disks", "name", [disk.name for disk in spec.disks])
        _distinct(f"{where}.disks", "device", [disk.device for disk in spec.disks])
        _distinct(f"{where}.nics", "mac", [nic.mac for nic in spec.nics])
        roots = sum(disk.role == "root" for disk in spec.disks)
        if roots != 1:
            raise NotValid(f"{where}.disks has {roots} disks with role root; allowed is one")
        return spec

    @property
    def root_disk(self) -> DiskSpec:
        """The disk that the guest starts from."""
        return next(disk for disk in self.disks if disk.role == "root")

    @property
    def tag(self) -> str:
        """The tag that all volumes of this VPS carry."""
        return volume_tag(self.uuid)


@dataclass(frozen=True, slots=True)
class TemplateSpec:
    """One operating system that can be installed."""

    name: str
    method: str
    distribution: str
    release: str
    arch: str
    version: str
    mirror: str | None = None

    @classmethod
    def parse(cls, value: Any, where: str = "template") -> "TemplateSpec":
        """Read one template."""
        fields = Fields(value, where)
        parsed = cls(
            name=_slug(fields, "name"),
            method=fields.one_of("method", ("bootstrap", "image")),
            distribution=_slug(fields, "distribution"),
            release=_slug(fields, "release"),
            arch=_slug(fields, "arch"),
            version=fields.text("version", domus_fields.VERSION, "letters, digits and . _ -"),
            mirror=fields.optional("mirror", domus_fields.mirror),
        )
        fields.finish()
        return parsed


@dataclass(frozen=True, slots=True)
class Dom0Spec:
    """The dom0 itself: its hypervisor, bridge and storage, and its limits."""

    minion_id: str
    hypervisor: str
    bridge: str
    backend: str
    volume_group: str
    thin_pool: str
    image_dir: str
    max_parallel_installs: int
    max_removals_per_run: int
    report_key: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, value: Any, where: str = "dom0") -> "Dom0Spec":
        """Read a dom0; a storage field that its backend does not use is the empty text."""
        fields = Fields(value, where)
        storage = Fields(fields.take("storage"), fields.path("storage"))
        backend = storage.one_of("backend", ("simulated", "lvm", "lvm_thin", "image"))
        parsed = cls(
            minion_id=fields.text("minion_id", domus_fields.LVM_NAME, "letters, digits and . _ + -"),
            hypervisor=fields.one_of("hypervisor", ("simulated", "xen", "kvm")),
            bridge=_bridge(fields),
            backend=backend,
            volume_group=_storage(storage, "volume_group", backend in ("lvm", "lvm_thin")),
            thin_pool=_storage(storage, "thin_pool", backend == "lvm_thin"),
            image_dir=_storage(storage, "image_dir", backend == "image"),
            max_parallel_installs=fields.number("max_parallel_installs", 1, 64),
            max_removals_per_run=fields.number("max_removals_per_run", 0, 1000),
            report_key=fields.optional("report_key", domus_fields.report_key),
        )
        storage.finish()
        fields.finish()
        return parsed


@dataclass(frozen=True, slots=True)
class Dom0Pillar:
    """The whole pillar of one dom0; what does not validate is a problem of that entry alone.

    The keys of ``problems`` are the uuids of VPSs, and ``template <name>`` for a template.
    """

    dom0: Dom0Spec
    templates: Mapping[str, TemplateSpec]
    vps: Mapping[str, VpsSpec]
    problems: Mapping[str, str]
    rendered_at: datetime | None = None

    @classmethod
    def parse(cls, value: Any) -> "Dom0Pillar":
        """Read the pillar key ``domus``."""
        fields = Fields(value, "domus")
        version = fields.take("schema_version")
        if version != SCHEMA_VERSION:
            raise NotValid(
                f"domus.schema_version is {domus_fields.shorten(version)}; this dom0 knows "
                f"{SCHEMA_VERSION}: bring its modules and the master to the same release"
            )
        dom0 = Dom0Spec.parse(fields.take("dom0"), "domus.dom0")
        problems: dict[str, str] = {}
        templates: dict[str, TemplateSpec] = {}
        for name, entry in (fields.optional("templates", _map) or {}).items():
            try:
                templates[name] = _template_entry(name, entry)
            except NotValid as error:
                problems[f"template {name}"] = str(error)
        specs: dict[str, VpsSpec] = {}
        for key, entry in (fields.optional("vps", _map) or {}).items():
            try:
                specs[key] = _vps_entry(key, entry)
            except NotValid as error:
                problems[str(key)] = str(error)
        rendered_at = fields.optional("rendered_at", domus_fields.moment)
        return cls(dom0, templates, _without_doubles(specs, problems), problems, rendered_at)

    def earliest(self, now: datetime) -> datetime:
        """Return the earlier of this dom0's time and the master's: what destroys has to be due by both clocks."""
        return now if self.rendered_at is None else min(now, self.rendered_at)


def volume_tag(uuid: str) -> str:
    """Return the tag of all volumes that belong to a VPS."""
    return f"{TAG_PREFIX}{uuid}"


def volume_name(spec: VpsSpec, disk: DiskSpec) -> str:
    """Return the name of the volume that holds a disk."""
    return f"{spec.name}-{disk.name}"


def _map(value: Any, where: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise NotValid(f"{where} is {domus_fields.shorten(value)}; allowed is a map")
    return value


def _template_entry(name: Any, entry: Any) -> TemplateSpec:
    template = TemplateSpec.parse(entry)
    if template.name != name:
        raise NotValid(f"template.name is {template.name}; allowed is the entry's own key {name}")
    return template


def _vps_entry(key: Any, entry: Any) -> VpsSpec:
    domus_fields.uuid(key, "the key of a VPS")
    spec = VpsSpec.parse(entry)
    if spec.uuid != key:
        raise NotValid(f"vps.uuid is {spec.uuid}; allowed is the entry's own key {key}")
    return spec


def _without_doubles(specs: dict[str, VpsSpec], problems: dict[str, str]) -> dict[str, VpsSpec]:
    """Take out VPSs that share a name or a MAC: acting on either could harm the other."""
    owners: dict[str, list[str]] = {}
    for uuid, spec in specs.items():
        for thing in [f"name {spec.name}", *(f"MAC {nic.mac}" for nic in spec.nics)]:
            owners.setdefault(thing, []).append(uuid)
    for thing, uuids in owners.items():
        if len(uuids) > 1:
            for uuid in uuids:
                problems[uuid] = f"The {thing} is used by several VPSs: {', '.join(uuids)}"
    return {uuid: spec for uuid, spec in specs.items() if uuid not in problems}


def _bridge(fields: Fields) -> str:
    return fields.text("bridge", domus_fields.INTERFACE, "a bridge name of up to 15 characters")


def _slug(fields: Fields, name: str) -> str:
    return fields.text(name, domus_fields.SLUG, "lower case letters, digits, dots and hyphens")


def _storage(storage: Fields, name: str, used: bool) -> str:
    """Return a storage field where the backend uses it; elsewhere it is allowed and ignored."""
    if not used:
        storage.optional(name, lambda value, where: value)
        return ""
    if name == "image_dir":
        return storage.text(name, ABSOLUTE_PATH, "an absolute path of plain names")
    return storage.text(name, domus_fields.LVM_NAME, "an LVM name: letters, digits and . _ + -")


def _distinct(where: str, what: str, values: list[str]) -> None:
    for value in values:
        if values.count(value) > 1:
            raise NotValid(f"{where} has {what} {value} more than once")
