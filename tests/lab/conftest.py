"""A whole Domus with a real Xen dom0; one boot and one order serve all tests of this folder."""

import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from domus_lab import LabError, LabImage, ensure_image
from domus_lab.bare import ensure_bare_image
from domus_lab.scale import Look, looking
from domus_lab.world import IMAGE, LabWorld, Ordered
from domus_stack.customer import Credentials, Customer, new_password

# Everything in there runs on an emulated CPU, beside whatever else this machine does.
LIMIT_SECONDS = 3600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/tests/lab/" in item.path.as_posix():
            item.add_marker(pytest.mark.lab)
            item.add_marker(pytest.mark.timeout(LIMIT_SECONDS))


@pytest.fixture(scope="session")
def lab_image() -> LabImage:
    """Return the dom0's image."""
    return _built(ensure_image)


@pytest.fixture(scope="session")
def bare_image() -> LabImage:
    """Return the image of a Debian that is no dom0 yet."""
    return _built(ensure_bare_image)


def _built(ensure: Callable[[], LabImage]) -> LabImage:
    """Return an image. Where there can be none the tests say so; on CI that is a failure."""
    try:
        return ensure()
    except LabError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"there is no lab here: {error}")


@pytest.fixture(scope="session")
def xen(lab_image: LabImage) -> Iterator[LabWorld]:
    """Offer the database, the master, the panel and the dom0."""
    with LabWorld(image=lab_image) as world:
        yield world


@pytest.fixture(scope="session")
def customer(xen: LabWorld) -> Customer:
    found = Customer(xen.stack.panel.url)
    found.sign_up("Ada", Credentials(f"ada-{uuid.uuid4()}@example.org", new_password()))
    return found


@dataclass(frozen=True)
class Watched:
    """An order, and what dom0's processes weighed meanwhile."""

    vps: Ordered
    look: Look


@pytest.fixture(scope="session")
def watched(xen: LabWorld, customer: Customer) -> Watched:
    """Order a VPS and pay it; it was installed from the template and let its owner in."""
    with looking(xen.dom0) as look:
        vps = xen.order(customer, "shop.example.org", template=IMAGE, show=print)
    return Watched(vps, look)


@pytest.fixture(scope="session")
def shop(watched: Watched) -> Ordered:
    """Offer the VPS that was ordered."""
    return watched.vps
