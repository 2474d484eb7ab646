"""Job files: what is queued when, what is recovered how, and what is reported."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from domus_job import MAX_TRIES, Job, JobStore, Progress, must_queue, public
from domus_job_changes import JOBS_PER_REPORT, Watcher
from domus_job_log import JobLog, read_tail
from domus_request import plan
from domus_spec import TemplateSpec
from domus_state_dir import StateDir

from tests.support.installs import PASSWORD_HASH, request, template_entry, vps_entry

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PLAN = plan(TemplateSpec.parse(template_entry()), template_ready=True)
UUID = vps_entry()["uuid"]


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    """Offer the jobs of a dom0, with the time standing still."""
    return JobStore(StateDir(tmp_path), clock=lambda: NOW)


def progress_of(store: JobStore, job: Job) -> Progress:
    return Progress(store, job, JobLog(store.state_dir.file("jobs", job["uuid"], ".log"), [PASSWORD_HASH]))


def test_a_queued_job_is_what_the_contract_says(store: JobStore) -> None:
    job = public(store.enqueue(request(vps_entry()), PLAN))
    assert set(job) == {
        *("uuid", "name", "install_id", "kind", "state", "step", "percent", "steps", "error"),
        *("attempt", "tries", "queued_at", "started_at", "finished_at", "log_tail"),
    }
    assert (job["state"], job["percent"], job["queued_at"]) == ("queued", 0, "2026-11-20T12:00:00Z")
    title = "Waiting for the template"
    assert job["steps"][0] == {"name": "template", "title": title, "state": "waiting", "seconds": None}


def test_what_holds_the_password_hash_is_readable_by_its_owner_alone(store: JobStore) -> None:
    store.enqueue(request(vps_entry()), PLAN)
    path = store.state_dir.file("requests", UUID)
    assert PASSWORD_HASH in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD_HASH not in store.state_dir.file("jobs", UUID).read_text()


@pytest.mark.parametrize("end", ["done", "fail"])
def test_the_request_with_its_secrets_goes_when_the_job_ends(store: JobStore, end: str) -> None:
    progress = progress_of(store, store.enqueue(request(vps_entry()), PLAN))
    progress.begin()
    if end == "done":
        progress.done()
    else:
        progress.fail(f"it said {PASSWORD_HASH}\non two lines")
    assert store.unfinished() == []
    assert PASSWORD_HASH not in json.dumps(store.read(UUID))
    assert PASSWORD_HASH not in store.state_dir.file("jobs", UUID, ".log").read_text()


def test_an_error_is_one_line_without_the_secret(store: JobStore) -> None:
    progress = progress_of(store, store.enqueue(request(vps_entry()), PLAN))
    progress.fail(f"it said {PASSWORD_HASH}\non two lines")
    assert (store.read(UUID) or {})["error"] == "it said ******** on two lines"


@pytest.mark.parametrize(
    ("state", "same_install", "attempt", "expected"),
    [
        ("done", True, 1, False),
        ("done", True, 9, False),
        ("done", False, 1, True),
        ("failed", True, 1, False),
        ("failed", True, 2, True),
        ("failed", False, 1, True),
        ("running", True, 2, False),
        ("queued", True, 2, False),
    ],
)
def test_what_is_queued_depends_on_install_id_and_attempt(
    state: str, same_install: bool, attempt: int, expected: bool
) -> None:
    job = {"install_id": "a", "state": state, "attempt": 1}
    assert must_queue(job, "a" if same_install else "b", attempt) is expected
    assert must_queue(None, "a", 1)


def test_percent_never_falls_and_reaches_100_only_when_done(store: JobStore) -> None:
    progress = progress_of(store, store.enqueue(request(vps_entry()), PLAN))
    progress.begin()
    seen = [progress.job["percent"]]
    for step in PLAN:
        with progress.step(step.name):
            for part in (0.5, 0.2, 1.0, 7.0, -1.0):
                progress.fraction(part)
                seen.append(progress.job["percent"])
        seen.append(progress.job["percent"])
    assert seen == sorted(seen)
    assert seen[-1] == 99
    progress.done()
    assert (store.read(UUID) or {})["percent"] == 100


def test_a_step_that_breaks_off_is_on_record_as_failed(store: JobStore) -> None:
    progress = progress_of(store, store.enqueue(request(vps_entry()), PLAN))
    progress.begin()
    with pytest.raises(RuntimeError), progress.step("volumes"):
        raise RuntimeError
    progress.fail("no room")
    job = store.read(UUID) or {}
    assert [s["state"] for s in job["steps"] if s["name"] == "volumes"] == ["failed"]
    assert job["step"] == "volumes"


def test_a_job_whose_process_is_gone_is_queued_again_and_fails_in_the_end(store: JobStore) -> None:
    store.enqueue(request(vps_entry()), PLAN)
    for expected in ["queued"] * (MAX_TRIES - 1) + ["failed"]:
        job = store.read(UUID) or {}
        progress_of(store, job).begin()
        store.recover(UUID)
        job = store.read(UUID) or {}
        assert job["state"] == expected
    assert job["error"] == "The installation was interrupted 3 times"
    assert store.unfinished() == []


def test_a_job_whose_process_lives_is_left_alone(store: JobStore) -> None:
    progress_of(store, store.enqueue(request(vps_entry()), PLAN)).begin()
    with store.hold(UUID) as held:
        assert held
        store.recover(UUID)
    assert (store.read(UUID) or {})["state"] == "running"


def test_a_job_that_ended_just_before_the_crash_is_not_done_again(store: JobStore) -> None:
    progress = progress_of(store, store.enqueue(request(vps_entry()), PLAN))
    asked = store.request(UUID) or {}
    progress.done()
    store.state_dir.write("requests", UUID, asked)
    store.recover(UUID)
    assert (store.read(UUID) or {})["state"] == "done"
    assert store.unfinished() == []


def test_a_job_file_that_cannot_be_read_counts_as_lost(store: JobStore) -> None:
    store.enqueue(request(vps_entry()), PLAN)
    store.state_dir.file("jobs", UUID).write_text("{")
    assert store.read(UUID) is None
    store.recover(UUID)
    assert store.unfinished() == []


def test_only_our_own_record_of_an_earlier_installation_allows_overwriting(store: JobStore) -> None:
    assert store.enqueue(request(vps_entry()), PLAN)["may_format"] is False
    again = vps_entry(install_id="00000000-0000-4000-8000-000000000000")
    assert store.enqueue(request(again), PLAN)["may_format"] is True


def test_the_queue_is_in_the_order_of_asking(store: JobStore) -> None:
    for number in (3, 1, 2):
        store.enqueue(request(vps_entry(number)), PLAN)
    assert [uuid[-1] for uuid in store.unfinished()] == ["3", "1", "2"]


def test_a_log_stays_within_its_bound_and_keeps_what_came_last(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    log = JobLog(path, limit_bytes=2000)
    for number in range(1000):
        log.line(f"line {number}")
    assert path.stat().st_size <= 2000
    assert read_tail(path, 1) == ["line 999"]
    assert path.read_text().startswith("[older lines were dropped]\n")
    assert log.tail[-1] == "line 999"
    assert len(log.tail) == 40


def test_a_log_line_cannot_steer_a_terminal(tmp_path: Path) -> None:
    log = JobLog(tmp_path / "a.log")
    log.line("red \x1b[31malarm\x07\r")
    assert log.tail == ["red alarm"]


def test_a_watcher_tells_each_change_once(store: JobStore) -> None:
    watcher = Watcher(store.state_dir)
    assert watcher.changed() == []
    store.enqueue(request(vps_entry()), PLAN)
    assert [[job["state"] for job in jobs] for jobs in watcher.changed()] == [["queued"]]
    assert watcher.changed() == []
    progress_of(store, store.read(UUID) or {}).begin()
    assert [[job["state"] for job in jobs] for jobs in watcher.changed()] == [["running"]]


def test_the_first_look_tells_what_is_under_way_and_what_ended_lately(store: JobStore) -> None:
    for number in (1, 2):
        store.enqueue(request(vps_entry(number)), PLAN)
    progress_of(store, store.read(UUID) or {}).done()
    assert sum(len(jobs) for jobs in Watcher(store.state_dir).changed()) == 2
    written = store.state_dir.file("jobs", UUID).stat().st_mtime
    much_later = Watcher(store.state_dir, clock=lambda: written + 7200)
    assert [[job["state"] for job in jobs] for jobs in much_later.changed()] == [["queued"]]


def test_many_jobs_are_told_in_portions(store: JobStore) -> None:
    for number in range(JOBS_PER_REPORT + 1):
        store.enqueue(request(vps_entry(number)), PLAN)
    assert [len(jobs) for jobs in Watcher(store.state_dir).changed()] == [JOBS_PER_REPORT, 1]
