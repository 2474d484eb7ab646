"""The dom0's side and the house stay apart."""

from pathlib import Path

import pytest

from tools.checks.two_worlds import problems


def test_the_repository_keeps_the_rule() -> None:
    assert list(problems()) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("import domus.core.money", ["salt/_utils/domus_x.py:1: domus.core.money does not exist on a dom0"]),
        ("from domus import core", ["salt/_utils/domus_x.py:1: domus does not exist on a dom0"]),
        ("def f():\n    import domus_web", ["salt/_utils/domus_x.py:2: domus_web does not exist on a dom0"]),
        ("import domus_run, os", []),
        ('"""import domus"""', []),
    ],
)
def test_an_import_of_the_house_is_found(tmp_path: Path, line: str, found: list[str]) -> None:
    folder = tmp_path / "salt" / "_utils"
    folder.mkdir(parents=True)
    (folder / "domus_x.py").write_text(line)
    assert list(problems(tmp_path)) == found


def test_a_package_below_salt_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "salt" / "_modules"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    assert list(problems(tmp_path)) == [
        "salt/_modules/__init__.py:1: a package below salt/ hides Salt itself"
    ]
