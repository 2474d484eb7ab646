"""A guest that restarted itself and did not come up: what its dom0 says, and what the house makes of it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from domus_host import Dom0
from domus_lifecycle import settle
from domus_power_watch import changes
from domus_report import report
from domus_spec import Dom0Pillar
from domus_wishes import note

from domus.db.engine import Database
from domus.vps.models import Power, Vps
from domus.workflows import work
from tests.support.order_shop import NOW, Shop, make_shop
from tests.support.simulated_dom0 import Simulation

LATER = NOW + timedelta(hours=1)


class Story:
    """One running VPS in the database, and its guest on the simulated hypervisor."""

    def __init__(self, db: Database, root: Path) -> None:
        self.shop: Shop = make_shop(db)
        self.vps_id = self.shop.active().id
        self.minion_id = self.shop.machine.minion_id
        self.simulation = Simulation(root)
        self.simulation.install(self.shop.machine.pillar()["vps"][str(self.vps_id)])
        self.run()
        self.look()

    @property
    def vps(self) -> Vps:
        """Return the VPS as the database has it."""
        return self.shop.vps(self.vps_id)

    @property
    def power(self) -> str:
        """Return the power of the guest."""
        info = self.simulation.hypervisor.info(str(self.vps_id))
        assert info is not None
        return info.power

    def run(self) -> None:
        """Bring about what the house wants, and report."""
        dom0 = self._dom0()
        settle(dom0, dom0.spec(str(self.vps_id)), LATER)
        work.record_report(self.shop.db, minion_id=self.minion_id, report=report(dom0, LATER), now=LATER)

    def look(self) -> bool:
        """Tell the house what the beacon sees; True when its dom0 is called soon for that."""
        seen = changes(self._dom0(), LATER)
        work.record_power(self.shop.db, minion_id=self.minion_id, changes=seen, now=LATER)
        soon = LATER + timedelta(seconds=20)
        return work.begin_run(self.shop.db, minion_id=self.minion_id, now=soon) is not None

    def _dom0(self) -> Dom0:
        raw = self.shop.machine.pillar()
        where = self.simulation
        dom0 = Dom0(Dom0Pillar.parse(raw), where.hypervisor, where.storage, where.state_dir)
        note(dom0, raw)
        return dom0


@pytest.fixture
def story(db: Database, tmp_path: Path) -> Story:
    """Offer a story that has just begun."""
    return Story(db, tmp_path)


def test_guest_whose_restart_failed_is_wanted_running_and_is_started_again(story: Story) -> None:
    story.simulation.hypervisor.restart_fails(str(story.vps_id))
    assert story.look()
    assert (story.vps.wanted_power, story.vps.observed_power) == (Power.RUNNING, Power.STOPPED)
    story.run()
    assert story.power == "running"
    assert (story.vps.wanted_power, story.vps.observed_power) == (Power.RUNNING, Power.RUNNING)


def test_guest_that_restarts_itself_troubles_nobody(story: Story) -> None:
    story.simulation.hypervisor.guest_restarts(str(story.vps_id))
    assert not story.look()
    story.run()
    assert (story.vps.wanted_power, story.vps.observed_power) == (Power.RUNNING, Power.RUNNING)


def test_guest_that_powered_itself_off_is_left_in_peace(story: Story) -> None:
    story.simulation.hypervisor.guest_shuts_down(str(story.vps_id))
    story.look()
    assert story.vps.wanted_power is Power.STOPPED
    story.run()
    assert story.power == "stopped"


@pytest.mark.parametrize("happen", ["destroy", "guest_crashes"])
def test_guest_that_is_off_for_any_other_reason_is_started_again(story: Story, happen: str) -> None:
    deed: Callable[[str], None] = getattr(story.simulation.hypervisor, happen)
    deed(str(story.vps_id))
    assert story.look()
    story.run()
    assert story.power == "running"
    assert story.vps.wanted_power is Power.RUNNING
