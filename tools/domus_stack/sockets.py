"""A directory for Unix sockets whose path is short enough for the kernel."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from domus_stack.errors import StackError
from domus_stack.files import make_private_directory

# sun_path holds 108 bytes, and Salt's longest name in it is "minion_event_<10 digits>_pull.ipc".
LONGEST_DIRECTORY = 107 - 1 - 34 - len("/dom0-0000-0000")


def socket_directory(root: Path) -> Path:
    """Return a directory of ours for sockets: ``root/run``, or a short one where that path is too long."""
    own = root / "run"
    if len(os.fsencode(own)) <= LONGEST_DIRECTORY:
        make_private_directory(own)
        return own
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    short = _short_base() / f"domus-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    _require_private(short)
    make_private_directory(root)
    if not own.is_symlink():
        own.symlink_to(short)
    return short


def _short_base() -> Path:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # The directory below it is ours, with mode 0700, or refused.
    return Path(runtime) if runtime and os.access(runtime, os.W_OK) and len(runtime) < 32 else Path("/tmp")  # noqa: S108


def _require_private(path: Path) -> None:
    """Refuse a directory that another user put there before us."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
        raise StackError(f"{path} is not a directory of yours with mode 0700; remove it and start again")
