"""Writing into a guest's tree never leaves it."""

import os
from pathlib import Path

import pytest
from domus_errors import Refused
from domus_guest_root import GuestRoot


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Offer the root of a guest beside a folder that stands for dom0."""
    (tmp_path / "dom0").mkdir()
    (tmp_path / "dom0" / "victim").write_text("untouched")
    (tmp_path / "guest").mkdir()
    return tmp_path / "guest"


def test_a_folder_that_is_a_link_out_of_the_guest_is_refused(tree: Path) -> None:
    (tree / "etc").symlink_to("../dom0")
    with GuestRoot(tree) as root, pytest.raises(Refused, match="'etc' on the way"):
        root.write("/etc/victim", "overwritten")
    assert (tree.parent / "dom0" / "victim").read_text() == "untouched"


@pytest.mark.parametrize("path", ["/../dom0/victim", "dom0", "/", "/etc/../../dom0/victim"])
def test_a_path_that_could_leave_the_guest_is_refused(tree: Path, path: str) -> None:
    with GuestRoot(tree) as root, pytest.raises(Refused):
        root.write(path, "overwritten")


def test_a_file_that_is_a_link_out_of_the_guest_is_replaced_and_not_followed(tree: Path) -> None:
    (tree / "hostname").symlink_to(tree.parent / "dom0" / "victim")
    with GuestRoot(tree) as root:
        root.write("/hostname", "www")
    assert (tree / "hostname").read_text() == "www"
    assert not (tree / "hostname").is_symlink()
    assert (tree.parent / "dom0" / "victim").read_text() == "untouched"


def test_reading_and_editing_a_link_is_refused(tree: Path) -> None:
    (tree / "shadow").symlink_to(tree.parent / "dom0" / "victim")
    with GuestRoot(tree) as root:
        with pytest.raises(Refused):
            root.read("/shadow")
        with pytest.raises(Refused):
            root.edit("/shadow", "overwritten")
    assert (tree.parent / "dom0" / "victim").read_text() == "untouched"


def test_reading_a_fifo_is_refused_and_does_not_hang(tree: Path) -> None:
    os.mkfifo(tree / "shadow")
    with GuestRoot(tree) as root, pytest.raises(Refused, match="no regular file"):
        root.read("/shadow")


def test_removing_files_below_a_folder_spares_what_a_link_in_it_names(tree: Path) -> None:
    (tree / "log" / "apt").mkdir(parents=True)
    (tree / "log" / "apt" / "history").write_text("x")
    (tree / "log" / "out").symlink_to(tree.parent / "dom0")
    with GuestRoot(tree) as root:
        root.remove_files_below("/log")
    assert [p.relative_to(tree) for p in tree.rglob("*")] == [Path("log"), Path("log/apt")]
    assert (tree.parent / "dom0" / "victim").exists()


def test_an_edited_file_keeps_its_mode(tree: Path) -> None:
    (tree / "shadow").write_text("before")
    (tree / "shadow").chmod(0o640)
    with GuestRoot(tree) as root:
        root.edit("/shadow", "after")
    assert (tree / "shadow").read_text() == "after"
    assert (tree / "shadow").stat().st_mode & 0o777 == 0o640


def test_what_is_missing_reads_as_none_and_removes_as_nothing(tree: Path) -> None:
    with GuestRoot(tree) as root:
        assert root.read("/etc/shadow") is None
        root.remove("/etc/ssh/ssh_host_*")
        root.remove_files_below("/var/log")
    assert list(tree.iterdir()) == []
