"""Free TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

from domus_stack.errors import StackError

LOOPBACK = "127.0.0.1"
# Below the range from which the kernel takes the ports of outgoing connections, so that none of those
# slips in between our look and the server's bind.
FIRST, LAST = 20000, 32000


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(*, besides: Collection[int] = ()) -> int:
    """Return a port that nothing listens on and that is not among *besides*."""
    for _ in range(200):
        port = random.randint(FIRST, LAST)  # noqa: S311 - not a secret
        if port not in besides and is_free(port):
            return port
    raise StackError(f"found no free port on {LOOPBACK} between {FIRST} and {LAST}")
