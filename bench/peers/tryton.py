"""Tryton's subscriptions, in a virtual environment of the benchmark's own: consumptions and draft invoices of contracts.

It does less than Domus: its invoices are neither numbered, posted nor paid, nobody is written to, and its database is in
memory.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.harness import LeftOut

#: Where its packages are kept from one run to the next; git ignores it.
FOLDER = Path(__file__).parents[2] / ".domus" / "bench-tryton"
PACKAGES = ("trytond==7.0.*", "trytond_sale_subscription==7.0.*", "proteus==7.0.*")
PROGRAM = Path(__file__).with_name("tryton_renewals.py")


def renewals_per_second(contracts: int) -> float:
    """Return how many contracts a second it renews; raise LeftOut when it cannot be installed."""
    done = subprocess.run(
        [str(_python()), str(PROGRAM), str(contracts)], capture_output=True, text=True, timeout=1800, check=False
    )  # fmt: skip
    if done.returncode != 0:
        raise LeftOut(f"Tryton does not run: {done.stderr.strip().splitlines()[-1:]}")
    return float(done.stdout.splitlines()[-1])


def _python() -> Path:
    python = FOLDER / "bin" / "python"
    # The mark is written last: what was broken off is made anew.
    mark = FOLDER / "installed"
    if not mark.exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True, timeout=300)
            subprocess.run(
                [str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True, timeout=900
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LeftOut(
                f"Tryton cannot be installed by pip ({', '.join(PACKAGES)}): {type(error).__name__}"
            ) from error
        mark.touch()
    return python
