"""Shops of different years are played over a leap day and both sides of a change of the clock: the judge finds nothing."""

from __future__ import annotations

from datetime import date

import pytest

from domus.simulation.plan import Plan
from domus.simulation.year import simulate


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nobody_is_charged_twice_cut_off_after_paying_or_served_for_free(seed: int) -> None:
    report = simulate(Plan(accounts=12, days=66, seed=seed, start=date(2028, 1, 25)))
    assert report.sentences == ()
    assert report.numbers["ledger_balanced"] is True
    assert report.numbers["contracts"] > 6
    assert report.numbers["invoices_paid"] > report.numbers["contracts"]
