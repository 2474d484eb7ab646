"""Plain tables."""

from domus.core.tables import plain_table


def test_columns_stand_below_their_names() -> None:
    rows = [{"name": "vps-1", "dom0": "dom0-a"}, {"name": "vps-100", "dom0": "b"}]
    assert plain_table(rows, ("name", "dom0")).splitlines() == [
        "name     dom0",
        "vps-1    dom0-a",
        "vps-100  b",
    ]


def test_every_value_stays_on_its_line() -> None:
    row = {"a": "two\nlines", "b": None, "c": ["x", "y"], "d": {"Mini": 3, "Big": 0}, "e": 0}
    assert plain_table([row], tuple("abcde")).splitlines()[1].split("  ")[0] == "two lines"
    assert plain_table([row], tuple("bcde")).splitlines()[1].split() == [
        "-",
        "x",
        "y",
        "Mini:",
        "3,",
        "Big:",
        "0",
        "0",
    ]


def test_nothing_is_said_in_words() -> None:
    assert plain_table([], ("a",)) == "There are none."
