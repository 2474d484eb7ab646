"""Console tails: a guest may write what it likes."""

from pathlib import Path

import pytest
from domus_guest_console import LINE_CHARACTERS, clean_line, tail


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("10%\r20%\r30%", "30%"),
        ("line\r", "line"),
        ("a\tb", "a    b"),
        ("bell\x07\x08\x00", "bell"),
        ("\x9b31mcsi", "31mcsi"),
        ("\u202eevil", "evil"),
        ("\x1b", ""),
        ("grüße", "grüße"),
    ],
)
def test_line_becomes_plain_text(raw: str, clean: str) -> None:
    assert clean_line(raw) == clean


def test_long_line_is_cut() -> None:
    assert len(clean_line("x" * 100_000)) == LINE_CHARACTERS


def test_last_lines_come_back(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_text("\n".join(f"line {n}" for n in range(100)) + "\n")
    assert tail(log, 2) == ["line 98", "line 99"]
    assert tail(log, 0) == []
    assert len(tail(log, 10**9)) == 100


def test_only_the_end_of_a_huge_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    with log.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, 2)
        file.write(b"\nlast\n")
    assert tail(log, 1) == ["last"]


def test_bytes_that_are_no_text_are_survived(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"\xff\xfe ok\n")
    assert tail(log, 5)[0].endswith(" ok")


def test_missing_log_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log", 5) == []
