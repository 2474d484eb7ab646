"""The operators' runner is one to Salt's loader, although it stands in several files."""

from pathlib import Path
from typing import Any

import pytest
import salt.config
import salt.loader

from tests.support.salt_loader import REPOSITORY

LISTS = ("orders", "vps", "jobs", "dom0s", "capacity")
DEEDS = (
    "retry",
    "mark_paid",
    "cancel",
    "refund",
    "power",
    "suspend",
    "release",
    "forget",
    "set_dom0_state",
    "run",
    "renewals_run",
    "renewal_paid",
    "commissions_run",
    "hold",
    "end_hold",
)
FILES = ("domus_lists.", "domus_orders.", "domus_machines.", "domus_renewals.")


@pytest.fixture
def runners(tmp_path: Path) -> Any:
    """Offer the runners as a master loads them that has called none yet."""
    opts = salt.config.master_config(None)
    opts.update(
        runner_dirs=[str(REPOSITORY / "salt" / "runners")],
        root_dir=str(tmp_path),
        cachedir=str(tmp_path / "cache"),
        extension_modules=str(tmp_path / "extmods"),
    )
    return salt.loader.runner(opts)


@pytest.mark.parametrize("name", [*LISTS, *DEEDS])
def test_every_command_is_found_whichever_is_asked_for_first(runners: Any, name: str) -> None:
    assert callable(runners[f"domus.{name}"])


def test_nothing_else_is_offered_under_its_name(runners: Any) -> None:
    offered = {name.removeprefix("domus.") for name in runners if name.startswith("domus.")}
    assert offered == {*LISTS, *DEEDS}
    assert not [name for name in runners if name.startswith(FILES)]


def test_every_command_has_its_help(runners: Any) -> None:
    for name in (*LISTS, *DEEDS):
        assert f"salt-run domus.{name}" in runners[f"domus.{name}"].__doc__
