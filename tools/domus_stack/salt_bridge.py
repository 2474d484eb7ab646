"""A process of its own for Salt's clients: they leave sockets open, print, and log as they like.

``python -m domus_stack.salt_bridge MASTER_CONFIG`` reads one JSON request a line and answers with one JSON line.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

import salt.client
import salt.config
import salt.exceptions
import salt.runner
import salt.utils.event


class Bridge:
    """The clients of one master; the one that calls minions is kept, as it is dear to make."""

    def __init__(self, config: str) -> None:
        self._config = config
        self._options = salt.config.client_config(config)
        self._client: salt.client.LocalClient | None = None

    def serve(self, requests: TextIO, answers: TextIO) -> None:
        """Answer until there are no more requests."""
        for line in requests:
            answer = self._answer(json.loads(line))
            answers.write(json.dumps(answer, default=str) + "\n")
            answers.flush()

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        kind = request.pop("kind")
        try:
            return {"answer": getattr(self, f"_{kind}")(**request)}
        except (salt.exceptions.SaltException, OSError) as error:
            # A master that was started anew has a new key, which only a new client reads.
            self._client = None
            return {"error": f"{type(error).__name__}: {error}"}

    def _call(
        self, minion_id: str, function: str, args: list[Any], kwargs: dict[str, Any], seconds: int
    ) -> Any:
        if self._client is None:
            self._client = salt.client.LocalClient(self._config)
        answers = self._client.cmd(
            [minion_id], function, args, tgt_type="list", timeout=seconds, kwarg=kwargs, full_return=True
        )
        answer = answers.get(minion_id)
        # Salt puts a sentence in the place of an answer that did not come.
        if not answer or answer.get("out") == "no_return":
            raise salt.exceptions.SaltClientError(f"{minion_id} did not answer within {seconds} s")
        # The same for a function that the minion does not have (yet), and for one that raised.
        if answer.get("retcode") and isinstance(answer["ret"], str):
            raise salt.exceptions.SaltClientError(answer["ret"])
        return answer["ret"]

    def _run(self, function: str, kwargs: dict[str, Any]) -> Any:
        with salt.runner.RunnerClient(dict(self._options)) as runner:
            return runner.cmd(function, kwarg=kwargs, print_event=False)

    def _fire(self, tag: str, data: dict[str, Any]) -> bool:
        with salt.utils.event.get_master_event(self._options, self._options["sock_dir"], listen=False) as bus:
            return bool(bus.fire_event(data, tag))


def main() -> None:
    """Serve on standard input and output; whatever else is printed goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    Bridge(sys.argv[1]).serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
