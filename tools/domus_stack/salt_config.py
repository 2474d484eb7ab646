"""The Salt configuration of a stack: one master, any number of minions, all below one directory."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import yaml

from domus_stack.files import write_file
from domus_stack.ports import LOOPBACK

MASTER_ID = "domus-master"
REACTIONS = {
    "domus/order/paid": "order_paid.sls",
    "domus/vps/changed": "vps_changed.sls",
    "domus/renewal/paid": "renewal_paid.sls",
    "domus/subscription/suspended": "subscription_suspended.sls",
    "domus/subscription/released": "subscription_released.sls",
    "domus/subscription/ended": "subscription_ended.sls",
    "domus/subscription/changed": "subscription_changed.sls",
    "domus/dom0/due": "dom0_due.sls",
    "domus/console/wanted": "console_wanted.sls",
    "salt/minion/*/start": "minion_start.sls",
}
# What a guest does by itself is seen after at most this many seconds.
BEACON_INTERVAL_SECONDS = 1


def master_options(
    checkout: Path,
    root: Path,
    sockets: Path,
    *,
    publish_port: int,
    return_port: int,
    database_url_file: Path,
    domus_doors: bool = True,
    engine_options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the master's configuration. Without the doors it is a bare master, to compare with."""
    salt = checkout / "salt"
    options: dict[str, Any] = {
        "id": MASTER_ID,
        "user": _user_name(),
        "interface": LOOPBACK,
        "publish_port": publish_port,
        "ret_port": return_port,
        "ipc_mode": "ipc",
        **_places(root, "master", sockets),
        "key_logfile": str(root / "log" / "key"),
        "worker_threads": 3,
        "timeout": 5,
        # Whoever waits for an answer that does not come need not wait ten seconds more for the reason.
        "gather_job_timeout": 2,
        "auto_accept": False,
        "open_mode": False,
        # Only salt/states: a root above it would serve the pillar's code to every minion.
        "file_roots": {"base": [str(salt / "states")]},
        "pillar_roots": {"base": []},
        # The master's copy of every minion's pillar would put password hashes on its disk.
        "minion_data_cache": False,
        "enable_fqdns_grains": False,
        "log_level": "error",
        "log_level_logfile": "info",
    }
    if domus_doors:
        options |= {
            "pillar_dirs": [str(salt / "pillar")],
            "runner_dirs": [str(salt / "runners")],
            "engines_dirs": [str(salt / "engines")],
            "ext_pillar": [{"domus": {}}],
            "engines": [{"domus_engine": engine_options or {}}],
            "reactor": [{tag: [str(checkout / "reactor" / file)]} for tag, file in REACTIONS.items()],
            "domus": {"database_url_file": str(database_url_file)},
        }
    return options


def minion_options(
    minion_id: str,
    *,
    publish_port: int,
    return_port: int,
    master: str = LOOPBACK,
    simulated: dict[str, Any] | None = None,
    state_dir: str | None = None,
) -> dict[str, Any]:
    """Return what any dom0's minion is told, wherever it runs; paths are left at Salt's defaults."""
    domus: dict[str, Any] = {}
    if state_dir is not None:
        domus["state_dir"] = state_dir
    if simulated is not None:
        domus["simulated"] = simulated
    interval = [{"interval": BEACON_INTERVAL_SECONDS}]
    return {
        "id": minion_id,
        "master": master,
        "master_port": return_port,
        "publish_port": publish_port,
        # One process instead of one for each job: 20 MiB less. Long work runs detached from the minion.
        "multiprocessing": False,
        "loop_interval": 1,
        "enable_fqdns_grains": False,
        "beacons": {"domus_jobs": interval, "domus_power": interval},
        # A restarted master is found again within seconds.
        "auth_timeout": 5,
        "acceptance_wait_time": 2,
        "recon_default": 200,
        "recon_max": 2000,
        "log_level": "warning",
        # At "info" a state run writes three lines for each state, which is a twentieth of its time.
        "log_level_logfile": "warning",
        "domus": domus,
    }


def local_minion_options(minion_id: str, folder: Path, sockets: Path, **options: Any) -> dict[str, Any]:
    """Return the configuration of a minion that runs on this machine as the present user."""
    return {
        **minion_options(minion_id, state_dir=str(folder / "state"), **options),
        "user": _user_name(),
        "ipc_mode": "ipc",
        **_places(folder, minion_id, sockets),
    }


def write_options(path: Path, options: dict[str, Any]) -> None:
    """Write a configuration file of Salt."""
    write_file(path, yaml.safe_dump(options, sort_keys=False))


def _places(folder: Path, name: str, sockets: Path) -> dict[str, Any]:
    """Return the options that keep everything below one folder (``root_dir`` would move the sockets too)."""
    return {
        "pki_dir": str(folder / "pki"),
        "cachedir": str(folder / "cache"),
        "extension_modules": str(folder / "cache" / "extmods"),
        "sqlite_queue_dir": str(folder / "cache" / "queues"),
        "sock_dir": str(sockets / name),
        "log_file": str(folder / "log" / "salt"),
        "pidfile": str(folder / "pid"),
    }


def _user_name() -> str:
    return pwd.getpwuid(os.getuid()).pw_name
