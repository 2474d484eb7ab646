"""The image's cache key, its package list, and what a missing image or program leads to."""

from pathlib import Path

import pytest

from domus_lab import image, rootfs
from domus_lab.bare import BARE_DEBIAN
from domus_lab.closure import import_closure
from domus_lab.errors import LabError
from domus_lab.programs import last_lines, require_programs, run


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Stand in for the files that an image is made of."""
    content = {"packages.txt": b"lvm2\n", "setup.sh": b"true\n"}
    monkeypatch.setattr(rootfs, "inputs", lambda: iter(sorted(content.items())))
    return content


def test_the_same_inputs_make_the_same_image(inputs: dict[str, bytes]) -> None:
    assert image.cache_key("ssh-ed25519 AAAA") == image.cache_key("ssh-ed25519 AAAA")


@pytest.mark.parametrize("name", ["packages.txt", "setup.sh"])
def test_each_input_changes_the_image(inputs: dict[str, bytes], name: str) -> None:
    before = image.cache_key("ssh-ed25519 AAAA")
    inputs[name] += b"# changed\n"
    assert image.cache_key("ssh-ed25519 AAAA") != before


def test_content_that_moves_between_inputs_changes_the_image(inputs: dict[str, bytes]) -> None:
    before = image.cache_key("ssh-ed25519 AAAA")
    inputs.update({"packages.txt": b"lvm2\ntrue\n", "setup.sh": b""})
    assert image.cache_key("ssh-ed25519 AAAA") != before


def test_another_ssh_key_needs_another_image(inputs: dict[str, bytes]) -> None:
    assert image.cache_key("ssh-ed25519 AAAA") != image.cache_key("ssh-ed25519 BBBB")


def test_the_two_kinds_of_image_are_kept_apart(tmp_path: Path, inputs: dict[str, bytes]) -> None:
    (tmp_path / "ssh_key").touch()
    (tmp_path / "ssh_key.pub").write_text("ssh-ed25519 AAAA")
    folders = {image.current_image(tmp_path, kind).directory.parent for kind in (image.DOM0, BARE_DEBIAN)}
    assert folders == {tmp_path / "images", tmp_path / "bare-images"}


def test_what_dom0s_states_install_decides_what_the_bare_debians_archive_holds() -> None:
    assert {"domus_dom0_states", "domus_bootstrap"} <= {name for name, _ in BARE_DEBIAN.inputs()}


def test_an_image_counts_as_built_only_with_its_manifest(tmp_path: Path) -> None:
    built = image.LabImage(tmp_path)
    (tmp_path / "root.img").touch()
    assert not built.exists()
    (tmp_path / "manifest.json").write_text('{"build_seconds": 100.5}')
    assert built.exists()
    assert built.manifest == {"build_seconds": 100.5}


def test_the_lab_directory_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOMUS_LAB_DIR", str(tmp_path))
    assert image.lab_directory() == tmp_path
    monkeypatch.delenv("DOMUS_LAB_DIR")
    assert image.lab_directory() == rootfs.CHECKOUT / ".domus" / "lab"


def test_only_root_may_build_and_is_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, inputs: dict[str, bytes]
) -> None:
    monkeypatch.setattr(image, "ssh_public_key", lambda lab_dir: "ssh-ed25519 AAAA")
    monkeypatch.setattr(image, "require_programs", lambda names: None)
    monkeypatch.setattr(image.os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="needs root"):
        image.ensure_image(tmp_path)


def test_comments_and_empty_lines_are_no_packages() -> None:
    assert rootfs.packages("# what\n\nlvm2  # volumes\n zstd\n") == ["lvm2", "zstd"]


def test_a_stage_folder_with_spaces_stays_one_word_of_the_hook() -> None:
    command = rootfs.mmdebstrap_command(Path("/x/root"), Path("/x/a b/stage"))
    assert "--customize-hook=sync-in '/x/a b/stage' /" in command


def test_missing_programs_are_named_with_the_packages_that_bring_them() -> None:
    with pytest.raises(LabError) as raised:
        require_programs(["qemu-img", "ssh", "ssh-keygen"], find=lambda name: None)
    assert str(raised.value) == (
        "missing: qemu-img, ssh, ssh-keygen. Install as root: apt-get install openssh-client qemu-utils"
    )


def test_a_failing_program_is_quoted_with_what_it_said() -> None:
    with pytest.raises(LabError, match=r"(?s)tar failed with exit code 2.*no-such-file"):
        run(["tar", "-tf", "/no-such-file"], timeout_seconds=30)


def test_only_the_last_lines_are_quoted() -> None:
    assert last_lines(b"1\n2\n3\n\xff\n", 2) == "3\n\ufffd"


def test_what_the_template_builder_imports_counts_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import os\nimport b\n")
    (tmp_path / "b.py").write_text("from c import x\n\n\ndef f() -> None:\n    import a\n")
    (tmp_path / "c.py").write_text("x = 1\n")
    (tmp_path / "other.py").write_text("import a\n")
    assert [path.name for path in import_closure("a", tmp_path)] == ["a.py", "b.py", "c.py"]
