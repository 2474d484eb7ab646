"""What its owner and its guest do with the power of a VPS on a real Xen dom0, told by what its owner sees."""

from domus_lab.world import LabWorld, Ordered
from domus_stack.customer import Customer
from tests.support.wait import wait_until

# A graceful stop may take two minutes before the plug is pulled, and each boot is emulated.
LIMIT_SECONDS = 900
NOTE = "/root/note"


def wait_for_sentence(xen: LabWorld, customer: Customer, shop: Ordered, sentence: str) -> None:
    """Wait until the page of the VPS says so."""
    page = f"/vps/{shop.status['vps']}/state"
    wait_until(
        lambda: sentence in customer.page(page),
        f"the page of the VPS to say {sentence!r}",
        LIMIT_SECONDS,
        interval=0.5,
        explain=lambda: f"{customer.page(page)}\n{xen.dom0.guests_last_words()}",
    )


def wait_until_gone(xen: LabWorld, shop: Ordered) -> None:
    """Wait until Xen has no domain of it any more, which it clears away after it is off."""
    wait_until(
        lambda: xen.domain_of(shop) is None,
        "Xen to clear away the domain",
        LIMIT_SECONDS,
        interval=1,
        explain=xen.dom0.guests_last_words,
    )


def wait_for_another_boot(xen: LabWorld, shop: Ordered, former: str | None) -> None:
    """Wait until the guest lets its owner in again, in another domain than before."""
    wait_until(
        lambda: xen.domain_of(shop) not in (None, former),
        "another domain of the guest",
        LIMIT_SECONDS,
        interval=1,
        explain=xen.dom0.guests_last_words,
    )
    xen.dom0.wait_for_guest(shop.address, limit_seconds=LIMIT_SECONDS)


def test_guest_that_reboots_itself_comes_back_as_the_same_vps(
    xen: LabWorld, customer: Customer, shop: Ordered
) -> None:
    former = xen.domain_of(shop)
    machine_id = xen.in_guest(shop, "cat", "/etc/machine-id")
    xen.let_guest(shop, "reboot")
    wait_for_another_boot(xen, shop, former)
    assert xen.in_guest(shop, "cat", "/sys/hypervisor/uuid") == shop.status["vps"]
    assert xen.in_guest(shop, "cat", "/etc/machine-id") == machine_id
    wait_for_sentence(xen, customer, shop, "It runs.")


def test_stop_and_start_at_the_panel_keep_the_data(xen: LabWorld, customer: Customer, shop: Ordered) -> None:
    page, former = f"/vps/{shop.status['vps']}", xen.domain_of(shop)
    xen.in_guest(shop, "sh", "-c", f"echo kept > {NOTE} && sync")
    customer.press(f"{page}/shutdown", "")
    wait_for_sentence(xen, customer, shop, "It is off.")
    wait_until_gone(xen, shop)
    customer.press(page, f"{page}/start")
    wait_for_another_boot(xen, shop, former)
    assert xen.in_guest(shop, "cat", NOTE) == "kept"
    wait_for_sentence(xen, customer, shop, "It runs.")


def test_guest_that_powers_itself_off_stays_off(xen: LabWorld, customer: Customer, shop: Ordered) -> None:
    xen.let_guest(shop, "poweroff")
    wait_for_sentence(xen, customer, shop, "It is off.")
    wait_until_gone(xen, shop)
    assert xen.converge()["vps"][shop.status["vps"]]["power"] == "stopped"
    assert xen.domain_of(shop) is None
