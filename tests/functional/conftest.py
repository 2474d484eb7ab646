"""Fixtures for tests on Salt's real loader."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
for folder in (REPOSITORY / "salt" / "_utils", REPOSITORY):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))

from tests.support.salt_loader import SaltDom0  # noqa: E402 - the lines above lead to it

SIMULATED = {"memory_mib": 4096, "disk_mib": 100_000, "vcpus": 8, "install_seconds": 0}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Salt leave its sockets and event loops to the garbage collector: it closes few itself."""
    for item in items:
        if "salt_dom0" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="session")
def salt_loader(tmp_path_factory: pytest.TempPathFactory) -> SaltDom0:
    """Load Salt's modules once."""
    loaded = SaltDom0(tmp_path_factory.mktemp("salt"), simulated=SIMULATED)
    # What is loaded stays; looking through it at each collection takes a second.
    gc.collect()
    gc.freeze()
    return loaded


@pytest.fixture
def salt_dom0(salt_loader: SaltDom0) -> Iterator[SaltDom0]:
    """Offer a dom0 on the simulated hypervisor, without a pillar yet."""
    salt_loader.begin()
    yield salt_loader
    # While this test is still on, so that no other one is blamed for what Salt left open.
    gc.collect()


@pytest.fixture(params=[True, False], ids=["test", "real"])
def testmode(request: pytest.FixtureRequest) -> bool:
    """Run a test with ``test=True`` and without."""
    return bool(request.param)
