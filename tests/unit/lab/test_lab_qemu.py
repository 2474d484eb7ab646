"""The command line of the lab's machine."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from domus_lab import qemu
from domus_lab.errors import LabError

HARDWARE = qemu.Hardware(
    root_overlay=Path("/lab/root.qcow2"),
    volume_disk=Path("/lab/volumes.img"),
    console_log=Path("/lab/console.log"),
    monitor_socket=Path("/run/s/qmp"),
    ssh_port=2201,
    dom0_mem_mib=384,
)


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_dom0_gets_exactly_the_memory_asked_for() -> None:
    append = option(qemu.command(HARDWARE), "-append")
    assert "dom0_mem=384M,max:384M" in append


def test_a_machine_without_xen_boots_linux_with_its_console_on_the_serial_port() -> None:
    command = qemu.command(replace(HARDWARE, boots_xen=False))
    assert (option(command, "-kernel"), option(command, "-initrd")) == ("vmlinuz", "initrd.img")
    assert "console=ttyS0" in option(command, "-append")


def test_ssh_is_forwarded_from_the_loopback_address_only() -> None:
    forwards = [word for word in qemu.command(HARDWARE) if "hostfwd" in word]
    assert forwards == ["user,id=net0,hostfwd=tcp:127.0.0.1:2201-:22"]


def test_multiboot_modules_are_bare_names_because_qemu_cuts_at_commas_and_spaces() -> None:
    modules = option(qemu.command(HARDWARE), "-initrd").split(",")
    assert [module.split(" ")[0] for module in modules] == ["vmlinuz", "initrd.img"]


def test_a_comma_in_the_path_of_a_disk_does_not_begin_another_option() -> None:
    hardware = replace(HARDWARE, volume_disk=Path("/a,b/volumes.img"))
    drives = [word for word in qemu.command(hardware) if word.startswith("file=")]
    assert drives[1] == "file=/a,,b/volumes.img,format=raw,if=virtio,cache=unsafe"


def test_a_free_port_can_be_bound_at_once() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", qemu.free_port()))


def test_quit_greets_the_control_socket_before_it_asks_to_quit(tmp_path: Path) -> None:
    path = tmp_path / "qmp"
    heard: list[bytes] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b'{"QMP": {}}\n')
            stream.flush()
            for _ in range(2):
                heard.append(stream.readline())
                stream.write(b'{"return": {}}\n')
                stream.flush()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        qemu.quit_machine(path)
        thread.join()
    assert heard == [b'{"execute": "qmp_capabilities"}\n', b'{"execute": "quit"}\n']


def test_quit_says_when_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="control socket does not answer"):
        qemu.quit_machine(tmp_path / "qmp")
