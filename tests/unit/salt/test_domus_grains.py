"""The grains, by what the tools say."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.fake_runner import FakeRunner

ROOT = Path(__file__).resolve().parents[3]
RECORDED = ROOT / "tests" / "data" / "recorded"


@pytest.fixture
def grains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Load the file as Salt does, with its options beside it, on a machine that is no Xen dom0."""
    spec = importlib.util.spec_from_file_location(
        "domus_grains", ROOT / "salt" / "_grains" / "domus_grains.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "__opts__", {}, raising=False)
    monkeypatch.setattr(module, "XEN_CAPABILITIES", tmp_path / "capabilities")
    return module


def on_xen(
    grains: ModuleType, monkeypatch: pytest.MonkeyPatch, answers: dict[tuple[str, ...], Any]
) -> dict[str, Any]:
    grains.XEN_CAPABILITIES.write_text("control_d\n")
    monkeypatch.setattr(grains, "Runner", lambda: FakeRunner(answers))
    facts: dict[str, Any] = grains.domus()["domus"]
    return facts


def test_machine_that_runs_no_domus_has_no_grain(grains: ModuleType) -> None:
    assert grains.domus() == {}


def test_simulated_dom0_says_what_its_options_say(grains: ModuleType) -> None:
    grains.__opts__["domus"] = {"simulated": {"memory_mib": 1024, "vcpus": 2}}
    facts = grains.domus()["domus"]
    assert (facts["hypervisor"], facts["memory_mib"], facts["schema_version"]) == ("simulated", 1024, 1)


def test_xen_dom0_says_what_xl_and_vgs_say(grains: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {
        ("xl", "info"): (RECORDED / "xl-info-4.17.txt").read_text(),
        ("vgs",): (RECORDED / "vgs-2.03.16.json").read_text(),
    }
    facts = on_xen(grains, monkeypatch, answers)
    assert facts["hypervisor"] == "xen"
    assert (facts["memory_mib"], facts["vcpus"], facts["xen_version"]) == (4095, 2, "4.17.7")
    assert facts["volume_groups"] == [{"name": "xenvg", "size_mib": 32764, "free_mib": 17380}]


def test_tools_that_do_not_answer_leave_the_other_grains(
    grains: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = on_xen(grains, monkeypatch, {("xl",): 1, ("vgs",): 5})
    assert facts["hypervisor"] == "xen"
    assert facts["volume_groups"] == []
    assert "memory_mib" not in facts
