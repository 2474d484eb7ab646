"""Make the dom0 side's own modules importable, as Salt's loader does on a dom0."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
for folder in (REPOSITORY / "salt" / "_utils", REPOSITORY):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
