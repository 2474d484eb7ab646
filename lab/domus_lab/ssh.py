"""Runs commands in dom0 and moves files, through the ssh program and one shared connection."""

import io
import shlex
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domus_lab.errors import LabError
from domus_lab.programs import last_lines, run

HOST_ALIAS = "domus-lab"
SSH_FAILED = 255


@dataclass(frozen=True)
class Result:
    """What a command in dom0 said."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class SshConnection:
    """The way into one dom0. `directory` is short: the control socket's path has a limit."""

    directory: Path
    port: int
    private_key: Path
    host_key: str

    def prepare(self) -> None:
        """Write the known-hosts file: the dom0's key is known before it boots."""
        known = self.directory / "known_hosts"
        known.write_text(f"{HOST_ALIAS} {' '.join(self.host_key.split()[:2])}\n")

    def argv(self, remote: Sequence[str] = (), *, connect_timeout_seconds: int = 30) -> list[str]:
        """Return the ssh command for a command in dom0; without one it is a login."""
        options = {
            "ControlMaster": "auto",
            "ControlPath": str(self.directory / "ssh"),
            "ControlPersist": "yes",
            "ConnectTimeout": str(connect_timeout_seconds),
            "UserKnownHostsFile": str(self.directory / "known_hosts"),
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": HOST_ALIAS,
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "LogLevel": "ERROR",
        }
        if remote:
            options["BatchMode"] = "yes"
        command = ["ssh", "-F", "none", "-i", str(self.private_key), "-p", str(self.port)]
        for name, value in options.items():
            command += ["-o", f'{name}="{value}"' if " " in value else f"{name}={value}"]
        # ssh hands the remote shell one string: each word is quoted for it.
        return [*command, "root@127.0.0.1", *([shlex.join(remote)] if remote else [])]

    def run(
        self,
        remote: Sequence[str],
        *,
        stdin: bytes | None = None,
        timeout_seconds: float = 180,
        check: bool = True,
        connect_timeout_seconds: int = 30,
    ) -> Result:
        """Run a command as root in dom0; a failure raises with its output unless `check` is off."""
        done = run(
            self.argv(remote, connect_timeout_seconds=connect_timeout_seconds),
            stdin=stdin,
            timeout_seconds=timeout_seconds,
            check=False,
        )
        if done.returncode == SSH_FAILED or (check and done.returncode != 0):
            command = shlex.join(remote)[:300]
            said = last_lines(done.stdout + b"\n" + done.stderr)
            raise LabError(f"in dom0: {command} failed with code {done.returncode}: {said}")
        return Result(tuple(remote), done.returncode, _text(done.stdout), _text(done.stderr))

    def close(self) -> None:
        """End the shared connection, if there is one."""
        argv = self.argv()
        subprocess.run([*argv[:-1], "-O", "exit", argv[-1]], capture_output=True, timeout=30, check=False)

    def put(self, content: bytes, path: str, *, mode: int = 0o644) -> None:
        """Write a file in dom0, with the folders above it."""
        self.run(["install", "-D", f"--mode={mode:o}", "/dev/stdin", path], stdin=content)

    def get(self, path: str) -> bytes:
        """Return the content of a file in dom0."""
        return run(self.argv(["cat", path]), timeout_seconds=180).stdout

    def put_tree(self, source: Path, target: str, *, without: Sequence[str] = ()) -> None:
        """Replace a folder in dom0 by a copy of a local one; links become what they point to."""
        packed = packed_tree(source, without=without)
        self.run(["rm", "-rf", "--", target])
        self.run(["mkdir", "-p", target])
        self.run(["tar", "-x", "-C", target], stdin=packed.read())


def packed_tree(source: Path, *, without: Sequence[str] = ()) -> io.BytesIO:
    """Return a folder as a tar archive of files that belong to root; leave the named ones out."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", dereference=True) as archive:
        archive.add(source, arcname=".", filter=lambda entry: _owned_by_root(entry, without))
    packed.seek(0)
    return packed


def _owned_by_root(entry: tarfile.TarInfo, without: Sequence[str]) -> tarfile.TarInfo | None:
    if Path(entry.name).name in without:
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    entry.mode = 0o755 if entry.isdir() else 0o644
    return entry


def _text(output: bytes) -> str:
    return output.decode(errors="replace")
