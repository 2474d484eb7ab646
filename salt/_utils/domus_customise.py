"""What makes a freshly installed tree this one VPS: its files, worked out first and then written.

All values were checked by `domus_spec`: names and addresses match strict grammars, and the free
text in an ssh key's comment is one printable line. Nothing here passes through a shell.
"""

import ipaddress
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from domus_errors import NotValid, Refused
from domus_guest_root import GuestRoot
from domus_spec import AddressSpec, NicSpec, VpsSpec

# The console's device was renamed time and again (xvc0, hvc0, ttyS0, tty1). It is decided here and
# nowhere else: by the hypervisor and the kind of virtualisation, not by what a template assumes.
CONSOLES = {
    ("xen", "pv"): "hvc0",
    ("xen", "pvh"): "hvc0",
    ("xen", "hvm"): "ttyS0",
    ("kvm", "pv"): "ttyS0",
    ("kvm", "pvh"): "ttyS0",
    ("kvm", "hvm"): "ttyS0",
    ("simulated", "pv"): "hvc0",
    ("simulated", "pvh"): "hvc0",
    ("simulated", "hvm"): "ttyS0",
}
LOCKED_PASSWORD = "!*"  # noqa: S105 - no password matches it
HOST_KEY_TYPES = ("ed25519", "ecdsa")
# What a bootstrap leaves of dom0 or of the installation itself; it is no business of a guest.
LEFTOVERS = (
    "/etc/apt/apt.conf.d/00mmdebstrap",
    "/etc/apt/apt.conf.d/99mmdebstrap",
    "/etc/apt/apt.conf.d/00domus-dom0",
    "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
    "/etc/ssh/ssh_host_*",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/root/.bash_history",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
    "/var/lib/systemd/credential.secret",
    "/var/cache/apt/*.bin",
    "/var/cache/ldconfig/aux-cache",
    "/var/log/*.log",
)
LEFTOVER_FOLDERS = (
    "/var/cache/apt/archives",
    "/var/lib/apt/lists",
    "/var/log/apt",
    "/tmp",  # noqa: S108 - the guest's
    "/run",
)


@dataclass(frozen=True, slots=True)
class GuestFile:
    """One file of the guest."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Identity:
    """What has to be different in every guest, and is made afresh for each."""

    machine_id: str
    host_keys: Mapping[str, bytes]

    @classmethod
    def fresh(cls, host_keys: Mapping[str, bytes]) -> "Identity":
        """Return an identity with a new machine-id; ``host_keys`` maps file names to content."""
        return cls(uuid.uuid4().hex, host_keys)


def console_device(hypervisor: str, virtualization: str) -> str:
    """Return the guest's console device, such as hvc0."""
    try:
        return CONSOLES[hypervisor, virtualization]
    except KeyError:
        known = ", ".join(" ".join(pair) for pair in CONSOLES)
        raise NotValid(f"No console is known for {hypervisor} {virtualization}; allowed: {known}") from None


def guest_files(vps: VpsSpec, sources: Sequence[str]) -> list[GuestFile]:
    """Return the files that say who this guest is; ``sources`` are lines for apt."""
    files = [
        GuestFile("/etc/hostname", f"{_short(vps.os.hostname)}\n"),
        GuestFile("/etc/hosts", hosts(vps)),
        GuestFile("/etc/resolv.conf", "".join(f"nameserver {server}\n" for server in vps.dns)),
        GuestFile("/etc/network/interfaces", interfaces(vps.nics)),
        GuestFile("/etc/fstab", fstab(vps)),
        GuestFile("/etc/ssh/sshd_config.d/10-domus.conf", sshd_config(vps)),
        GuestFile("/etc/default/locale", "LANG=C.UTF-8\n"),
    ]
    files += [
        GuestFile(
            f"/etc/systemd/network/10-domus-eth{number}.link",
            f"[Match]\nMACAddress={nic.mac}\n\n[Link]\nName=eth{number}\n",
        )
        for number, nic in enumerate(vps.nics)
    ]
    if vps.os.ssh_keys:
        keys = "".join(f"{key}\n" for key in vps.os.ssh_keys)
        files.append(GuestFile("/root/.ssh/authorized_keys", keys, 0o600))
    if sources:
        files.append(GuestFile("/etc/apt/sources.list", "".join(f"{s}\n" for s in sources)))
    return files


def hosts(vps: VpsSpec) -> str:
    """Return /etc/hosts: the full name belongs to the first address, so `hostname -f` works."""
    addresses = [a.address for nic in vps.nics for a in (*nic.ipv4, *nic.ipv6)]
    short = _short(vps.os.hostname)
    names = short if short == vps.os.hostname else f"{vps.os.hostname} {short}"
    own = addresses[0] if addresses else "127.0.1.1"
    return (
        f"127.0.0.1\tlocalhost\n{own}\t{names}\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"
    )


def interfaces(nics: Sequence[NicSpec]) -> str:
    """Return /etc/network/interfaces with every address static."""
    lines = ["auto lo", "iface lo inet loopback"]
    for number, nic in enumerate(nics):
        name = f"eth{number}"
        lines += ["", f"auto {name}"]
        for family, addresses in (("inet", nic.ipv4), ("inet6", nic.ipv6)):
            for address in addresses:
                lines += [f"iface {name} {family} static", *_address_lines(address, family)]
        if not nic.ipv4 and not nic.ipv6:
            lines.append(f"iface {name} inet manual")
    return "\n".join(lines) + "\n"


def fstab(vps: VpsSpec) -> str:
    """Return /etc/fstab by label: a device's name depends on how the guest is run.

    ``x-systemd.growfs`` lets the guest grow its root file system at boot, should its disk have grown; we never do that.
    """
    lines = ["# <file system> <mount point> <type> <options> <dump> <pass>"]
    for disk in vps.disks:
        if disk.role == "root":
            lines.append(f"LABEL=root / {disk.filesystem} defaults,errors=remount-ro,x-systemd.growfs 0 1")
        elif disk.role == "swap":
            lines.append(f"LABEL={disk.name} none swap sw 0 0")
        else:
            lines.append(f"LABEL={disk.name} /srv/{disk.name} {disk.filesystem} nofail 0 2")
    return "\n".join(lines) + "\n"


def sshd_config(vps: VpsSpec) -> str:
    """Return how root may log in, and the host keys that there are.

    An RSA key is left out: making one takes seconds on a small machine, and no client needs it.
    """
    root = "prohibit-password" if vps.os.root_password_hash is None else "yes"
    keys = "".join(f"HostKey /etc/ssh/ssh_host_{kind}_key\n" for kind in HOST_KEY_TYPES)
    return f"{keys}PermitRootLogin {root}\n"


def shadow(content: str, password_hash: str | None, today: date) -> str:
    """Return /etc/shadow with root's password set; without one root's password is locked."""
    lines = content.splitlines()
    for number, line in enumerate(lines):
        fields = line.split(":")
        if fields[0] == "root" and len(fields) == 9:
            fields[1] = password_hash or LOCKED_PASSWORD
            fields[2] = str((today - date(1970, 1, 1)).days)
            lines[number] = ":".join(fields)
            return "\n".join(lines) + "\n"
    raise Refused("/etc/shadow in the guest has no line for root: this is no usable template")


def clean(root: GuestRoot) -> None:
    """Remove from a tree what belongs to dom0, to the installation or to one machine alone."""
    for path in LEFTOVERS:
        root.remove(path)
    for folder in LEFTOVER_FOLDERS:
        root.remove_files_below(folder)
    root.write("/etc/machine-id", "", 0o444)


def customise(
    root: GuestRoot,
    vps: VpsSpec,
    identity: Identity,
    *,
    hypervisor: str,
    sources: Sequence[str],
    today: date,
) -> None:
    """Turn a clean tree into this VPS."""
    console = console_device(hypervisor, vps.virtualization)
    before = root.read("/etc/shadow")
    if before is None:
        raise Refused("/etc/shadow is missing in the guest: this is no usable template")
    root.edit("/etc/shadow", shadow(before.decode(), vps.os.root_password_hash, today))
    if vps.os.ssh_keys:
        root.folder("/root/.ssh", 0o700)
    for file in guest_files(vps, sources):
        root.write(file.path, file.content, file.mode)
    for disk in vps.disks:
        if disk.role == "data":
            root.folder(f"/srv/{disk.name}", 0o755)
    root.write("/etc/machine-id", f"{identity.machine_id}\n", 0o444)
    for name, content in identity.host_keys.items():
        root.write(f"/etc/ssh/{name}", content, 0o644 if name.endswith(".pub") else 0o600)
    root.link(
        f"/etc/systemd/system/getty.target.wants/serial-getty@{console}.service",
        "/lib/systemd/system/serial-getty@.service",
    )


def _short(hostname: str) -> str:
    return hostname.partition(".")[0]


def _address_lines(address: AddressSpec, family: str) -> list[str]:
    lines = [f"    address {address.address}/{address.prefix_length}"]
    if address.gateway is None:
        return lines
    network = ipaddress.ip_network(f"{address.address}/{address.prefix_length}", strict=False)
    gateway = ipaddress.ip_address(address.gateway)
    if gateway in network or gateway.is_link_local:
        return [*lines, f"    gateway {gateway}"]
    # Hosters route single addresses over a gateway outside their network; ifupdown's own
    # `gateway` fails there, because the kernel does not know yet how to reach it.
    ip = "ip -6" if family == "inet6" else "ip"
    return [
        *lines,
        f"    up {ip} route add {gateway} dev $IFACE",
        f"    up {ip} route add default via {gateway} dev $IFACE",
    ]
