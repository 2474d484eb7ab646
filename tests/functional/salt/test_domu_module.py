"""The modules domu and domus_volume, the volume states and the beacon on the real loader."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import salt.loader
from salt.exceptions import CommandExecutionError

from tests.support.pillars import dom0_pillar, uuid_of, vps_entry
from tests.support.salt_loader import REPOSITORY, SaltDom0
from tests.support.simulated_dom0 import Simulation

UUID = uuid_of(1)
NAME = f"vps-{UUID[:8]}"
VOLUME = f"{NAME}-extra"


@pytest.fixture
def simulation(salt_dom0: SaltDom0) -> Simulation:
    found = Simulation(salt_dom0.state_dir)
    salt_dom0.set_pillar(dom0_pillar(vps_entry(1)))
    return found


@pytest.fixture
def domu(salt_dom0: SaltDom0, simulation: Simulation) -> Any:
    """Offer the module with VPS 1 defined."""
    simulation.install(vps_entry(1))
    salt_dom0.modules.domu.define(UUID)
    return salt_dom0.modules.domu


def test_define_takes_the_spec_from_the_pillar_and_says_what_changed(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    simulation.install(vps_entry(1))
    assert salt_dom0.modules.domu.define(NAME) == {"definition": {"old": None, "new": NAME}}
    assert salt_dom0.modules.domu.define(UUID) == {}


@pytest.mark.parametrize("key", [UUID, NAME])
def test_life_of_a_domu_by_uuid_or_name(domu: Any, key: str) -> None:
    assert domu.info(key)["power"] == "stopped"
    assert domu.start(key)["power"] == "running"
    assert domu.reboot(key)["power"] == "running"
    assert domu.reboot(key, hard=True)["power"] == "running"
    assert domu.shutdown(key)["power"] == "stopped"
    domu.start(key)
    assert domu.destroy(key)["power_reason"] == "destroyed"
    assert domu.undefine(key) is True
    assert domu.info(key) is None
    assert domu.undefine(key) is False


def test_list_is_plain_data_with_units(domu: Any) -> None:
    (found,) = domu.list()
    assert json.loads(json.dumps(found)) == found
    assert (found["uuid"], found["memory_mib"]) == (UUID, 512)


def test_console_tail_counts_lines(domu: Any) -> None:
    domu.start(UUID)
    assert len(domu.console_tail(UUID)) == 4
    assert domu.console_tail(NAME, lines=1)[0].endswith("login:")


def test_sizes_change_live_or_at_the_next_boot(domu: Any) -> None:
    domu.start(UUID)
    assert domu.set_memory(UUID, 256) == "live"
    assert domu.set_memory(UUID, 1024) == "next boot"
    assert domu.set_vcpus(UUID, 2) == "next boot"


@pytest.mark.parametrize(
    ("function", "value"), [("set_memory", "much"), ("set_memory", 0), ("set_vcpus", -1), ("set_vcpus", 1.5)]
)
def test_size_that_is_none_is_refused(domu: Any, function: str, value: Any) -> None:
    with pytest.raises(CommandExecutionError, match=r"NotValid: argument.*allowed is a whole number"):
        getattr(domu, function)(UUID, value)


@pytest.mark.parametrize("key", ["nobody", "$(id)", "../../etc", "{{ 7*7 }}", "", "-x"])
def test_unknown_or_hostile_name_is_refused(domu: Any, key: str) -> None:
    with pytest.raises(CommandExecutionError, match="There is no VPS or domU"):
        domu.start(key)


def test_vps_that_the_pillar_does_not_have_is_not_defined(domu: Any) -> None:
    with pytest.raises(CommandExecutionError, match="The pillar of this dom0 has no VPS"):
        domu.define(uuid_of(9))


def test_minion_without_the_pillar_says_that_it_is_no_dom0(salt_dom0: SaltDom0) -> None:
    with pytest.raises(CommandExecutionError, match="no pillar `domus`, so it is no dom0"):
        salt_dom0.modules.domu.list()


def test_life_of_a_volume(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    volume = salt_dom0.modules.domus_volume
    assert volume.info(VOLUME) is None
    assert volume.create(VOLUME, 100, UUID)["size_mib"] == 100
    assert volume.resize(VOLUME, 200, UUID)["size_mib"] == 200
    assert volume.snapshot(VOLUME, f"{VOLUME}-copy", UUID)["size_mib"] == 200
    assert [found["name"] for found in volume.list()] == [VOLUME, f"{VOLUME}-copy"]
    assert volume.capacity() == {"total_mib": 100_000, "free_mib": 99_600}
    assert volume.remove(VOLUME, UUID) is True
    assert volume.remove(VOLUME, UUID) is False


def test_volume_of_another_vps_is_refused(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    volume = salt_dom0.modules.domus_volume
    volume.create(VOLUME, 100, UUID)
    with pytest.raises(CommandExecutionError, match=f"Refused: The volume {VOLUME} belongs to {UUID}"):
        volume.remove(VOLUME, uuid_of(2))
    assert volume.info(VOLUME) is not None


def test_volume_present_makes_and_grows_it(
    salt_dom0: SaltDom0, simulation: Simulation, testmode: bool
) -> None:
    wanted = {"name": VOLUME, "uuid": UUID}
    made = salt_dom0.state("domus_volume.present", **wanted, size_mib=100, test=testmode)
    assert made["result"] is (None if testmode else True)
    assert made["changes"] == {"size_mib": {"old": None, "new": 100}}
    if not testmode:
        assert salt_dom0.state("domus_volume.present", **wanted, size_mib=100)["changes"] == {}
        grown = salt_dom0.state("domus_volume.present", **wanted, size_mib=200)
        assert grown["changes"] == {"size_mib": {"old": 100, "new": 200}}
    assert [v.size_mib for v in simulation.storage.list()] == ([] if testmode else [200])


def test_volume_grown_never_makes_one(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    ret = salt_dom0.state("domus_volume.grown", name=VOLUME, uuid=UUID, size_mib=100)
    assert (ret["result"], ret["changes"]) == (True, {})
    assert simulation.storage.list() == []


def test_volume_grown_grows_it(salt_dom0: SaltDom0, simulation: Simulation, testmode: bool) -> None:
    simulation.storage.create(VOLUME, 100, uuid=UUID)
    ret = salt_dom0.state("domus_volume.grown", name=VOLUME, uuid=UUID, size_mib=200, test=testmode)
    assert ret["result"] is (None if testmode else True)
    assert simulation.storage.info(VOLUME).size_mib == (100 if testmode else 200)


def test_volume_absent_removes_it(salt_dom0: SaltDom0, simulation: Simulation, testmode: bool) -> None:
    simulation.storage.create(VOLUME, 100, uuid=UUID)
    ret = salt_dom0.state("domus_volume.absent", name=VOLUME, uuid=UUID, test=testmode)
    assert ret["result"] is (None if testmode else True)
    assert (simulation.storage.info(VOLUME) is None) is not testmode


@pytest.mark.parametrize("function", ["present", "grown", "absent"])
def test_volume_states_fail_for_the_volume_of_another(
    salt_dom0: SaltDom0, simulation: Simulation, function: str, testmode: bool
) -> None:
    simulation.storage.create(VOLUME, 100, uuid=uuid_of(2))
    size = {} if function == "absent" else {"size_mib": 200}
    ret = salt_dom0.state(f"domus_volume.{function}", name=VOLUME, uuid=UUID, test=testmode, **size)
    assert ret["result"] is False
    assert f"belongs to {uuid_of(2)}" in ret["comment"]
    assert simulation.storage.info(VOLUME).size_mib == 100


def test_storage_ready_says_what_is_free(salt_dom0: SaltDom0, simulation: Simulation) -> None:
    ret = salt_dom0.state("dom0.storage_ready", name="xenvg")
    assert (ret["result"], ret["comment"]) == (True, "100000 of 100000 MiB are free")


def test_storage_ready_fails_where_there_is_no_volume_group_and_makes_none(salt_dom0: SaltDom0) -> None:
    storage = {"backend": "lvm", "volume_group": "domus-no-such-group"}
    salt_dom0.set_pillar(dom0_pillar(storage=storage))
    ret = salt_dom0.state("dom0.storage_ready", name="domus-no-such-group")
    assert ret["result"] is False
    assert "Make it by hand, such as: vgcreate domus-no-such-group" in ret["comment"]


def test_beacon_reports_changes_as_one_event_and_nothing_when_nothing_changed(
    salt_dom0: SaltDom0, simulation: Simulation
) -> None:
    salt_dom0.state("domu.noted", name="wishes")
    simulation.install(vps_entry(1))
    salt_dom0.modules.domu.define(UUID)
    beacons = salt.loader.beacons(salt_dom0.modules.opts, salt_dom0.modules)
    beacon = beacons["domus_power.beacon"]
    assert beacon([{"interval": 10}]) == []
    salt_dom0.modules.domu.start(UUID)
    (event,) = beacon([{"interval": 10}])
    assert [(change["uuid"], change["power"]) for change in event["changes"]] == [(UUID, "running")]
    assert beacon([{"interval": 10}]) == []


@pytest.mark.parametrize(("config", "valid"), [([{"interval": 10}], True), ({"interval": 10}, False)])
def test_beacon_says_what_its_configuration_is(salt_dom0: SaltDom0, config: Any, valid: bool) -> None:
    beacons = salt.loader.beacons(salt_dom0.modules.opts, salt_dom0.modules)
    assert beacons["domus_power.validate"](config)[0] is valid


def test_state_modules_name_the_execution_module_they_miss(salt_dom0: SaltDom0) -> None:
    alone = salt.loader.states(dict(salt_dom0.modules.opts), {}, salt_dom0.loaders.utils, None)
    assert "domu.running" not in alone
    assert "the execution module domu is missing" in alone.missing_fun_string("domu.running")


def test_everything_loads_by_sync_alone_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Nothing of the checkout is importable there but what Salt syncs."""
    state_roots = {"base": [str(REPOSITORY / "salt" / "states")]}
    config = {
        "id": "dom0-a",
        "file_client": "local",
        "root_dir": str(tmp_path),
        "pki_dir": str(tmp_path / "pki"),
        "cachedir": str(tmp_path / "cache"),
        "sock_dir": str(tmp_path / "sock"),
        "log_file": str(tmp_path / "log"),
        "file_roots": state_roots,
        "domus": {"state_dir": str(tmp_path / "state"), "simulated": {"memory_mib": 4096}},
    }
    (tmp_path / "minion").write_text(json.dumps(config))
    pillar = json.dumps({"domus": dom0_pillar(vps_entry(1))})
    program = (
        "import json, salt.client\n"
        f"caller = salt.client.Caller({str(tmp_path / 'minion')!r})\n"
        "synced = caller.cmd('saltutil.sync_all')\n"
        f"caller = salt.client.Caller({str(tmp_path / 'minion')!r})\n"
        f"found = caller.cmd('state.apply', 'vps', pillar=json.loads({pillar!r}), test=True)\n"
        "print(json.dumps([synced, caller.cmd('grains.get', 'domus'), found], default=str))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path
    )
    synced, grains, states = json.loads(ran.stdout.splitlines()[-1])
    assert "beacons.domus_power" in synced["beacons"]
    assert "modules.domus_domu" in synced["modules"]
    assert grains["hypervisor"] == "simulated"
    assert {state["__id__"] for state in states.values()} >= {"domus-vps-notes", f"domus-vps-{UUID}-power"}
    assert not [state for state in states.values() if state["result"] is False]
