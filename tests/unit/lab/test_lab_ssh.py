"""How commands, files and the minion's settings reach dom0."""

import tarfile
from pathlib import Path

import pytest
import yaml

from domus_lab.errors import LabError
from domus_lab.machine import LabMachine
from domus_lab.minion import MinionSettings
from domus_lab.process import running_machines
from domus_lab.ssh import SshConnection, packed_tree


@pytest.fixture
def connection(tmp_path: Path) -> SshConnection:
    return SshConnection(tmp_path, 2201, Path("/lab/ssh_key"), "ssh-ed25519 AAAA root@lab")


def test_words_stay_words_in_the_remote_shell(connection: SshConnection) -> None:
    assert connection.argv(["echo", "$(id)", "a b"])[-1] == "echo '$(id)' 'a b'"


def test_the_dom0_is_known_before_it_boots(connection: SshConnection) -> None:
    connection.prepare()
    known = (connection.directory / "known_hosts").read_text()
    assert known == "domus-lab ssh-ed25519 AAAA\n"
    assert "StrictHostKeyChecking=yes" in connection.argv(["true"])


def test_a_tree_arrives_as_roots_with_plain_modes_and_links_resolved(tmp_path: Path) -> None:
    source = tmp_path / "states"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "domu.py").write_text("x = 1\n")
    (tmp_path / "modules" / "domu.py").chmod(0o600)
    source.mkdir()
    (source / "_modules").symlink_to("../modules")
    (source / "__pycache__").mkdir()
    with tarfile.open(fileobj=packed_tree(source, without=["__pycache__"])) as archive:
        entries = {entry.name: entry for entry in archive}
    assert set(entries) == {".", "./_modules", "./_modules/domu.py"}
    assert (entries["./_modules/domu.py"].mode, entries["./_modules/domu.py"].uid) == (0o644, 0)


SETTINGS = MinionSettings({"id": "dom0-lab", "domus": {}}, b"PRIVATE", b"PUBLIC", b"MASTER")


def test_the_minion_gets_its_options_and_trusts_one_master_only() -> None:
    files = SETTINGS.files()
    assert yaml.safe_load(files["/etc/salt/minion.d/domus-lab.conf"][1]) == SETTINGS.options
    assert files["/etc/salt/pki/minion/minion.pem"] == (0o400, b"PRIVATE")
    assert files["/etc/salt/pki/minion/minion_master.pub"] == (0o644, b"MASTER")


def test_the_minions_private_key_is_not_shown() -> None:
    assert "PRIVATE" not in repr(SETTINGS)


@pytest.mark.parametrize("mem_mib", [0, 255, 4096])
def test_a_dom0_that_cannot_boot_is_refused(tmp_path: Path, mem_mib: int) -> None:
    with pytest.raises(LabError, match="allowed is 256 to 3584"):
        LabMachine(dom0_mem_mib=mem_mib, lab_dir=tmp_path)


def test_a_machine_that_was_not_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="call start"):
        LabMachine(lab_dir=tmp_path).run(["true"])


def test_what_a_dead_machine_left_is_cleared_away(tmp_path: Path) -> None:
    left = tmp_path / "runs" / "dom0-x"
    left.mkdir(parents=True)
    # No process can have this number: the kernel's limit is 2^22.
    (left / "state.json").write_text('{"pid": 99999999, "ssh": []}')
    assert running_machines(tmp_path) == []
    assert not left.exists()
