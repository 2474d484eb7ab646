"""The archive of packages that the lab's machines install from."""

from pathlib import Path

import pytest
import requests

from domus_lab.archive import ArchiveServer


def test_it_serves_its_folder_and_notes_which_packages_were_asked_for(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "lvm2_1_amd64.deb").write_bytes(b"a package")
    with ArchiveServer(tmp_path) as archive:
        here = f"http://127.0.0.1:{archive.port}"
        assert archive.url == f"http://10.0.2.2:{archive.port}"
        assert requests.get(f"{here}/pool/lvm2_1_amd64.deb", timeout=30).content == b"a package"
        assert requests.get(f"{here}/dists/bookworm/InRelease", timeout=30).status_code == 404
        assert archive.asked_for == ["/pool/lvm2_1_amd64.deb", "/dists/bookworm/InRelease"]
        assert archive.packages_fetched() == ["lvm2_1_amd64.deb"]


def test_it_is_unreachable_when_it_has_ended(tmp_path: Path) -> None:
    with ArchiveServer(tmp_path) as archive:
        port = archive.port
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{port}/", timeout=30)
