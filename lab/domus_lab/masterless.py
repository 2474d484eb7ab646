"""Domus's Salt side in the lab's dom0 without a master: modules of this checkout, a pillar from a file."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from domus_lab.errors import LabError
from domus_lab.machine import LabMachine
from domus_lab.rootfs import CHECKOUT

STATES = "/srv/salt"
PILLAR = "/srv/pillar"
CONFIG = "/srv/salt-local"
MINION_ID = "dom0-lab"


class Masterless:
    """Calls Salt functions in one dom0 as `salt-call --local` does."""

    def __init__(self, machine: LabMachine, options: Mapping[str, Any] | None = None) -> None:
        self._machine = machine
        self._options = dict(options or {})

    def install(self) -> None:
        """Copy the states and modules of this checkout into dom0 and let Salt find them."""
        self._machine.put_tree(CHECKOUT / "salt" / "states", STATES, without=["__pycache__"])
        config = {
            "id": MINION_ID,
            "file_client": "local",
            "file_roots": {"base": [STATES]},
            "pillar_roots": {"base": [PILLAR]},
            "domus": self._options,
        }
        self._machine.put(yaml.safe_dump(config).encode(), f"{CONFIG}/minion")
        self._machine.put(yaml.safe_dump({"base": {"*": ["domus"]}}).encode(), f"{PILLAR}/top.sls")
        self.set_pillar({})
        self.call("saltutil.sync_all")

    def set_pillar(self, domus: Mapping[str, Any]) -> None:
        """Say what is wanted on this dom0, as `docs/contracts.md` describes it."""
        # JSON is YAML, and behind this line nothing in it is taken for a template.
        content = "#!yaml\n" + json.dumps({"domus": domus} if domus else {}) + "\n"
        self._machine.put(content.encode(), f"{PILLAR}/domus.sls", mode=0o600)

    def call(self, function: str, *arguments: str, timeout_seconds: float = 600, **named: object) -> Any:
        """Call a function and return what it returned; raise with Salt's own words when it failed."""
        argv = ["salt-call", "--local", "--config-dir", CONFIG, "--out=json", "--retcode-passthrough"]
        words = [*arguments, *(f"{name}={json.dumps(value)}" for name, value in named.items())]
        done = self._machine.run([*argv, function, *words], timeout_seconds=timeout_seconds, check=False)
        try:
            returned = json.loads(done.stdout)["local"]
        except (ValueError, KeyError, TypeError):
            raise LabError(f"{function} in dom0 said: {done.stdout[-4000:]}{done.stderr[-4000:]}") from None
        if done.returncode != 0 and not isinstance(returned, dict):
            raise LabError(f"{function} in dom0 failed: {returned}")
        return returned
