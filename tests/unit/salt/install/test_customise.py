"""What is written into a guest."""

from datetime import date
from pathlib import Path

import domus_customise
import pytest
from domus_customise import Identity, clean, console_device, customise, guest_files
from domus_errors import NotValid, Refused
from domus_guest_root import GuestRoot
from domus_spec import VpsSpec

from tests.support.installs import PASSWORD_HASH, vps_entry

TODAY = date(2026, 11, 20)
HOSTILE_COMMENT = "$(id) `id` {{ 7*7 }} ]]> ../ '\" ; rm -rf / !!python/object"


def spec(**os_changes: object) -> VpsSpec:
    return VpsSpec.parse(vps_entry(**os_changes))


def content(vps: VpsSpec, path: str) -> str:
    return next(
        f.content for f in guest_files(vps, ["deb http://mirror.example.org x main"]) if f.path == path
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Offer a tree with what a template has at least."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "shadow").write_text("root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n")
    return tmp_path


def install(tree: Path, vps: VpsSpec, hypervisor: str = "xen") -> None:
    with GuestRoot(tree) as root:
        customise(
            root,
            vps,
            Identity.fresh({"ssh_host_ed25519_key": b"secret", "ssh_host_ed25519_key.pub": b"public"}),
            hypervisor=hypervisor,
            sources=["deb http://mirror.example.org bookworm main"],
            today=TODAY,
        )


@pytest.mark.parametrize(
    ("hypervisor", "virtualization", "device"),
    [
        ("xen", "pv", "hvc0"),
        ("xen", "pvh", "hvc0"),
        ("xen", "hvm", "ttyS0"),
        ("kvm", "hvm", "ttyS0"),
        ("simulated", "pv", "hvc0"),
    ],
)
def test_the_console_is_decided_by_hypervisor_and_virtualisation(
    hypervisor: str, virtualization: str, device: str
) -> None:
    assert console_device(hypervisor, virtualization) == device


def test_an_unknown_console_is_an_error_that_names_what_is_known() -> None:
    with pytest.raises(NotValid, match="xen pv"):
        console_device("bochs", "pv")


def test_a_login_is_offered_on_the_console_and_nowhere_by_another_name(tree: Path) -> None:
    install(tree, spec())
    wants = tree / "etc/systemd/system/getty.target.wants"
    assert [link.name for link in wants.iterdir()] == ["serial-getty@hvc0.service"]
    assert (wants / "serial-getty@hvc0.service").readlink() == Path(
        "/lib/systemd/system/serial-getty@.service"
    )


def test_no_file_names_a_disk_by_its_device(tree: Path) -> None:
    install(tree, spec())
    for path in tree.rglob("*"):
        assert path.is_dir() or path.is_symlink() or b"xvda" not in path.read_bytes()
    assert (tree / "etc/fstab").read_text().splitlines()[1:] == [
        "LABEL=root / ext4 defaults,errors=remount-ro,x-systemd.growfs 0 1",
        "LABEL=swap none swap sw 0 0",
    ]


def test_the_password_hash_replaces_roots_and_nobody_elses(tree: Path) -> None:
    install(tree, spec())
    days = (TODAY - date(1970, 1, 1)).days
    assert (tree / "etc/shadow").read_text() == (
        f"root:{PASSWORD_HASH}:{days}:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"
    )
    assert "PermitRootLogin yes" in (tree / "etc/ssh/sshd_config.d/10-domus.conf").read_text()


def test_without_a_password_root_is_locked_and_needs_a_key(tree: Path) -> None:
    install(tree, spec(root_password_hash=None))
    assert (tree / "etc/shadow").read_text().startswith("root:!*:")
    assert "PermitRootLogin prohibit-password" in (tree / "etc/ssh/sshd_config.d/10-domus.conf").read_text()


def test_a_tree_without_root_in_shadow_is_refused() -> None:
    with pytest.raises(Refused, match="no line for root"):
        domus_customise.shadow("daemon:*:1:0:1:7:::\n", None, TODAY)


def test_the_keys_are_readable_by_root_alone(tree: Path) -> None:
    install(tree, spec())
    assert (tree / "root/.ssh").stat().st_mode & 0o777 == 0o700
    assert (tree / "root/.ssh/authorized_keys").stat().st_mode & 0o777 == 0o600
    assert (tree / "etc/ssh/ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600
    assert (tree / "etc/ssh/ssh_host_ed25519_key.pub").stat().st_mode & 0o777 == 0o644


def test_a_hostile_key_comment_arrives_as_plain_text(tree: Path) -> None:
    key = f"ssh-ed25519 {'A' * 68} {HOSTILE_COMMENT}"
    install(tree, spec(ssh_keys=[key]))
    assert (tree / "root/.ssh/authorized_keys").read_text() == f"{key}\n"


@pytest.mark.parametrize("comment", ["two\nlines", "carriage\rreturn", "escape\x1b[2J", "next\u2028line"])
def test_a_key_comment_of_several_lines_is_refused(comment: str) -> None:
    with pytest.raises(NotValid, match="ssh_keys"):
        spec(ssh_keys=[f"ssh-ed25519 {'A' * 68} {comment}"])


def test_the_host_name_is_short_and_the_full_name_belongs_to_the_first_address() -> None:
    assert content(spec(), "/etc/hostname") == "www\n"
    assert "192.0.2.10\twww.example.org www\n" in content(spec(), "/etc/hosts")
    assert "192.0.2.10\talone\n" in content(spec(hostname="alone"), "/etc/hosts")


def test_the_card_is_named_by_its_address_and_configured_static() -> None:
    assert "MACAddress=00:16:3e:00:00:01" in content(spec(), "/etc/systemd/network/10-domus-eth0.link")
    assert content(spec(), "/etc/network/interfaces") == (
        "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet static\n"
        "    address 192.0.2.10/24\n    gateway 192.0.2.1\n"
    )


def test_a_gateway_outside_the_network_gets_a_route_of_its_own() -> None:
    entry = vps_entry()
    entry["nics"][0]["ipv4"] = [{"address": "203.0.113.7", "prefix_length": 32, "gateway": "192.0.2.1"}]
    entry["nics"][0]["ipv6"] = [{"address": "2001:db8::7", "prefix_length": 64, "gateway": "fe80::1"}]
    lines = content(VpsSpec.parse(entry), "/etc/network/interfaces").splitlines()
    assert "    up ip route add 192.0.2.1 dev $IFACE" in lines
    assert "    up ip route add default via 192.0.2.1 dev $IFACE" in lines
    assert lines[-3:] == [
        "iface eth0 inet6 static",
        "    address 2001:db8::7/64",
        "    gateway fe80::1",
    ]


def test_two_guests_have_different_machine_ids() -> None:
    assert Identity.fresh({}).machine_id != Identity.fresh({}).machine_id


def test_cleaning_leaves_nothing_of_dom0_or_of_one_machine(tree: Path) -> None:
    for path in (
        *("etc/resolv.conf", "etc/hosts", "etc/apt/apt.conf.d/99mmdebstrap", "root/.bash_history"),
        *("etc/ssh/ssh_host_rsa_key", "var/cache/apt/archives/a.deb", "var/lib/apt/lists/partial/x"),
        *("var/log/apt/term.log", "var/log/dpkg.log", "var/lib/systemd/random-seed", "tmp/x"),
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("left over")
    (tree / "etc/machine-id").write_text("0123")
    with GuestRoot(tree) as root:
        clean(root)
    left = {str(p.relative_to(tree)) for p in tree.rglob("*") if not p.is_dir()}
    assert left == {"etc/shadow", "etc/machine-id"}
    assert (tree / "etc/machine-id").read_text() == ""
