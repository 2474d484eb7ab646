"""Domain XML: what stands in it, and that no customer can write into it."""

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from domus_domxml import NAMESPACE, Boot, differences, facts, parse, render
from domus_errors import ToolFailed
from domus_spec import VpsSpec

from tests.support.pillars import uuid_of, vps_entry

RECORDED = Path(__file__).resolve().parents[2] / "data" / "recorded"
BOOT = Boot("/boot/vmlinuz", "/boot/initrd.img", "/var/log/console.log")
PATHS = {"root": "/dev/xenvg/vps-00000001-root", "swap": "/var/lib/domus/images/vps-00000001-swap.img"}


def domain(kind: str = "xen", **changes: object) -> ET.Element:
    return parse(render(VpsSpec.parse(vps_entry(1, **changes)), PATHS, kind, BOOT))


def test_xen_guest_is_a_paravirtual_one_with_its_console_on_hvc0() -> None:
    xml = domain()
    assert xml.get("type") == "xen"
    assert xml.findtext("os/type") == "linux"
    assert xml.findtext("os/cmdline") == "root=/dev/xvda1 ro console=hvc0"
    console = xml.find("devices/console/target")
    assert console is not None
    assert console.get("type") == "xen"


def test_crashing_guest_is_not_restarted_for_ever() -> None:
    xml = domain()
    events = ("on_poweroff", "on_reboot", "on_crash")
    assert [xml.findtext(event) for event in events] == ["destroy", "restart", "destroy"]


def test_disks_keep_the_device_names_that_the_guest_knows() -> None:
    targets = [target.attrib for target in domain().findall("devices/disk/target")]
    assert targets == [{"dev": "xvda1", "bus": "xen"}, {"dev": "xvda2", "bus": "xen"}]


def test_block_device_and_file_are_told_apart() -> None:
    first, second = domain().findall("devices/disk")
    assert (first.get("type"), first.find("driver").get("name")) == ("block", "phy")
    assert (second.get("type"), second.find("source").get("file")) == ("file", PATHS["swap"])


def test_kvm_guest_has_virtio_disks_and_a_serial_console() -> None:
    xml = domain("kvm")
    assert xml.findtext("os/cmdline") == "root=/dev/vda ro console=ttyS0"
    assert [t.get("dev") for t in xml.findall("devices/disk/target")] == ["vda", "vdb"]
    assert xml.find("devices/console/log").get("file") == "/var/log/console.log"


def test_name_of_the_interface_in_dom0_is_left_out_when_it_is_too_long() -> None:
    short = domain("kvm").find("devices/interface/target")
    assert short is not None
    assert short.get("dev") == "vps-00000001.0"
    assert domain("kvm", name="vps-with-a-long-name").find("devices/interface/target") is None


def test_metadata_carry_uuid_and_revision() -> None:
    noted = domain(revision=7).find(f"metadata/{{{NAMESPACE}}}vps")
    assert noted is not None
    assert noted.attrib["uuid"] == uuid_of(1)
    assert noted.attrib["revision"] == "7"


@pytest.mark.parametrize("text", ["{{ 7*7 }}", "$(id)", "]]>", "../", "!!python/object", "'\"<x/>&amp;"])
def test_nothing_of_the_customer_is_in_the_definition(text: str) -> None:
    key = f"ssh-ed25519 {'A' * 68} {text}"
    spec = VpsSpec.parse(vps_entry(1, os={"ssh_keys": [key], "hostname": "marker.example.org"}))
    xml = render(spec, PATHS, "xen", BOOT)
    assert text not in xml
    assert "marker" not in xml
    assert "$2b$" not in xml


def test_path_with_characters_of_xml_is_escaped() -> None:
    paths = PATHS | {"root": "/dev/x\"><evil/>&'y"}
    xml = parse(render(VpsSpec.parse(vps_entry(1)), paths, "xen", BOOT))
    assert xml.find("devices/disk/source").get("dev") == paths["root"]
    assert xml.find(".//evil") is None


def test_facts_of_a_definition_are_what_went_in() -> None:
    found = facts(render(VpsSpec.parse(vps_entry(1, cpu_cap_percent=50)), PATHS, "xen", BOOT))
    assert found["memory_mib"] == 512
    assert found["disks"][0] == "xvda1=/dev/xenvg/vps-00000001-root"
    assert found["nics"] == ["00:16:3e:00:00:01@xenbr0"]
    assert found["cpu_cap_percent"] == 50


def test_differences_name_old_and_new() -> None:
    before = facts(render(VpsSpec.parse(vps_entry(1)), PATHS, "xen", BOOT))
    after = facts(render(VpsSpec.parse(vps_entry(1, vcpus=4, revision=2)), PATHS, "xen", BOOT))
    assert differences(before, after) == {"vcpus": {"old": 1, "new": 4}}


@pytest.mark.parametrize(
    "xml",
    [
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><domain>&e;</domain>',
        "<domain",
        "",
    ],
)
def test_xml_that_libvirt_would_not_make_is_refused(xml: str) -> None:
    with pytest.raises(ToolFailed, match="libvirt's domain XML"):
        parse(xml)


@pytest.mark.parametrize("name", ["virsh-dumpxml-9.0.0.xml", "virsh-dumpxml-running-9.0.0.xml"])
def test_what_libvirts_xen_driver_makes_of_a_definition_still_says_the_same(name: str) -> None:
    spec = VpsSpec.parse(vps_entry(1, cpu_weight=512, cpu_cap_percent=50))
    paths = {"root": "/dev/xenvg/vps-00000001-root", "swap": "/dev/xenvg/vps-00000001-swap"}
    boot = Boot("/var/lib/domus/boot/vmlinuz", "/var/lib/domus/boot/initrd.img")
    recorded = facts((RECORDED / name).read_text())
    assert differences(recorded, facts(render(spec, paths, "xen", boot))) == {}
