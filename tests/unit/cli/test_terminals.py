"""Texts of dom0s and customers in tables steer no terminal, whichever table it is."""

from __future__ import annotations

import pytest

from domus.cli import listings
from domus.core.tables import plain_table

EVIL = "a\x1b]0;title\x07\x1b[2Jb\u202ec\u200bd\r\ne\x9bf"


@pytest.mark.parametrize("value", [EVIL, [EVIL, EVIL], {EVIL: EVIL}])
def test_a_table_shows_what_can_be_seen_and_on_one_line(capsys, value):
    listings._print([{"problem": value}], ("problem",), as_json=False)
    for table in (plain_table([{"problem": value}], ("problem",)), capsys.readouterr().out):
        _, line = table.strip().split("\n")
        assert line.strip().isprintable()
        assert "[2Jbcd" in line
