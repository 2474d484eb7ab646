"""Installing anew over a machine that is there: its disk is written only while nobody uses it."""

from pathlib import Path
from typing import Any

import domus_install
import pytest
from domus_job import JobStore, Progress
from domus_job_log import JobLog
from domus_request import Request, plan
from domus_spec import TemplateSpec

from tests.support.installs import request, template_entry, vps_entry
from tests.support.simulated_dom0 import Simulation

PLAN = plan(TemplateSpec.parse(template_entry()), template_ready=True)
UUID = vps_entry()["uuid"]
SECOND = "00000000-0000-4000-8000-00000000000b"


def install(simulation: Simulation, **system: Any) -> None:
    """Do an installation from its request to its end."""
    store = JobStore(simulation.state_dir)
    asked = request(vps_entry(**system))
    log = JobLog(simulation.state_dir.file("jobs", UUID, ".log"))
    progress = Progress(store, store.enqueue(asked, PLAN), log)
    progress.begin()
    domus_install.install(Request.parse(asked, simulation.state_dir), progress)
    progress.done()


def boots(simulation: Simulation) -> int:
    return sum("Linux version" in line for line in simulation.hypervisor.console_tail(UUID, 1000))


def test_running_machine_is_stopped_first_and_started_after_it(tmp_path: Path) -> None:
    simulation = Simulation(tmp_path)
    install(simulation)
    install(simulation, install_id=SECOND)
    assert boots(simulation) == 2
    assert simulation.hypervisor.info(UUID).power == "running"


def test_machine_that_restarts_itself_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(tmp_path)
    install(simulation)
    simulation.hypervisor.guest_restarts(UUID)
    pauses = []

    def come_back() -> None:
        pauses.append(simulation.hypervisor.info(UUID).power)
        simulation.hypervisor.start(UUID)

    monkeypatch.setattr(domus_install, "pause", come_back)
    install(simulation, install_id=SECOND)
    assert pauses == ["stopped"]
    # It came back by itself, and once more with the new system.
    assert boots(simulation) == 3
