"""Domain XML for libvirt: made and read by an XML library, never by joining text.

Only fields with a strict grammar go in; the customer's host name, keys and password do not.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domus_errors import ToolFailed
from domus_interfaces import Changes
from domus_spec import VpsSpec

NAMESPACE = "urn:domus:vps:1"
MAX_INTERFACE_NAME = 15
KIB_PER_MIB = 1024

Facts = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Boot:
    """What guests start from: a kernel and an initrd of dom0, and where KVM logs consoles."""

    kernel: str
    initrd: str
    console_log: str | None = None


def render(spec: VpsSpec, disk_paths: Mapping[str, str], kind: str, boot: Boot) -> str:
    """Return the definition of a VPS; kind is ``xen``, ``kvm``, or ``test`` for libvirt's own fake."""
    domain = ET.Element("domain", {"type": kind})
    _text(domain, "name", spec.name)
    _text(domain, "uuid", spec.uuid)
    _metadata(domain, spec)
    _text(domain, "memory", str(spec.memory_mib), unit="MiB")
    _text(domain, "currentMemory", str(spec.memory_mib), unit="MiB")
    _text(domain, "vcpu", str(spec.vcpus))
    system = ET.SubElement(domain, "os")
    _text(system, "type", "linux" if kind == "xen" else "hvm")
    _text(system, "kernel", boot.kernel)
    _text(system, "initrd", boot.initrd)
    _text(system, "cmdline", command_line(spec, kind))
    ET.SubElement(domain, "clock", {"offset": "utc"})
    _text(domain, "on_poweroff", "destroy")
    _text(domain, "on_reboot", "restart")
    # A guest that crashes while it starts would be restarted for ever and eat a CPU.
    _text(domain, "on_crash", "destroy")
    devices = ET.SubElement(domain, "devices")
    for number, disk in enumerate(spec.disks):
        _disk(devices, disk_paths[disk.name], _target(disk.device, number, kind), kind)
    for number, nic in enumerate(spec.nics):
        _interface(devices, spec.name, number, nic.mac, nic.bridge, kind)
    _console(devices, kind, boot.console_log)
    return ET.tostring(domain, encoding="unicode")


def command_line(spec: VpsSpec, kind: str) -> str:
    """Return the kernel arguments: where the root is and where to talk."""
    number = spec.disks.index(spec.root_disk)
    device = _target(spec.root_disk.device, number, kind)[0]
    console = "hvc0" if kind == "xen" else "ttyS0"
    return f"root=/dev/{device} ro console={console}"


def facts(xml: str) -> Facts:
    """Return what a definition says about the things that we decide, in comparable form."""
    domain = parse(xml)
    metadata = domain.find(f"metadata/{{{NAMESPACE}}}vps")
    noted = {} if metadata is None else dict(metadata.attrib)
    return {
        "name": domain.findtext("name"),
        "memory_mib": _memory_mib(domain),
        "vcpus": int(domain.findtext("vcpu") or 1),
        "kernel": domain.findtext("os/kernel"),
        "initrd": domain.findtext("os/initrd"),
        "cmdline": domain.findtext("os/cmdline"),
        "disks": [_disk_fact(disk) for disk in domain.findall("devices/disk")],
        "nics": [_nic_fact(nic) for nic in domain.findall("devices/interface")],
        "on_crash": domain.findtext("on_crash"),
        "cpu_weight": int(noted.get("cpu_weight", 0)),
        "cpu_cap_percent": int(noted.get("cpu_cap_percent", 0)),
    }


def differences(before: Facts, after: Facts) -> Changes:
    """Return what differs between two sets of facts."""
    return {
        name: {"old": before.get(name), "new": new} for name, new in after.items() if before.get(name) != new
    }


def with_memory(xml: str, memory_mib: int) -> str:
    """Return a definition with another size of memory."""
    domain = parse(xml)
    for name in ("memory", "currentMemory"):
        _set_text(domain, name, str(memory_mib), unit="MiB")
    return ET.tostring(domain, encoding="unicode")


def with_vcpus(xml: str, vcpus: int) -> str:
    """Return a definition with another number of virtual CPUs, all of them in use."""
    domain = parse(xml)
    _set_text(domain, "vcpu", str(vcpus)).attrib.pop("current", None)
    return ET.tostring(domain, encoding="unicode")


def parse(xml: str) -> ET.Element:
    """Read XML that libvirt gave; a document type would allow entities, and libvirt makes none."""
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise ToolFailed("libvirt's domain XML has a document type; that is not read")
    try:
        return ET.fromstring(xml)  # noqa: S314 - no entities in it, see above
    except ET.ParseError as error:
        raise ToolFailed(f"libvirt's domain XML cannot be read: {error}") from None


def _text(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = text


def _set_text(domain: ET.Element, name: str, text: str, **attributes: str) -> ET.Element:
    element = domain.find(name)
    if element is None:
        raise ToolFailed(f"libvirt's domain XML has no element {name}")
    element.text = text
    element.attrib.update(attributes)
    return element


def _metadata(domain: ET.Element, spec: VpsSpec) -> None:
    ET.register_namespace("domus", NAMESPACE)
    ET.SubElement(
        ET.SubElement(domain, "metadata"),
        f"{{{NAMESPACE}}}vps",
        {
            "uuid": spec.uuid,
            "revision": str(spec.revision),
            "cpu_weight": str(spec.cpu_weight),
            "cpu_cap_percent": str(spec.cpu_cap_percent),
        },
    )


def _target(device: str, number: int, kind: str) -> tuple[str, str]:
    """Return the name and the bus of a disk in the guest; virtio has no disks such as xvda1."""
    if kind == "xen":
        return device, "xen"
    return f"vd{chr(ord('a') + number)}", "virtio"


def _disk(devices: ET.Element, path: str, target: tuple[str, str], kind: str) -> None:
    block = path.startswith("/dev/")
    disk = ET.SubElement(devices, "disk", {"type": "block" if block else "file", "device": "disk"})
    if kind == "xen":
        # phy leaves the work to the kernel's blkback; for a file libxl makes the loop device.
        ET.SubElement(disk, "driver", {"name": "phy" if block else "file"})
    elif kind == "kvm":
        ET.SubElement(disk, "driver", {"name": "qemu", "type": "raw", "discard": "unmap"})
    ET.SubElement(disk, "source", {"dev" if block else "file": path})
    ET.SubElement(disk, "target", {"dev": target[0], "bus": target[1]})


def _interface(devices: ET.Element, name: str, number: int, mac: str, bridge: str, kind: str) -> None:
    interface = ET.SubElement(devices, "interface", {"type": "bridge"})
    ET.SubElement(interface, "mac", {"address": mac})
    ET.SubElement(interface, "source", {"bridge": bridge})
    if kind == "xen":
        return
    if kind == "kvm":
        ET.SubElement(interface, "model", {"type": "virtio"})
    # vnet names are libvirt's own; a name of ours says in dom0 whose traffic it is.
    target = f"{name}.{number}"
    if len(target) <= MAX_INTERFACE_NAME:
        ET.SubElement(interface, "target", {"dev": target})


def _console(devices: ET.Element, kind: str, log: str | None) -> None:
    console = ET.SubElement(devices, "console", {"type": "pty"})
    if log and kind == "kvm":
        ET.SubElement(console, "log", {"file": log, "append": "on"})
    target = {"type": "xen" if kind == "xen" else "serial", "port": "0"}
    ET.SubElement(console, "target", target)


def _memory_mib(domain: ET.Element) -> int:
    """Return the memory of a definition; libvirt gives KiB whatever unit went in."""
    memory = domain.find("memory")
    if memory is None or memory.text is None:
        return 0
    scale = {"KiB": KIB_PER_MIB, "MiB": 1}.get(memory.get("unit", "KiB"))
    if scale is None:
        raise ToolFailed(f"libvirt gives memory in {memory.get('unit')}; KiB was expected")
    return int(memory.text) // scale


def _disk_fact(disk: ET.Element) -> str:
    source, target = disk.find("source"), disk.find("target")
    path = None if source is None else source.get("dev") or source.get("file")
    return f"{None if target is None else target.get('dev')}={path}"


def _nic_fact(interface: ET.Element) -> str:
    mac, source = interface.find("mac"), interface.find("source")
    bridge = None if source is None else source.get("bridge")
    return f"{None if mac is None else (mac.get('address') or '').lower()}@{bridge}"
