"""The state directory: whole files, kept secrets, locks that free themselves."""

import os
from pathlib import Path

import pytest
from domus_errors import NotValid, ToolFailed
from domus_state_dir import StateDir, read_json, write_json

from tests.support.pillars import uuid_of

UUID = uuid_of(1)


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "domus")


def test_what_is_written_is_read_and_can_be_forgotten(state_dir: StateDir) -> None:
    assert state_dir.read("wanted", UUID) is None
    state_dir.write("wanted", UUID, {"revision": 3})
    assert state_dir.read("wanted", UUID) == {"revision": 3}
    assert state_dir.names("wanted") == [UUID]
    state_dir.forget("wanted", UUID)
    state_dir.forget("wanted", UUID)
    assert state_dir.names("wanted") == []


def test_files_are_readable_by_their_owner_alone(state_dir: StateDir) -> None:
    state_dir.write("wanted", UUID, {})
    path = state_dir.file("wanted", UUID)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_value_that_cannot_be_written_leaves_the_old_file_and_no_other(state_dir: StateDir) -> None:
    state_dir.write("wanted", UUID, {"revision": 1})
    with pytest.raises(TypeError):
        state_dir.write("wanted", UUID, {"revision": object()})
    assert state_dir.read("wanted", UUID) == {"revision": 1}
    assert [entry.name for entry in state_dir.wanted.iterdir()] == [f"{UUID}.json"]


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".x", "X", "a b", "a" * 101])
def test_name_that_leaves_the_directory_is_refused(state_dir: StateDir, name: str) -> None:
    with pytest.raises(NotValid, match="is no name for a file"):
        state_dir.read("wanted", name)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_file_that_holds_no_map_is_an_error_and_not_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ToolFailed):
        read_json(tmp_path / "x.json")


def test_lock_is_held_once_and_free_afterwards(state_dir: StateDir) -> None:
    with state_dir.lock(UUID) as first:
        assert first
        with state_dir.lock(UUID, wait=False) as second:
            assert not second
    with state_dir.lock(UUID, wait=False) as third:
        assert third


def test_lock_is_free_when_its_holder_died(state_dir: StateDir) -> None:
    pid = os.fork()
    if pid == 0:
        with state_dir.lock(UUID):
            os._exit(0)
    os.waitpid(pid, 0)
    with state_dir.lock(UUID, wait=False) as held:
        assert held


def test_options_of_the_minion_name_the_directory() -> None:
    assert StateDir.from_options({"domus": {"state_dir": "/srv/domus"}}).root == Path("/srv/domus")
    assert StateDir.from_options({}).root == Path("/var/lib/domus")


def test_any_json_can_be_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "list.json", [1, {"ä": None}])
    assert (tmp_path / "a" / "list.json").read_text().startswith("[")
