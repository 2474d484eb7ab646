"""Processes of a stack end with it, whoever ends first."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from domus_stack.errors import StackError
from domus_stack.processes import Process, end_leftovers, start_time
from tests.support.wait import wait_until

# A leader with a child of its own, and one that does not want to end.
READY = "sys.stdout.write('up'); sys.stdout.flush(); time.sleep(60)"
FAMILY = f"import subprocess, sys, time; subprocess.Popen(['sleep', '60']); {READY}"
STUBBORN = f"import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {READY}"


def make(tmp_path: Path, code: str, name: str = "worker") -> Process:
    log = tmp_path / "log" / name
    process = Process(name, [sys.executable, "-c", code], state_dir=tmp_path / "state", log=log)
    process.start()
    wait_until(lambda: log.read_text().startswith("up"), "the program to start", 20)
    return process


def members(group: int) -> list[int]:
    listed = subprocess.run(
        ["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split() for line in listed.splitlines())
    return [int(pid) for pid, pgid, state in rows if int(pgid) == group and not state.startswith("Z")]


def test_stopping_ends_the_leader_and_its_children(tmp_path: Path) -> None:
    process = make(tmp_path, FAMILY)
    group = process.pid
    assert len(members(group)) == 2
    process.stop()
    assert members(group) == []
    assert not process.running
    assert list((tmp_path / "state").iterdir()) == []


def test_a_leader_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    process = make(tmp_path, STUBBORN)
    group = process.pid
    process.stop(seconds=0.2)
    assert members(group) == []


def test_what_a_killed_run_left_is_ended_by_the_next(tmp_path: Path) -> None:
    process = make(tmp_path, FAMILY)
    group = process.pid
    assert end_leftovers(tmp_path / "state") == 1
    process._popen.wait()  # type: ignore[union-attr] - only we can reap our own child
    assert members(group) == []
    assert end_leftovers(tmp_path / "state") == 0


def test_children_whose_leader_was_killed_are_found_as_well(tmp_path: Path) -> None:
    process = make(tmp_path, FAMILY)
    group = process.pid
    os.kill(group, signal.SIGKILL)
    process._popen.wait()  # type: ignore[union-attr]
    assert len(members(group)) == 1
    assert end_leftovers(tmp_path / "state") == 1
    assert members(group) == []


def test_a_process_that_only_inherited_the_number_is_left_alone(tmp_path: Path) -> None:
    process = make(tmp_path, FAMILY)
    memory = tmp_path / "state" / "worker.json"
    remembered = json.loads(memory.read_text())
    memory.write_text(json.dumps({**remembered, "born": remembered["born"] + 10**9}))
    assert end_leftovers(tmp_path / "state") == 0
    assert process.running
    process.kill()


def test_a_program_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys,time; from pathlib import Path; from domus_stack.processes import Process;"
        f"root=Path({str(tmp_path)!r});"
        "p=Process('worker',['sleep','60'],state_dir=root/'state',log=root/'log');p.start();time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code])
    memory = tmp_path / "state" / "worker.json"
    wait_until(memory.exists, "the program to start", 20)
    pid = json.loads(memory.read_text())["pid"]
    starter.kill()
    starter.wait()
    wait_until(lambda: not members(pid), "the program to end", 10)
    assert start_time(pid) is None or not members(pid)


def test_a_program_that_was_not_started_has_no_number(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="was not started"):
        Process("x", ["true"], state_dir=tmp_path, log=tmp_path / "log").pid  # noqa: B018 - the property is the test
