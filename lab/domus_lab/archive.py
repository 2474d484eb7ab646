"""Serves a package archive on the loopback address, where the lab's machines see it, and notes what they ask for."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from domus_lab.minion import HOST_AS_SEEN_FROM_DOM0


class ArchiveServer:
    """A folder of packages behind a port; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.asked_for: list[str] = []
        """The path of each request, in order."""
        handler = partial(_Handler, directory=str(folder), asked_for=self.asked_for)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="lab-archive", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Be unreachable from now on; safe to call twice."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its address as a machine of the lab writes it into its sources."""
        return f"http://{HOST_AS_SEEN_FROM_DOM0}:{self.port}"

    @property
    def port(self) -> int:
        """The port on this machine."""
        port: int = self._server.server_address[1]
        return port

    def packages_fetched(self) -> list[str]:
        """Return the file names of the packages that were asked for."""
        return [path.rpartition("/")[2] for path in self.asked_for if path.endswith(".deb")]


class _Handler(SimpleHTTPRequestHandler):
    # One connection serves many packages.
    protocol_version = "HTTP/1.1"

    def __init__(self, *words: Any, asked_for: list[str], **named: Any) -> None:
        self._asked_for = asked_for
        super().__init__(*words, **named)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self._asked_for.append(self.path)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: what is asked for and not there, apt tells."""
