"""Write into the root of a guest as into what it is: a tree of files made by somebody else.

A template may hold a symbolic link where we expect a folder, and following it would write to dom0.
So every path is walked folder by folder from one open folder, and no link is ever followed.
"""

import fnmatch
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType

from domus_errors import Refused

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_NAME = ".domus-new"


class GuestRoot:
    """The root folder of a guest; paths are absolute as the guest sees them."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._fd = -1

    def __enter__(self) -> "GuestRoot":
        self._fd = os.open(self.path, FOLDER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    def write(self, path: str, content: str | bytes, mode: int = 0o644) -> None:
        """Write a file; folders that are missing are made, a file or link of that name goes."""
        with self._folder(path, create=True) as (folder, name):
            self._replace(folder, name, content, mode, owner=None)

    def edit(self, path: str, content: str | bytes) -> None:
        """Replace the content of a file that is there, and keep its mode and owner."""
        with self._folder(path) as (folder, name):
            before = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(before.st_mode):
                raise Refused(f"{path} in the guest is no regular file")
            owner = (before.st_uid, before.st_gid)
            self._replace(folder, name, content, stat.S_IMODE(before.st_mode), owner)

    def read(self, path: str) -> bytes | None:
        """Return the content of a regular file, or None where there is none."""
        try:
            with self._folder(path) as (folder, name):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
                    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                        raise Refused(f"{path} in the guest is no regular file")
                    return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Refused(f"{path} in the guest cannot be read: {error.strerror}") from None

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link; the target is what the guest will see, and is not looked at."""
        with self._folder(path, create=True) as (folder, name):
            _unlink(NEW_NAME, folder)
            os.symlink(target, NEW_NAME, dir_fd=folder)
            os.rename(NEW_NAME, name, src_dir_fd=folder, dst_dir_fd=folder)

    def folder(self, path: str, mode: int) -> None:
        """Make a folder with exactly this mode, or give an existing one this mode."""
        with self._folder(f"{path}/.", create=True) as (folder, _):
            os.fchmod(folder, mode)

    def remove(self, path: str) -> None:
        """Remove the files that match; the last part of the path may be a pattern."""
        try:
            with self._folder(path) as (folder, pattern):
                for name in os.listdir(folder):  # noqa: PTH208 - an open folder has no path
                    if fnmatch.fnmatchcase(name, pattern) and not _is_folder(name, folder):
                        os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return

    def remove_files_below(self, path: str) -> None:
        """Remove all files and links below a folder; the folders stay, packages own them."""
        try:
            with self._folder(f"{path}/.") as (folder, _):
                _remove_files(folder)
        except FileNotFoundError:
            return

    def _replace(
        self, folder: int, name: str, content: str | bytes, mode: int, owner: tuple[int, int] | None
    ) -> None:
        data = content.encode() if isinstance(content, str) else content
        _unlink(NEW_NAME, folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(NEW_NAME, flags, 0o600, dir_fd=folder), "wb") as file:
            if owner is not None and owner != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(data)
        os.rename(NEW_NAME, name, src_dir_fd=folder, dst_dir_fd=folder)

    @contextmanager
    def _folder(self, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Offer the open folder of a path, and the path's last part."""
        parts = PurePosixPath(path).parts
        last = "." if path.endswith("/.") else parts[-1]
        folders = parts[1:] if last == "." else parts[1:-1]
        if parts[0] != "/" or ".." in parts or last == "/":
            raise Refused(f"{path!r} is no path inside a guest")
        fd = os.dup(self._fd)
        try:
            for part in folders:
                if create:
                    _make_folder(part, fd)
                inner = self._enter(part, fd, path)
                os.close(fd)
                fd = inner
            yield fd, last
        finally:
            os.close(fd)

    def _enter(self, part: str, fd: int, path: str) -> int:
        try:
            return os.open(part, FOLDER, dir_fd=fd)
        except NotADirectoryError:
            raise Refused(f"{part!r} on the way to {path} in the guest is no folder") from None


def _make_folder(name: str, fd: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=fd)
    except FileExistsError:
        return


def _is_folder(name: str, fd: int) -> bool:
    return stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)


def _unlink(name: str, fd: int) -> None:
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        return


def _remove_files(fd: int) -> None:
    for name in os.listdir(fd):
        if not _is_folder(name, fd):
            os.unlink(name, dir_fd=fd)
            continue
        inner = os.open(name, FOLDER, dir_fd=fd)
        try:
            _remove_files(inner)
        finally:
            os.close(inner)
