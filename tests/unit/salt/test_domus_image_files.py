"""Image files and the simulated storage, on real files."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from domus_errors import NotValid, Refused, ToolFailed
from domus_faults import Faults
from domus_image_files import ImageFiles
from domus_run import Runner
from domus_simulated_storage import SimulatedStorage
from domus_state_dir import StateDir

from tests.support.fake_runner import FakeRunner
from tests.support.pillars import uuid_of

UUID = uuid_of(1)


@pytest.fixture
def images(tmp_path: Path) -> ImageFiles:
    return ImageFiles(tmp_path / "images", Runner())


@pytest.fixture
def simulated(tmp_path: Path) -> SimulatedStorage:
    return SimulatedStorage(StateDir(tmp_path), {"simulated": {"disk_mib": 1000}}, Runner())


def test_image_is_sparse_and_for_its_owner_alone(images: ImageFiles) -> None:
    volume = images.create("vps-root", 64, uuid=UUID)
    found = Path(volume.path).stat()
    assert (volume.size_mib, volume.tag_owner, volume.kind) == (64, UUID, "image")
    assert found.st_blocks == 0
    assert found.st_mode & 0o777 == 0o600


def test_image_that_is_there_is_returned_and_not_emptied(images: ImageFiles) -> None:
    path = Path(images.create("vps-root", 1, uuid=UUID).path)
    path.write_bytes(b"data".ljust(1 << 20, b"\0"))
    images.create("vps-root", 1, uuid=UUID)
    assert path.read_bytes().startswith(b"data")


def test_image_without_tags_belongs_to_nobody_and_is_refused(images: ImageFiles) -> None:
    images.directory.mkdir()
    (images.directory / "foreign.img").write_bytes(b"\0" * (1 << 20))
    for deed in (images.remove, lambda name, uuid: images.create(name, 1, uuid=uuid)):
        with pytest.raises(Refused, match="has no tag of Domus"):
            deed("foreign", uuid=UUID)
    assert (images.directory / "foreign.img").exists()


def test_image_of_another_is_refused(images: ImageFiles) -> None:
    images.create("vps-root", 1, uuid=UUID)
    with pytest.raises(Refused, match=f"belongs to {UUID}"):
        images.remove("vps-root", uuid=uuid_of(2))


def test_removed_image_leaves_nothing(images: ImageFiles) -> None:
    images.create("vps-root", 1, uuid=UUID)
    assert images.remove("vps-root", uuid=UUID) is True
    assert images.remove("vps-root", uuid=UUID) is False
    assert list(images.directory.iterdir()) == []


def test_image_grows_and_is_never_cut_down(images: ImageFiles) -> None:
    images.create("vps-root", 2, uuid=UUID)
    assert images.resize("vps-root", 3, uuid=UUID).size_mib == 3
    with pytest.raises(Refused, match="not cut down"):
        images.resize("vps-root", 1, uuid=UUID)


def test_snapshot_is_a_copy_with_the_same_owner(images: ImageFiles) -> None:
    path = Path(images.create("vps-root", 1, uuid=UUID).path)
    path.write_bytes(b"before".ljust(1 << 20, b"\0"))
    copy = images.snapshot("vps-root", "vps-copy", uuid=UUID)
    path.write_bytes(b"after".ljust(1 << 20, b"\0"))
    assert Path(copy.path).read_bytes().startswith(b"before")
    assert copy.tag_owner == UUID
    with pytest.raises(NotValid, match="There is a volume vps-copy already"):
        images.snapshot("vps-root", "vps-copy", uuid=UUID)


def test_promised_room_is_not_free(images: ImageFiles) -> None:
    free = images.capacity().free_mib
    images.create("vps-root", 1000, uuid=UUID)
    assert images.capacity().free_mib <= free - 900
    with pytest.raises(ToolFailed, match="There is no room for"):
        images.create("vps-big", free, uuid=UUID)


def test_capacity_before_the_directory_is_there(images: ImageFiles) -> None:
    assert not images.directory.exists()
    assert images.capacity().total_mib == shutil.disk_usage(images.directory.parent).total >> 20


def test_loop_device_is_given_back_even_when_the_work_on_it_fails(tmp_path: Path) -> None:
    runner = FakeRunner(
        {
            ("losetup", "--find"): "/dev/loop7\n",
            ("losetup", "--direct-io=on"): "",
            ("losetup", "--detach"): "",
        }
    )
    images = ImageFiles(tmp_path, runner)
    images.create("vps-root", 1, uuid=UUID)

    def work() -> None:
        with images.mounted_device("vps-root") as device:
            assert device == "/dev/loop7"
            raise ToolFailed("mkfs")

    with pytest.raises(ToolFailed, match="mkfs"):
        work()
    assert runner.calls[-1] == ("losetup", "--detach", "/dev/loop7")


@pytest.mark.parametrize("name", ["../x", "-y", "a/b", "", "a\0b", ".hidden"])
def test_name_that_leaves_the_directory_is_refused(images: ImageFiles, name: str) -> None:
    with pytest.raises(NotValid):
        images.create(name, 1, uuid=UUID)


@pytest.mark.parametrize("size", [0, -1, True, 1.5, "7", 1 << 40])
def test_size_that_is_none_is_refused(images: ImageFiles, size: int) -> None:
    with pytest.raises(NotValid, match="size_mib is"):
        images.create("vps-root", size, uuid=UUID)


def test_simulated_storage_is_as_large_as_its_options_say(simulated: SimulatedStorage) -> None:
    simulated.create("a", 700, uuid=UUID)
    assert simulated.capacity().free_mib == 300
    with pytest.raises(ToolFailed, match="There is no room for 301 MiB more in b: 300 MiB are free"):
        simulated.create("b", 301, uuid=UUID)
    simulated.create("b", 300, uuid=UUID)


def test_ordered_fault_is_met_as_often_as_ordered(simulated: SimulatedStorage, tmp_path: Path) -> None:
    simulated._faults.order("volume.create", "No space left on device", uuid=UUID, times=2)
    simulated.create("other", 1, uuid=uuid_of(2))
    for _ in range(2):
        with pytest.raises(ToolFailed, match="No space left on device"):
            simulated.create("mine", 1, uuid=UUID)
    assert simulated.create("mine", 1, uuid=UUID).size_mib == 1


def test_ordered_delay_is_slept(tmp_path: Path) -> None:
    slept: list[float] = []
    faults = Faults(StateDir(tmp_path), sleep=slept.append)
    faults.order("start", None, delay_seconds=1.5)
    faults.meet("start", UUID)
    faults.meet("start", UUID)
    assert slept == [1.5]


def test_sequence_of_names_is_sorted(images: ImageFiles) -> None:
    for name in ("c", "a", "b"):
        images.create(name, 1, uuid=UUID)
    names: Sequence[str] = [volume.name for volume in images.list()]
    assert names == ["a", "b", "c"]
