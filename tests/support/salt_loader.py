"""Salt's real loader over the checkout, without daemons, for functional tests."""

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import salt._logging
import salt.config
import salt.loader
from saltfactories.utils.functional import Loaders

# Salt keeps early messages for a console that pytest has closed when they are written at last.
salt._logging.shutdown_temp_handler()

REPOSITORY = Path(__file__).resolve().parents[2]
MINION_ID = "dom0-a"


def minion_opts(root: Path, **domus_options: Any) -> dict[str, Any]:
    """Return the options of a masterless minion that keeps everything below one directory.

    ``domus_options`` go below ``domus:`` in the minion configuration. Modules come from
    ``salt/states`` by sync, as on a real dom0.
    """
    for name in ("cache", "extmods", "pki", "sock", "conf", "state", "pillar"):
        (root / name).mkdir(parents=True, exist_ok=True)
    opts: dict[str, Any] = salt.config.minion_config(None)
    opts.update(
        id=MINION_ID,
        root_dir=str(root),
        conf_file=str(root / "conf" / "minion"),
        config_dir=str(root / "conf"),
        cachedir=str(root / "cache"),
        # Loaders empties the cache directory, so what was synced has to live beside it.
        extension_modules=str(root / "extmods"),
        pki_dir=str(root / "pki"),
        sock_dir=str(root / "sock"),
        log_file=str(root / "minion.log"),
        file_client="local",
        file_roots={"base": [str(REPOSITORY / "salt" / "states")]},
        pillar_roots={"base": [str(root / "pillar")]},
        grains_cache=False,
        domus={"state_dir": str(root / "state"), **domus_options},
    )
    return opts


class SaltDom0:
    """A dom0 made of Salt's loader: set its pillar, then call modules and states.

    Loading takes seconds, so that one object serves many tests: `begin` empties the state directory and
    takes away the pillar of the one before. The options stay, as each loaded module has its own copy.
    """

    def __init__(self, root: Path, **domus_options: Any) -> None:
        self.state_dir = root / "state"
        self._pillar_file = root / "pillar" / "domus.sls"
        opts = minion_opts(root, **domus_options)
        (root / "pillar" / "top.sls").write_text("#!json\n" + json.dumps({"base": {"*": ["domus"]}}))
        self._write_pillar({})
        self.loaders = Loaders(opts)
        self._states: Any = None
        self._context: dict[str, Any] = {}

    @property
    def modules(self) -> Any:
        """Execution modules, as in ``modules.domu.info(uuid)``."""
        return self.loaders.modules

    @property
    def states(self) -> Any:
        """State functions, as in ``states.domu.running(name, test=True)``."""
        return self.loaders.states

    def state(self, function: str, *, test: bool = False, **arguments: Any) -> dict[str, Any]:
        """Call a state function as such, in a hundredth of the time of a whole state run."""
        if self._states is None:
            self._states = salt.loader.states(
                dict(self.modules.opts), self.modules, self.loaders.utils, None, context=self._context
            )
        # Salt's loader hands this to the module at each call.
        self._states.opts["test"] = test
        self._states.pack["__pillar__"] = self.loaders.opts["pillar"]
        returned: dict[str, Any] = self._states[function](**arguments)
        assert set(returned) == {"name", "result", "changes", "comment"}
        return returned

    def begin(self) -> None:
        """Start anew with an empty state directory and without a pillar."""
        if self.state_dir.exists():
            shutil.rmtree(self.state_dir)
        self.loaders.context.clear()
        self._context.clear()
        self.set_pillar({})

    def set_pillar(self, domus: dict[str, Any]) -> None:
        """Replace the pillar key ``domus``; an empty map stands for a minion that is no dom0."""
        self._write_pillar({"domus": domus} if domus else {})
        # As Salt would compile it from the file, which it does for each whole state run.
        pillar = {"domus": copy.deepcopy(domus)} if domus else {}
        self.loaders.opts["pillar"] = pillar
        # The loaded modules hold the options that they were made with, and their pillar therein; those
        # that modules and beacons call by __salt__ are a loader of their own. A minion does the same.
        self.modules.opts["pillar"] = pillar
        for loader in (self.modules, self.modules._dunder_salt):
            loader.pack["__pillar__"] = pillar

    def _write_pillar(self, pillar: dict[str, Any]) -> None:
        self._pillar_file.write_text("#!json\n" + json.dumps(pillar))
