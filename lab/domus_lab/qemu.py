"""QEMU: its command line for a dom0, and its control socket."""

import json
import socket
from dataclasses import dataclass
from pathlib import Path

from domus_lab.errors import LabError

XEN_COMMAND_LINE = "console=com1 com1=115200,8n1 dom0_mem={mem}M,max:{mem}M dom0_max_vcpus=1 ucode=0"
KERNEL_COMMAND_LINE = "root=/dev/vda rw console={console} net.ifnames=0 quiet"
MACHINE_MEMORY_MIB = 4096


@dataclass(frozen=True)
class Hardware:
    """What the emulated machine is made of. Paths may hold any character but a newline."""

    root_overlay: Path
    volume_disk: Path
    console_log: Path
    monitor_socket: Path
    ssh_port: int
    dom0_mem_mib: int
    boots_xen: bool = True
    """Else Debian has the machine to itself."""


def command(hardware: Hardware) -> list[str]:
    """Return the command that boots the machine; it must run in the folder of the files that it boots.

    QEMU cuts the list of multiboot modules at commas and spaces, so the files stand there by bare
    names: the checkout's own path may hold either.
    """
    return [
        "qemu-system-x86_64",
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-accel", "tcg,thread=multi"),
        # Xen's paravirtual guests and libvirt's Xen driver both know this model; newer ones
        # crash dom0 at its start.
        *("-cpu", "Nehalem", "-smp", "2", "-m", str(MACHINE_MEMORY_MIB)),
        *(_xen(hardware.dom0_mem_mib) if hardware.boots_xen else _linux()),
        *("-drive", _drive(hardware.root_overlay, "qcow2")),
        *("-drive", _drive(hardware.volume_disk, "raw")),
        *("-netdev", f"user,id=net0,hostfwd=tcp:127.0.0.1:{hardware.ssh_port}-:22"),
        *("-device", "virtio-net-pci,netdev=net0", "-device", "virtio-rng-pci"),
        *("-chardev", f"file,id=console,path={_escaped(hardware.console_log)}"),
        *("-serial", "chardev:console"),
        *("-qmp", f"unix:{_escaped(hardware.monitor_socket)},server=on,wait=off"),
    ]


def _xen(dom0_mem_mib: int) -> list[str]:
    arguments = KERNEL_COMMAND_LINE.format(console="hvc0")
    xen = ("-kernel", "xen", "-append", XEN_COMMAND_LINE.format(mem=dom0_mem_mib))
    return [*xen, "-initrd", f"vmlinuz {arguments},initrd.img"]


def _linux() -> list[str]:
    arguments = KERNEL_COMMAND_LINE.format(console="ttyS0")
    return ["-kernel", "vmlinuz", "-append", arguments, "-initrd", "initrd.img"]


def _drive(path: Path, image_format: str) -> str:
    # The disks are thrown away with the machine: there is nothing to flush for.
    return f"file={_escaped(path)},format={image_format},if=virtio,cache=unsafe"


def _escaped(path: Path) -> str:
    """Return a path as QEMU's option parser wants it: a comma inside a value is doubled."""
    return str(path).replace(",", ",,")


def quit_machine(monitor_socket: Path, timeout_seconds: float = 10) -> None:
    """Tell QEMU through its control socket to end at once; raise when it does not listen."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_seconds)
        try:
            connection.connect(str(monitor_socket))
            with connection.makefile("rwb") as stream:
                stream.readline()
                for name in ("qmp_capabilities", "quit"):
                    stream.write(json.dumps({"execute": name}).encode() + b"\n")
                    stream.flush()
                    stream.readline()
        except OSError as error:
            raise LabError(f"QEMU's control socket does not answer: {error}") from None


def free_port() -> int:
    """Return a port of the loopback address that nobody listens on at this moment."""
    with socket.socket(socket.AF_INET) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
