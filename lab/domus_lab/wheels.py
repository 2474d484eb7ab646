"""Wheels of Salt and all it needs, built once on the host for the Python of Debian 12."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from domus_lab.programs import run

SALT_REQUIREMENT = "salt>=3008.3,<3009"


def salt_wheels(lab_dir: Path, say: Callable[[str], None]) -> Path:
    """Return a folder of wheels of Salt and all it needs; built once and kept.

    They are built with Python 3.11, which is what Debian 12 has in dom0.
    """
    key = hashlib.sha256(SALT_REQUIREMENT.encode()).hexdigest()[:12]
    wheels = lab_dir / f"wheels-{key}"
    if not wheels.exists():
        say(f"lab: building wheels of {SALT_REQUIREMENT}")
        with tempfile.TemporaryDirectory(prefix="wheels-", dir=lab_dir) as scratch:
            made = Path(scratch) / "wheels"
            venv = Path(scratch) / "venv"
            run(["python3.11", "-m", "venv", str(venv)], timeout_seconds=300)
            run(
                [str(venv / "bin/pip"), "wheel", "--wheel-dir", str(made), SALT_REQUIREMENT],
                timeout_seconds=1200,
            )
            made.rename(wheels)
    return wheels
