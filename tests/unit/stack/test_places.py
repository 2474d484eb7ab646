"""Ports, sockets, keys and configuration of a stack."""

import socket
import stat
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from domus_stack import salt_config, sockets
from domus_stack.errors import StackError
from domus_stack.files import write_file
from domus_stack.keys import ensure_key_pair
from domus_stack.ports import LOOPBACK, free_port, is_free
from domus_stack.waiting import wait_until


def test_a_port_that_is_listened_on_is_not_free() -> None:
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_ports_given_out_differ() -> None:
    ports: list[int] = []
    for _ in range(5):
        ports.append(free_port(besides=ports))
    assert len(set(ports)) == 5


def test_a_written_file_has_its_mode_from_the_start(tmp_path: Path) -> None:
    write_file(tmp_path / "deep" / "secret", "x", mode=0o600)
    assert stat.S_IMODE((tmp_path / "deep" / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


def test_keys_are_made_once_and_belong_together(tmp_path: Path) -> None:
    pair = ensure_key_pair(tmp_path, "minion")
    private = load_pem_private_key(pair.private, None)
    assert private.public_key() == load_pem_public_key(pair.public)
    assert ensure_key_pair(tmp_path, "minion").private == pair.private
    assert stat.S_IMODE((tmp_path / "minion.pem").stat().st_mode) == 0o400
    assert "PRIVATE" not in repr(pair)


def test_a_short_path_keeps_its_sockets_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "LONGEST_DIRECTORY", 4096)
    assert sockets.socket_directory(tmp_path) == tmp_path / "run"


def test_a_long_path_gets_a_short_private_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "_short_base", lambda: tmp_path)
    root = tmp_path / ("long" * 30)
    found = sockets.socket_directory(root)
    assert found.parent == tmp_path
    assert stat.S_IMODE(found.stat().st_mode) == 0o700
    assert (root / "run").resolve() == found.resolve()
    assert sockets.socket_directory(root) == found


def test_a_short_directory_that_others_may_enter_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "_short_base", lambda: tmp_path)
    root = tmp_path / ("long" * 30)
    sockets.socket_directory(root).chmod(0o755)
    with pytest.raises(StackError, match="remove it"):
        sockets.socket_directory(root)


def test_a_wait_that_fails_says_for_what_and_explains() -> None:
    with pytest.raises(StackError, match=r"waited 0 s for the moon\nit is cloudy"):
        wait_until(lambda: False, "the moon", 0, explain=lambda: "it is cloudy")


def test_the_master_serves_the_states_only_and_keeps_no_pillar(tmp_path: Path) -> None:
    options = master_options(tmp_path)
    assert options["file_roots"] == {"base": [str(tmp_path / "salt" / "states")]}
    assert options["minion_data_cache"] is False
    assert options["auto_accept"] is False
    assert options["interface"] == LOOPBACK


def test_every_reaction_has_its_file() -> None:
    checkout = Path(__file__).resolve().parents[3]
    for file in salt_config.REACTIONS.values():
        assert (checkout / "reactor" / file).is_file()


def test_nothing_of_a_stack_lies_outside_its_directory(tmp_path: Path) -> None:
    minion = salt_config.local_minion_options(
        "dom0-a", tmp_path / "minion", tmp_path / "run", publish_port=1, return_port=2
    )
    for options in (master_options(tmp_path), minion):
        for name in (
            "pki_dir",
            "cachedir",
            "sock_dir",
            "log_file",
            "pidfile",
            "extension_modules",
            "sqlite_queue_dir",
        ):
            assert Path(options[name]).is_relative_to(tmp_path), name


def test_options_are_written_as_yaml_for_the_owner_alone(tmp_path: Path) -> None:
    salt_config.write_options(tmp_path / "master", master_options(tmp_path))
    assert yaml.safe_load((tmp_path / "master").read_text()) == master_options(tmp_path)
    assert stat.S_IMODE((tmp_path / "master").stat().st_mode) == 0o600


def master_options(root: Path) -> dict[str, object]:
    return salt_config.master_options(
        root, root / "m", root / "run", publish_port=1, return_port=2, database_url_file=root / "url"
    )
