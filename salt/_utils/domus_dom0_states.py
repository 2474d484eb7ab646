"""Turns the pillar of a dom0 into the states that make a working dom0 of a bare Debian 12."""

from typing import Any

from domus_errors import NotValid
from domus_spec import Dom0Pillar, Dom0Spec
from domus_state_dir import StateDir

ID_PREFIX = "domus-dom0-"
COMMON_PACKAGES = (
    *("bridge-utils", "ifupdown", "iproute2", "libvirt-clients", "libvirt-daemon-system", "python3-libvirt"),
    *("e2fsprogs", "lvm2", "mmdebstrap", "thin-provisioning-tools", "zstd"),
)
PACKAGES = {
    "xen": ("xen-system-amd64", "libvirt-daemon-driver-xen"),
    "kvm": ("qemu-system-x86",),
}
XEN_CONSOLE_DIRECTORY = "/var/log/xen/console"

HighState = dict[str, dict[str, list[dict[str, Any]]]]


def highstate(pillar: Any, state_dir: StateDir) -> HighState:
    """Return the states for a pillar."""
    if not pillar:
        return _note("This minion has no pillar `domus`, so it is no dom0; nothing is done")
    try:
        dom0 = Dom0Pillar.parse(pillar).dom0
    except NotValid as error:
        return _state("pillar", "test.fail_without_changes", name="domus", comment=str(error))
    if dom0.hypervisor == "simulated":
        return _note("The hypervisor is simulated, so there is nothing to set up; nothing is done")
    states = _packages(dom0) | _bridge(dom0.bridge) | _directories(dom0, state_dir)
    states |= _libvirt()
    if dom0.hypervisor == "xen":
        states |= _xen_consoles()
    # Last: an operator who has no volume group yet gets everything else done.
    return states | _state(
        "storage", "dom0.storage_ready", name=dom0.volume_group or dom0.image_dir or "storage"
    )


def _libvirt() -> HighState:
    """Return the states of libvirt, which is started at boot and by whoever asks for it, and ends when nobody does."""
    states = _state("libvirt-boot", "service.enabled", name="libvirtd", require=_needs("pkg", "packages"))
    return states | _state(
        "libvirt", "service.running", name="libvirtd.socket", enable=True, require=_needs("pkg", "packages")
    )


def _packages(dom0: Dom0Spec) -> HighState:
    names = sorted({*COMMON_PACKAGES, *PACKAGES[dom0.hypervisor]})
    return _state(
        "packages", "pkg.installed", name="the packages of a dom0", pkgs=names, install_recommends=False
    )


def _bridge(bridge: str) -> HighState:
    """Return the states of the bridge that guests are plugged into.

    It has no ports: how guests reach the world, routed or by a network card of dom0, is the operator's
    choice. A bridge that is there already is his, and is left as it is.
    """
    name = f"/etc/network/interfaces.d/domus-{bridge}"
    text = (
        f"# Made by Domus.\nauto {bridge}\niface {bridge} inet manual\n"
        "    bridge_ports none\n    bridge_stp off\n    bridge_fd 0\n"
    )
    present = f"/sys/class/net/{bridge}/bridge"
    states = _state(
        "bridge-file",
        "file.managed",
        name=name,
        contents=text,
        mode="0644",
        makedirs=True,
        unless=[{"fun": "file.directory_exists", "path": present}],
    )
    return states | _state(
        "bridge",
        "cmd.run",
        # A shell takes it; the grammar of the pillar lets a bridge have no letter that means anything to one.
        name=f"ifup {bridge}",
        creates=present,
        require=_needs("file", "bridge-file") + _needs("pkg", "packages"),
    )


def _directories(dom0: Dom0Spec, state_dir: StateDir) -> HighState:
    states = _state("state-dir", "file.directory", name=str(state_dir.root), mode="0711", makedirs=True)
    states |= _state(
        "templates",
        "file.directory",
        name=str(state_dir.templates),
        mode="0700",
        require=_needs("file", "state-dir"),
    )
    if dom0.image_dir:
        states |= _state("images", "file.directory", name=dom0.image_dir, mode="0711", makedirs=True)
    return states


def _xen_consoles() -> HighState:
    """Return the states that let Xen write down what guests say on their consoles."""
    states = _state("console-dir", "file.directory", name=XEN_CONSOLE_DIRECTORY, mode="0700", makedirs=True)
    # Debian's init script knows only the arguments; XENCONSOLED_TRACE is of Xen's own scripts.
    states |= _state(
        "console-log",
        "file.keyvalue",
        name="/etc/default/xen",
        key="XENCONSOLED_ARGS",
        value="--log=guest",
        separator="=",
        uncomment="#",
        append_if_not_found=True,
        create_if_missing=True,
        require=_needs("pkg", "packages"),
    )
    # A guest may write to its console without end.
    rotation = (
        f"{XEN_CONSOLE_DIRECTORY}/guest-*.log {{\n"
        "    size 4M\n    rotate 1\n    copytruncate\n    missingok\n    notifempty\n}\n"
    )
    states |= _state(
        "console-rotation",
        "file.managed",
        name="/etc/logrotate.d/domus-xen-console",
        contents=rotation,
        mode="0644",
    )
    return states | _state(
        "xen",
        "service.running",
        name="xen",
        enable=True,
        require=_needs("file", "console-dir"),
        watch=_needs("file", "console-log"),
    )


def _needs(module: str, *identities: str) -> list[dict[str, str]]:
    return [{module: f"{ID_PREFIX}{identity}"} for identity in identities]


def _note(text: str) -> HighState:
    return _state("none", "test.show_notification", name="domus", text=text)


def _state(identity: str, function: str, /, **arguments: Any) -> HighState:
    return {f"{ID_PREFIX}{identity}": {function: [{key: value} for key, value in arguments.items()]}}
