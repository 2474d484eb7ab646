"""Bootstrapping: where packages come from, the cache, and what mmdebstrap's words tell."""

import os
from itertools import pairwise
from pathlib import Path

import pytest
from domus_apt_sources import acquire_settings, guest_sources
from domus_bootstrap import BootstrapProgress, PackageCache
from domus_spec import TemplateSpec

from tests.support.fake_runner import FakeRunner
from tests.support.installs import template_entry

RECORDED = Path(__file__).parents[3] / "data" / "install" / "mmdebstrap-1.3.5-verbose.txt"
TEMPLATE = TemplateSpec.parse(template_entry())
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def test_progress_never_falls_and_ends_at_one() -> None:
    progress = BootstrapProgress()
    seen = [progress.feed(line) for line in RECORDED.read_text().splitlines()]
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_progress_moves_all_the_time() -> None:
    progress = BootstrapProgress()
    seen = [0.0] + [progress.feed(line) for line in RECORDED.read_text().splitlines()]
    assert max(after - before for before, after in pairwise(seen)) < 0.2
    assert len({round(part, 2) for part in seen}) > 50


@pytest.fixture
def apt_dir(tmp_path: Path) -> Path:
    """Offer dom0's apt directory."""
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_only_debians_own_archives_of_the_release_reach_a_guest(apt_dir: Path) -> None:
    (apt_dir / "sources.list").write_text(
        "# a comment\n"
        "deb http://mirror.example.org/debian bookworm main contrib # more\n"
        f"deb [signed-by={KEYRING} arch=amd64] http://mirror.example.org/sec bookworm-security main\n"
        "deb-src http://mirror.example.org/debian bookworm main\n"
        "deb http://mirror.example.org/debian trixie main\n"
        "deb [signed-by=/etc/apt/keyrings/other.gpg] http://other.example.org bookworm main\n"
        "deb http://alice:secret@mirror.example.org/debian bookworm main\n"
        "deb file:/srv/packages bookworm main\n"
        "deb http://tools.example.org bookworm tools\n"
    )
    assert guest_sources(TEMPLATE, apt_dir) == [
        "deb http://mirror.example.org/debian bookworm main contrib",
        f"deb [signed-by={KEYRING}] http://mirror.example.org/sec bookworm-security main",
    ]


def test_sources_in_stanzas_are_read_too(apt_dir: Path) -> None:
    (apt_dir / "sources.list.d" / "debian.sources").write_text(
        "Types: deb deb-src\n# a comment\nURIs: http://mirror.example.org/debian\n"
        "Suites: bookworm\n bookworm-updates\nComponents: main\n"
        f"Signed-By: {KEYRING}\n\n"
        "Types: deb\nURIs: http://off.example.org\nSuites: bookworm\nComponents: main\nEnabled: no\n"
    )
    assert guest_sources(TEMPLATE, apt_dir) == [
        f"deb [signed-by={KEYRING}] http://mirror.example.org/debian bookworm main",
        f"deb [signed-by={KEYRING}] http://mirror.example.org/debian bookworm-updates main",
    ]


def test_a_dom0_without_the_release_names_no_sources(apt_dir: Path) -> None:
    (apt_dir / "sources.list").write_text("deb http://mirror.example.org/debian trixie main\n")
    assert guest_sources(TEMPLATE, apt_dir) == []


def test_a_templates_mirror_goes_before_dom0s_and_security_stays(apt_dir: Path) -> None:
    (apt_dir / "sources.list").write_text(
        "deb http://mirror.example.org/debian bookworm main\n"
        "deb http://mirror.example.org/sec bookworm-security main\n"
    )
    own = TemplateSpec.parse(template_entry() | {"mirror": "http://near.example.org/debian"})
    assert guest_sources(own, apt_dir) == [
        "deb http://near.example.org/debian bookworm main",
        "deb http://near.example.org/debian bookworm-updates main",
        "deb http://mirror.example.org/sec bookworm-security main",
    ]


def test_the_way_to_the_mirror_is_taken_over_and_nothing_else() -> None:
    runner = FakeRunner(
        answers={
            ("apt-config", "dump"): 'Acquire "";\nAcquire::http "";\n'
            'Acquire::http::Proxy "http://proxy.example.org:3142";\n'
            'APT::Install-Recommends "1";\nDPkg::Post-Invoke:: "rm -f /x";\n'
        }
    )
    assert acquire_settings(runner) == 'Acquire::http::Proxy "http://proxy.example.org:3142";\n'


def fill(cache: PackageCache, *names: str) -> None:
    with cache.borrowed() as (archives, lists):
        for name in names:
            (archives / name).write_text(name)
            (lists / f"{name}_Packages").write_text(name)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_what_one_bootstrap_fetched_the_next_one_finds(tmp_path: Path) -> None:
    fill(PackageCache(tmp_path, ["deb a"]), "one.deb")
    again = PackageCache(tmp_path, ["deb a"])
    assert again.lists_are_fresh()
    with again.borrowed() as (archives, lists):
        assert names(archives) == ["one.deb"]
        assert names(lists) == ["one.deb_Packages"]


def test_lists_of_other_sources_or_old_ones_are_fetched_again(tmp_path: Path) -> None:
    fill(PackageCache(tmp_path, ["deb a"]), "one.deb")
    assert not PackageCache(tmp_path, ["deb b"]).lists_are_fresh()
    old = (tmp_path / "lists.json").stat().st_mtime - 2 * 24 * 3600
    os.utime(tmp_path / "lists.json", (old, old))
    cache = PackageCache(tmp_path, ["deb a"])
    assert not cache.lists_are_fresh()
    with cache.borrowed() as (archives, lists):
        assert names(archives) == ["one.deb"]
        assert names(lists) == []


def test_a_bootstrap_that_failed_adds_nothing_to_the_cache(tmp_path: Path) -> None:
    def fail() -> None:
        with PackageCache(tmp_path, ["deb a"]).borrowed() as (archives, _):
            (archives / "broken.deb").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_two_bootstraps_work_side_by_side_and_a_killed_ones_rest_is_removed(tmp_path: Path) -> None:
    cache = PackageCache(tmp_path, ["deb a"])
    (tmp_path / ".work-killed").mkdir(parents=True)
    with cache.borrowed() as (first, _), cache.borrowed() as (second, _):
        assert first != second
        assert first.is_dir()
        (first / "one.deb").write_text("1")
        (second / "two.deb").write_text("2")
    assert names(tmp_path / "archives") == ["one.deb", "two.deb"]
    assert not (tmp_path / ".work-killed").exists()
