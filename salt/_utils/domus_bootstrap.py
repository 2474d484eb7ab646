"""Make a Debian tree out of packages, with a cache so that the second one downloads nothing."""

import fcntl
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from domus_apt_sources import acquire_settings
from domus_errors import NotValid
from domus_logged_run import LoggedRunner
from domus_run import Runner
from domus_spec import TemplateSpec

TIMEOUT_SECONDS = 1800
MOUNT_TIMEOUT_SECONDS = 60
WORK_PREFIX = ".work-"
LISTS_FRESH_SECONDS = 24 * 3600
# What a VPS needs beyond the required packages to start, reach the network and let root in. No
# kernel: a paravirtualised guest is started with dom0's.
PACKAGES = (
    *("systemd-sysv", "udev", "dbus", "kmod", "ifupdown", "iproute2", "iputils-ping", "netbase"),
    *("openssh-server", "ca-certificates", "procps", "e2fsprogs", "less", "nano"),
)
STAGES = (
    ("I: running apt-get update", 0.02),
    ("I: skipping update", 0.05),
    ("I: downloading packages", 0.06),
    ("I: extracting archives", 0.20),
    ("I: installing essential packages", 0.25),
    ("I: installing remaining packages", 0.45),
    ("I: success", 1.0),
)
WORKING_LINE = re.compile(r"(?:Setting up|Unpacking|Get:\d+) ")
NEWLY_INSTALLED = re.compile(r"\d+ upgraded, (\d+) newly installed")


class BootstrapProgress:
    """Reads from mmdebstrap's words how far it is."""

    def __init__(self) -> None:
        self.fraction = 0.0
        self._start = 0.0
        self._end = STAGES[0][1]
        self._lines = 0
        self._expected = 1

    def feed(self, line: str) -> float:
        """Take a line and return the part that is done, from 0 to 1; it never falls."""
        for number, (words, start) in enumerate(STAGES):
            if line.startswith(words):
                self._start, self._lines = start, 0
                self._end = STAGES[min(number + 1, len(STAGES) - 1)][1]
        if found := NEWLY_INSTALLED.match(line):
            # Each package is fetched, unpacked and set up.
            self._expected = max(1, 3 * int(found[1]))
        if WORKING_LINE.match(line):
            self._lines += 1
        inner = min(self._lines / self._expected, 1.0)
        now = self._start + inner * max(0.0, self._end - self._start)
        self.fraction = max(self.fraction, now)
        return self.fraction


class PackageCache:
    """Packages and lists of one release, kept on dom0.

    A bootstrap works on folders of its own, filled with hard links: apt locks its folders, and two
    may run at the same time. What it fetched is added to the cache when it has ended well.
    """

    def __init__(self, folder: Path, sources: Sequence[str]) -> None:
        self._folder = folder
        self._sources = "\n".join(sources)
        self._stamp = folder / "lists.json"

    def lists_are_fresh(self) -> bool:
        """Say whether the lists are of these sources and recent, so that none need be fetched."""
        try:
            noted = json.loads(self._stamp.read_text(encoding="utf-8"))
            age = time.time() - self._stamp.stat().st_mtime
        except (FileNotFoundError, ValueError):
            return False
        return bool(noted == {"sources": self._sources} and 0 <= age < LISTS_FRESH_SECONDS)

    @contextmanager
    def borrowed(self) -> Iterator[tuple[Path, Path]]:
        """Offer a folder of packages and one of lists; keep what was added when all went well."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._remove_stale_work()
            work = Path(tempfile.mkdtemp(prefix=WORK_PREFIX, dir=self._folder))
            in_use = _lock(work)
            # apt's own unprivileged user has to reach its folders.
            work.chmod(0o755)
            for name in ("archives", "lists"):
                (work / name / "partial").mkdir(parents=True)
            _link_files(self._folder / "archives", work / "archives")
            fresh = self.lists_are_fresh()
            if fresh:
                _link_files(self._folder / "lists", work / "lists")
        try:
            yield work / "archives", work / "lists"
            with self._locked():
                _link_files(work / "archives", self._folder / "archives")
                if not fresh:
                    self._keep_lists(work / "lists")
        finally:
            shutil.rmtree(work)
            os.close(in_use)

    def _keep_lists(self, lists: Path) -> None:
        self._stamp.unlink(missing_ok=True)
        shutil.rmtree(self._folder / "lists", ignore_errors=True)
        _link_files(lists, self._folder / "lists")
        self._stamp.write_text(json.dumps({"sources": self._sources}), encoding="utf-8")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        handle = _lock(self._folder, wait=True)
        try:
            yield
        finally:
            os.close(handle)

    def _remove_stale_work(self) -> None:
        """Remove the folders of bootstraps that were killed; those of living ones are locked."""
        for work in self._folder.glob(f"{WORK_PREFIX}*"):
            try:
                handle = _lock(work)
            except BlockingIOError:
                continue
            shutil.rmtree(work)
            os.close(handle)


def bootstrap(
    runner: LoggedRunner,
    template: TemplateSpec,
    target: Path,
    *,
    cache_dir: Path,
    sources: Sequence[str],
    on_fraction: Callable[[float], None],
) -> None:
    """Bootstrap a release into a folder that holds nothing but perhaps lost+found."""
    if template.distribution != "debian":
        raise NotValid(
            f"Template {template.name} is of {template.distribution}; mmdebstrap makes debian only"
        )
    cache = PackageCache(cache_dir / f"{template.release}-{template.arch}", sources)
    progress = BootstrapProgress()
    skipped = ["check/empty", "cleanup/apt", "essential/unlink"]
    if cache.lists_are_fresh():
        skipped.append("update")
    with cache.borrowed() as (archives, lists), tempfile.NamedTemporaryFile("w") as settings:
        # Asked without the log: what dom0 is set to, a proxy's password too, is not for it.
        settings.write(acquire_settings(Runner()))
        settings.flush()
        with (
            _bound(runner, archives, target / "var/cache/apt/archives"),
            _bound(runner, lists, target / "var/lib/apt/lists"),
        ):
            runner.follow(
                [
                    *("mmdebstrap", "--mode=root", "--format=directory", "--variant=minbase"),
                    *("--verbose", f"--architectures={template.arch}"),
                    *(f"--include={','.join(PACKAGES)}", f"--skip={','.join(skipped)}"),
                    *(f"--aptopt={settings.name}", template.release, str(target), *sources),
                ],
                lambda line: on_fraction(progress.feed(line)),
                timeout_seconds=TIMEOUT_SECONDS,
            )


@contextmanager
def _bound(runner: LoggedRunner, folder: Path, point: Path) -> Iterator[None]:
    point.mkdir(parents=True, exist_ok=True)
    runner.run(["mount", "--bind", str(folder), str(point)], timeout_seconds=MOUNT_TIMEOUT_SECONDS)
    try:
        yield
    finally:
        runner.run(["umount", str(point)], timeout_seconds=MOUNT_TIMEOUT_SECONDS)


def _lock(folder: Path, *, wait: bool = False) -> int:
    """Lock a folder for this process; the lock ends with the returned descriptor."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(handle)
        raise
    return handle


def _link_files(source: Path, target: Path) -> None:
    """Link the files of a folder into another; what is there already stays."""
    target.mkdir(parents=True, exist_ok=True)
    if not source.is_dir():
        return
    for entry in os.scandir(source):
        if entry.is_file(follow_symlinks=False) and entry.name != "lock":
            try:
                os.link(entry.path, target / entry.name)
            except FileExistsError:
                continue
