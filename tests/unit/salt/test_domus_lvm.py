"""LVM by recorded answers: what is asked of it, and what is refused before it is asked."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from domus_errors import NotValid, Refused, ToolFailed
from domus_interfaces import StorageCapacity
from domus_lvm import LvmThick, LvmThin, parse_report

from tests.support.fake_runner import FakeRunner
from tests.support.pillars import uuid_of

RECORDED = Path(__file__).resolve().parents[2] / "data" / "recorded"
EMPTY = '{"report": [{"lv": []}]}'
UUID = uuid_of(1)


class FakeLvm(FakeRunner):
    """Answers lvs with the recorded volumes, or the one that is selected, and remembers the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = parse_report((RECORDED / "lvs-2.03.16.json").read_text(), "lv")
        self.answers[("lvs",)] = self._lvs
        self.answers[("vgs",)] = (RECORDED / "vgs-2.03.16.json").read_text()
        for tool in ("lvchange", "lvremove", "lvextend", "blkdiscard"):
            self.answers[(tool,)] = ""
        self.answers[("lvcreate",)] = self._lvcreate

    def _lvs(self, argv: Sequence[str]) -> str:
        wanted = argv[argv.index("--select") + 1] if "--select" in argv else None
        rows = [row for row in self.rows if wanted in (None, f'lv_name="{row["lv_name"]}"')]
        return str({"report": [{"lv": rows}]}).replace("'", '"')

    def _lvcreate(self, argv: Sequence[str]) -> str:
        name, tag = argv[argv.index("--name") + 1], argv[argv.index("--addtag") + 1]
        thin = "--thinpool" in argv or "--snapshot" in argv
        size = next((word.rstrip("m") for word in argv if word.endswith("m") and word[:-1].isdigit()), "1024")
        self.rows.append(
            {
                "lv_name": name,
                "lv_size": f"{size}.00",
                "lv_path": f"/dev/xenvg/{name}",
                "lv_tags": tag,
                "segtype": "thin" if thin else "linear",
            }
        )
        return ""


@pytest.fixture
def lvm() -> FakeLvm:
    return FakeLvm()


@pytest.fixture
def thick(lvm: FakeLvm) -> LvmThick:
    return LvmThick("xenvg", lvm)


@pytest.fixture
def thin(lvm: FakeLvm) -> LvmThin:
    return LvmThin("xenvg", "domus-thin", lvm)


def test_volume_is_read_with_size_tags_and_kind(thick: LvmThick) -> None:
    volume = thick.info("vps-00000001-root")
    assert volume is not None
    assert (volume.size_mib, volume.kind, volume.path) == (1024, "thick", "/dev/xenvg/vps-00000001-root")
    assert volume.tag_owner == UUID


def test_missing_volume_is_none(thick: LvmThick) -> None:
    assert thick.info("vps-00000009-root") is None


def test_list_has_all_volumes_but_no_pool(thick: LvmThick) -> None:
    assert {v.name: v.tag_owner for v in thick.list()} == {
        "template-debian-12": "template-debian-12",
        "vps-00000001-root": UUID,
        "var": None,
    }


def test_thick_volume_is_made_with_its_tag_and_old_signatures_are_wiped(
    lvm: FakeLvm, thick: LvmThick
) -> None:
    volume = thick.create("vps-00000002-root", 512, uuid=uuid_of(2))
    (call,) = lvm.ran("lvcreate")
    assert call == (
        *("lvcreate", "--yes", "--wipesignatures", "y", "--addtag", f"domus:{uuid_of(2)}"),
        *("--name", "vps-00000002-root", "--size", "512m", "xenvg"),
    )
    assert volume.tag_owner == uuid_of(2)


def test_volume_that_is_there_is_not_made_again(lvm: FakeLvm, thick: LvmThick) -> None:
    assert thick.create("vps-00000001-root", 1024, uuid=UUID).size_mib == 1024
    assert lvm.ran("lvcreate") == []


@pytest.mark.parametrize("name", ["vps-00000001-root", "var"])
def test_volume_of_another_is_refused_whatever_is_asked(lvm: FakeLvm, thick: LvmThick, name: str) -> None:
    stranger = uuid_of(7)
    with pytest.raises(Refused):
        thick.create(name, 1024, uuid=stranger)
    with pytest.raises(Refused):
        thick.resize(name, 4096, uuid=stranger)
    with pytest.raises(Refused):
        thick.remove(name, uuid=stranger)
    with pytest.raises(Refused):
        thick.snapshot(name, "copy", uuid=stranger)
    assert {call[0] for call in lvm.calls} == {"lvs"}


def test_thick_volume_is_zeroed_before_it_is_given_back(lvm: FakeLvm, thick: LvmThick) -> None:
    assert thick.remove("vps-00000001-root", uuid=UUID) is True
    assert [call[0] for call in lvm.calls if call[0] != "lvs"] == [
        "lvchange",
        "blkdiscard",
        "blkdiscard",
        "lvremove",
    ]
    assert [call[1:] for call in lvm.ran("blkdiscard")] == [
        ("--zeroout", "--offset", "0MiB", "--length", "512MiB", "/dev/xenvg/vps-00000001-root"),
        ("--zeroout", "--offset", "512MiB", "/dev/xenvg/vps-00000001-root"),
    ]


def test_zeroing_goes_on_where_it_was_and_tells_how_far_it_is(lvm: FakeLvm, thick: LvmThick) -> None:
    parts = thick.wipe("vps-00000001-root", uuid=UUID)
    assert next(parts) == 512
    assert list(thick.wipe("vps-00000001-root", uuid=UUID, from_mib=512)) == [1024]
    assert list(thick.wipe("vps-00000001-root", uuid=UUID, from_mib=1024)) == []
    assert [call[3] for call in lvm.ran("blkdiscard")] == ["0MiB", "512MiB"]


def test_volume_that_was_zeroed_is_not_zeroed_again(lvm: FakeLvm, thick: LvmThick) -> None:
    assert thick.remove("vps-00000001-root", uuid=UUID, wiped=True) is True
    assert lvm.ran("blkdiscard") == []


def test_zeroing_is_for_the_owner_alone(lvm: FakeLvm, thick: LvmThick) -> None:
    with pytest.raises(Refused):
        next(thick.wipe("vps-00000001-root", uuid=uuid_of(7)))
    assert lvm.ran("blkdiscard") == []


def test_only_thick_volumes_have_to_be_zeroed(thick: LvmThick, thin: LvmThin) -> None:
    volume = thick.info("vps-00000001-root")
    assert volume is not None
    assert (thick.to_wipe_mib(volume), thin.to_wipe_mib(volume)) == (1024, 0)


def test_volume_whose_zeroing_fails_is_kept(lvm: FakeLvm, thick: LvmThick) -> None:
    lvm.answers[("blkdiscard",)] = 1
    with pytest.raises(ToolFailed, match="blkdiscard"):
        thick.remove("vps-00000001-root", uuid=UUID)
    assert lvm.ran("lvremove") == []


def test_removing_what_is_not_there_is_no_error(lvm: FakeLvm, thick: LvmThick) -> None:
    assert thick.remove("vps-00000009-root", uuid=UUID) is False
    assert lvm.ran("lvremove") == []


def test_thin_volume_is_removed_without_zeroing(lvm: FakeLvm, thin: LvmThin) -> None:
    assert thin.remove("template-debian-12", uuid="template-debian-12") is True
    assert lvm.ran("blkdiscard") == []


def test_volume_that_grew_is_one_volume_although_lvm_tells_of_each_segment(lvm: FakeLvm) -> None:
    lvm.rows = parse_report((RECORDED / "lvs-grown-2.03.16.json").read_text(), "lv")
    sizes = {volume.name: volume.size_mib for volume in LvmThick("xenvg", lvm).list()}
    assert sizes["vps-00000001-root"] == 1536
    assert len(sizes) < len(lvm.rows)


def test_volume_with_a_snapshot_is_not_wiped(lvm: FakeLvm) -> None:
    lvm.rows = parse_report((RECORDED / "lvs-grown-2.03.16.json").read_text(), "lv")
    for row in lvm.rows:
        row["lv_tags"] = f"domus:{UUID}"
    with pytest.raises(Refused, match="remove them first: copy"):
        LvmThick("xenvg", lvm).remove("var", uuid=UUID)


def test_volume_grows_and_is_never_cut_down(lvm: FakeLvm, thick: LvmThick) -> None:
    thick.resize("vps-00000001-root", 2048, uuid=UUID)
    assert lvm.ran("lvextend") == [("lvextend", "--size", "2048m", "xenvg/vps-00000001-root")]
    with pytest.raises(Refused, match="it is not cut down to 512"):
        thick.resize("vps-00000001-root", 512, uuid=UUID)


def test_resize_to_the_same_size_asks_nothing(lvm: FakeLvm, thick: LvmThick) -> None:
    thick.resize("vps-00000001-root", 1024, uuid=UUID)
    assert lvm.ran("lvextend") == []


def test_thin_volume_starts_from_its_origin_and_grows(lvm: FakeLvm, thin: LvmThin) -> None:
    thin.create("vps-00000002-root", 2048, uuid=uuid_of(2), origin="template-debian-12")
    (made,) = lvm.ran("lvcreate")
    assert made[3:5] == ("--setactivationskip", "n")
    assert made[-1] == "xenvg/template-debian-12"
    assert lvm.ran("lvextend") == [("lvextend", "--size", "2048m", "xenvg/vps-00000002-root")]


def test_thin_volume_smaller_than_its_origin_is_refused(thin: LvmThin) -> None:
    with pytest.raises(NotValid, match="has 1024 MiB and allows no less"):
        thin.create("vps-00000002-root", 512, uuid=uuid_of(2), origin="template-debian-12")


@pytest.mark.parametrize("origin", ["missing", "var"])
def test_origin_has_to_be_a_thin_volume(thin: LvmThin, origin: str) -> None:
    with pytest.raises(NotValid, match=f"There is no thin volume {origin}"):
        thin.create("vps-00000002-root", 2048, uuid=uuid_of(2), origin=origin)


def test_thick_volume_has_no_origin(thick: LvmThick) -> None:
    with pytest.raises(NotValid, match="Only thin volumes"):
        thick.create("vps-00000002-root", 2048, uuid=uuid_of(2), origin="var")


def test_capacity_of_the_group_and_of_the_pool(thick: LvmThick, thin: LvmThin) -> None:
    assert thick.capacity() == StorageCapacity(32764, 17380)
    assert thin.capacity() == StorageCapacity(12288, 11887)


@pytest.mark.parametrize("name", ["../x", "-y", "a b", "a/b", "$(id)", 'x"', "", "a..b", "x\n"])
def test_name_that_could_mean_something_else_reaches_no_tool(
    lvm: FakeLvm, thick: LvmThick, name: str
) -> None:
    with pytest.raises(NotValid):
        thick.create(name, 512, uuid=UUID)
    assert lvm.calls == []


@pytest.mark.parametrize("text", ["", "[]", '{"report": []', '{"report": [{"vg": []}]}'])
def test_report_of_another_form_is_an_error_and_not_an_empty_list(text: str) -> None:
    with pytest.raises(ToolFailed, match="has no part lv"):
        parse_report(text, "lv")


def test_device_is_activated_before_it_is_offered(lvm: FakeLvm, thick: LvmThick) -> None:
    with thick.mounted_device("vps-00000001-root") as device:
        assert device == "/dev/xenvg/vps-00000001-root"
    assert lvm.ran("lvchange")[0][-1] == "xenvg/vps-00000001-root"
