"""One world at a time uses a lab."""

import fcntl
from pathlib import Path

import pytest

from domus_lab import LabError, LabImage
from domus_lab.world import LabWorld


def test_a_second_world_leaves_the_first_ones_stack_alone(tmp_path: Path) -> None:
    kept = tmp_path / "stack" / "database.sqlite"
    kept.parent.mkdir()
    kept.touch()
    with (tmp_path / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with (
            pytest.raises(LabError, match="already"),
            LabWorld(lab_dir=tmp_path, image=LabImage(tmp_path)),
        ):
            pass
    assert kept.exists()
