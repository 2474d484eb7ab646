"""A paid order on a real Xen dom0, from the panel to what its owner finds when logged in."""

from domus_lab.world import MINION_ID, LabWorld, Ordered


def test_paid_order_runs_on_xen_and_lets_its_owner_in(shop: Ordered) -> None:
    assert (shop.status["hypervisor"], shop.status["state"]) == ("xen", "active")
    assert shop.address.startswith("192.0.2.")
    assert shop.seconds_paid_to_ssh > shop.status["seconds_paid_to_running"]


def test_guest_is_a_paravirtual_domain_of_its_own(xen: LabWorld, shop: Ordered) -> None:
    assert xen.in_guest(shop, "cat", "/sys/hypervisor/type") == "xen"
    assert xen.in_guest(shop, "cat", "/sys/hypervisor/guest_type") == "PV"
    assert shop.domu_name in xen.dom0.run(["xl", "list"]).stdout


def test_guest_has_the_disks_of_its_product_by_label(xen: LabWorld, shop: Ordered) -> None:
    assert xen.in_guest(shop, "findmnt", "-no", "SOURCE,FSTYPE", "/").split() == ["/dev/xvda1", "ext4"]
    assert xen.in_guest(shop, "swapon", "--show=NAME", "--noheadings") == "/dev/xvda2"
    assert int(xen.in_guest(shop, "blockdev", "--getsize64", "/dev/xvda1")) == 5120 * 2**20
    fstab = xen.in_guest(shop, "cat", "/etc/fstab")
    assert "LABEL=root" in fstab
    assert "/dev/" not in fstab


def test_all_of_the_guest_started_and_its_console_is_the_one_xen_offers(xen: LabWorld, shop: Ordered) -> None:
    assert xen.in_guest(shop, "systemctl", "is-system-running", "--wait") == "running"
    assert xen.in_guest(shop, "systemctl", "is-active", "serial-getty@hvc0.service") == "active"
    tail = xen.stack.salt.call(MINION_ID, "domu.console_tail", shop.domu_name, lines=40, seconds=900)
    assert any("login:" in line for line in tail)


def test_guest_has_nothing_of_dom0(xen: LabWorld, shop: Ordered) -> None:
    for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
        assert xen.in_guest(shop, "cat", path) != xen.dom0.get(path).decode().strip()
    assert "10.0.2.3" not in xen.in_guest(shop, "cat", "/etc/resolv.conf")
    assert "dom0" not in xen.in_guest(shop, "cat", "/etc/hostname", "/etc/hosts")


def test_second_run_changes_nothing(xen: LabWorld, shop: Ordered) -> None:
    # The first may still note down on dom0 that the VPS was handed over to its customer.
    xen.converge()
    report = xen.converge()
    assert (report["states"]["changed"], report["states"]["failed"]) == (0, 0)
    assert report["vps"][shop.status["vps"]]["problem"] is None
