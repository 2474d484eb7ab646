"""Run a function in namespaces of its own, so that its end leaves nothing behind.

Whatever it mounts vanishes with it, and whatever it starts dies with it, even at `kill -9`: the
kernel cleans up, not our code. So a try that was interrupted can simply be begun again.
"""

import ctypes
import os
import select
import signal
from collections.abc import Callable

from domus_errors import ToolFailed

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000
MS_REC = 0x4000
MS_SLAVE = 1 << 19
PR_SET_PDEATHSIG = 1


def run_isolated(function: Callable[[], int]) -> int:
    """Run a function as the first process of new namespaces and return its exit code.

    Must be called in a process of its own that has one thread, as the namespaces stay with it.
    """
    alive_read, alive_write = os.pipe()
    _check(_libc().unshare(CLONE_NEWNS | CLONE_NEWPID), "making namespaces")
    # What dom0 mounts or unmounts is still seen in here; what is mounted here is not seen in dom0.
    _check(_libc().mount(b"none", b"/", None, MS_REC | MS_SLAVE, None), "detaching the mounts")
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            os.close(alive_write)
            _die_with_parent(alive_read)
            code = function()
        finally:
            os._exit(code)
    os.close(alive_read)
    _, status = os.waitpid(pid, 0)
    os.close(alive_write)
    return os.waitstatus_to_exitcode(status)


def _die_with_parent(alive: int) -> None:
    _check(_libc().prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "tying to the parent")
    # The parent may have died before the line above; then its end of the pipe is closed.
    if select.select([alive], [], [], 0)[0]:
        os._exit(71)
    os.close(alive)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        reason = os.strerror(ctypes.get_errno())
        raise ToolFailed(f"{what} for an installation failed: {reason}; it needs to run as root")
