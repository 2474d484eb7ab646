"""Removing a VPS whose volumes have to be overwritten: by the real worker, on volumes that only take their time."""

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import domus_report
import pytest
from domus_errors import Refused
from domus_host import Dom0
from domus_job import JobStore, Progress, must_queue, public
from domus_job_log import JobLog
from domus_lifecycle import Outcome, settle
from domus_removal import remove, removed_token, settled_tokens, why_halted
from domus_request import plan
from domus_spec import Dom0Pillar, TemplateSpec
from domus_wipe import RemovalRequest, remove_volumes
from domus_wishes import note
from domus_worker_start import ensure_worker

from tests.support.installs import wait_for, wait_for_worker
from tests.support.pillars import dom0_pillar, tombstone, uuid_of, vps_entry
from tests.support.simulated_dom0 import Simulation

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
UUID = uuid_of(1)
TOKEN = tombstone(1)["token"]
GONE = {"wanted": "absent", "revision": 2, "tombstone": tombstone(1)}


class World:
    """A dom0 whose volumes take their time to be overwritten, and one VPS that ran there."""

    def __init__(self, root: Path) -> None:
        self.seconds = 0.01
        self.simulation = Simulation(root)
        self.state_dir = self.simulation.state_dir
        self.store = JobStore(self.state_dir)
        self.simulation.install(vps_entry(1))
        dom0 = self.wish()
        settle(dom0, dom0.spec(UUID), NOW)

    def wish(self, **changes: Any) -> Dom0:
        """Take note of a wish, and return the dom0 with it."""
        raw = dom0_pillar(vps_entry(1, **changes))
        options = {"simulated": {"wipe_seconds": self.seconds, "disk_mib": 100_000}}
        simulation = Simulation(self.state_dir.root, wipe_seconds=self.seconds)
        dom0 = Dom0(
            Dom0Pillar.parse(raw), simulation.hypervisor, simulation.storage, self.state_dir, raw, options
        )
        note(dom0, raw)
        return dom0

    def run(self, now: datetime = NOW) -> Outcome:
        """Do what a state run does about the VPS that is to go."""
        dom0 = self.wish(**GONE)
        return remove(dom0, dom0.spec(UUID), now)

    def wait(self) -> None:
        """Wait until the worker has ended."""
        wait_for_worker(self.state_dir)

    @property
    def job(self) -> dict[str, Any]:
        """Return the job on record."""
        return self.store.read(UUID) or {}

    @property
    def volumes(self) -> list[str]:
        """Return the volumes that are left."""
        return [volume.name for volume in self.simulation.storage.list()]

    def entry(self) -> dict[str, Any]:
        """Return the VPS's entry in the report."""
        found: dict[str, Any] = domus_report.report(self.wish(**GONE), NOW)["vps"][UUID]
        return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Offer a world whose worker has ended before the next test begins."""
    world = World(tmp_path)
    yield world
    world.wait()


def test_run_hands_the_volumes_to_the_worker_and_the_next_one_collects(world: World) -> None:
    outcome = world.run()
    assert outcome.changes == {
        "domu": {"old": "running", "new": None},
        "volumes": {"old": "present", "new": "being overwritten"},
    }
    assert world.simulation.hypervisor.list() == []
    assert removed_token(world.wish(**GONE), UUID) is None
    world.wait()
    assert (world.job["kind"], world.job["state"], world.job["percent"]) == ("remove", "done", 100)
    assert world.volumes == []
    assert world.entry()["removed_token"] is None
    assert world.run().comment == "Nothing is left of vps-00000001"
    assert world.entry()["removed_token"] == TOKEN
    assert world.store.read(UUID) is None
    assert world.state_dir.names("removing") == []


def test_what_is_being_overwritten_is_no_problem_and_is_looked_at_in_a_minute(world: World) -> None:
    with world.store.hold(UUID):
        world.state_dir.write("removing", UUID, {"token": TOKEN})
        outcome = world.run()
    assert (outcome.changes, outcome.failed) == ({}, False)
    assert outcome.look_again_at == NOW + timedelta(minutes=1)
    entry = world.entry()
    assert (entry["problem"], entry["install"] is None) == (None, False)
    assert entry["look_again_at"] == "2026-11-20T12:01:00Z"


def test_job_is_what_the_contract_says_and_no_installation(world: World) -> None:
    world.run()
    world.wait()
    job = public(world.job)
    assert set(job) == set(domus_report.JOB_FIELDS)
    assert world.entry()["install"] is None
    assert must_queue(world.job, job["install_id"], job["attempt"])


@pytest.mark.parametrize("victim", ["worker", "job"])
def test_kill_9_costs_a_try_and_what_was_overwritten_stays_so(world: World, victim: str) -> None:
    world.seconds = 600
    world.run()
    job = _job_process(world)
    if victim == "worker":
        kill(_parent(job))
    # Those that follow find a quicker world, and the first volume done to its middle.
    asked = world.store.request(UUID) or {}
    asked["options"]["simulated"]["wipe_seconds"] = 0.01
    world.state_dir.write("requests", UUID, asked)
    world.state_dir.write("jobs", UUID, world.job | {"wiped_mib": {"vps-00000001-root": 512}})
    kill(job)
    world.run()
    world.wait()
    assert (world.job["state"], world.job["tries"], world.volumes) == ("done", 2, [])


def kill(pid: int) -> None:
    """Kill a process and wait until it is dead; whoever adopted it may take its time to bury it."""
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: _stat(pid)[:1] in ([], ["Z"]), f"process {pid} is dead")


def _job_process(world: World) -> int:
    """Return the process that overwrites: the child of the worker of this state directory."""
    wait_for(lambda: world.job.get("step") == "wipe", "overwriting has begun")
    mine = {
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if str(world.state_dir.root).encode() in _read(path)
    }
    return next(pid for pid in mine if _parent(pid) in mine)


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process from its state on; nothing when there is none."""
    return _read(Path(f"/proc/{pid}/stat")).decode().rpartition(")")[2].split()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_volume_is_overwritten_from_where_an_earlier_try_came_to(world: World) -> None:
    storage = world.wish(**GONE).storage
    assert list(storage.wipe("vps-00000001-root", uuid=UUID, from_mib=900)) == [921, 1024]


def test_removal_that_failed_is_a_problem_and_is_tried_again_a_minute_later(world: World) -> None:
    world.simulation.hypervisor.faults.order("volume.wipe", "The disk has bad sectors")
    world.run()
    world.wait()
    assert world.job["state"] == "failed"
    later = datetime.fromisoformat(world.job["finished_at"])
    outcome = world.run(later)
    assert outcome.failed
    assert "bad sectors" in outcome.comment
    assert world.job["state"] == "failed"
    outcome = world.run(later + timedelta(minutes=1))
    assert (outcome.failed, outcome.comment.endswith("it is tried again")) == (True, True)
    world.wait()
    assert not world.run(later).failed
    assert world.volumes == []


def test_removal_that_has_begun_counts_no_more_against_the_limit(world: World) -> None:
    gone = [vps_entry(n, wanted="absent", tombstone=tombstone(n)) for n in (1, 2)]
    pillar = Dom0Pillar.parse(dom0_pillar(*gone, max_removals_per_run=1))
    assert why_halted(pillar, settled_tokens(world.state_dir), NOW) is not None
    world.run()
    assert why_halted(pillar, settled_tokens(world.state_dir), NOW) is None


def test_tombstone_that_is_taken_back_stops_the_worker_before_it_gives_anything_back(world: World) -> None:
    world.run()
    world.wait()
    world.simulation.install(vps_entry(1))
    request = {"schema_version": 1, "token": TOKEN, "dom0": dom0_pillar()["dom0"]}
    vps = {"uuid": UUID, "name": "vps-00000001", "os": vps_entry(1)["os"]}
    options = {"simulated": {"wipe_seconds": 0.01}}
    job = world.store.enqueue_removal(request | {"vps": vps}, ())
    parsed = RemovalRequest.parse(request | {"vps": vps, "options": options}, world.state_dir)
    progress = Progress(world.store, job, JobLog(world.state_dir.file("jobs", UUID, ".log")))
    world.wish(revision=3)
    with pytest.raises(Refused, match="was taken back"):
        remove_volumes(parsed, progress)
    assert world.volumes == ["vps-00000001-root", "vps-00000001-swap"]
    assert world.state_dir.names("removing") == []
    world.state_dir.forget("requests", UUID)


def test_an_installation_does_not_wait_for_a_disk_that_is_overwritten(world: World) -> None:
    world.seconds = 600
    world.run()
    removal = _job_process(world)
    other = vps_entry(2)
    raw = dom0_pillar(max_parallel_installs=1)
    template = raw["templates"]["debian-12"]
    request = {"schema_version": 1, "vps": other, "dom0": raw["dom0"], "template": template}
    options = {"simulated": {"install_seconds": 0}}
    world.state_dir.write("wanted", uuid_of(2), other | {"wanted": "stopped"})
    steps = plan(TemplateSpec.parse(template), template_ready=True)
    world.store.enqueue(request | {"options": options}, steps)
    ensure_worker(world.store)
    wait_for(lambda: world.store.request(uuid_of(2)) is None, "the installation has ended")
    assert (world.store.read(uuid_of(2)) or {})["state"] == "done"
    assert world.job["state"] == "running"
    world.state_dir.forget("requests", UUID)
    kill(_parent(removal))
    kill(removal)
