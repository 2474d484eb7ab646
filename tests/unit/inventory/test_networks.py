"""Networks and addresses as operators enter them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.errors import InvalidInput
from domus.inventory import networks

NETWORK = ipaddress.ip_network("192.0.2.0/24")
NETWORK6 = ipaddress.ip_network("2001:db8::/64")


@pytest.mark.parametrize(
    "text", ["192.0.2.0/24", "198.51.100.0/30", "2001:db8::/64", "192.0.2.4/31", " 192.0.2.0/24 "]
)
def test_networks_with_room_are_taken(text: str) -> None:
    assert str(networks.parse_network(text)) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "192.0.2.0",
        "192.0.2.1/24",
        "192.0.2.0/33",
        "192.0.2.0/32",
        "2001:db8::/128",
        "2001:db8::1/64",
        "0.0.0.0/0",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/8",
        "255.255.255.0/24",
        "fe80::/64",
        "ff00::/8",
        "::/0",
        "::ffff:192.0.2.0/120",
        "example.org/24",
        "192.0.2.0/24; id",
    ],
)
def test_networks_that_cannot_be_pools_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        networks.parse_network(text)
    assert caught.value.field == "network"


@pytest.mark.parametrize(
    ("gateway", "why"),
    [
        ("192.0.2.0", "address of the network"),
        ("192.0.2.255", "broadcast address"),
        ("198.51.100.1", "is not in"),
        ("2001:db8::1", "is not in"),
        ("gateway", "is not an address"),
        ("fe80::1%eth0", "zone"),
    ],
)
def test_a_gateway_is_an_address_that_a_machine_of_the_network_can_have(gateway: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        networks.parse_gateway(gateway, NETWORK)


def test_ipv6_has_no_broadcast_address() -> None:
    last = str(NETWORK6.broadcast_address)
    assert str(networks.parse_gateway(last, NETWORK6)) == last
    with pytest.raises(InvalidInput, match="address of the network"):
        networks.parse_gateway("2001:db8::", NETWORK6)


def test_both_addresses_of_a_point_to_point_network_can_be_used() -> None:
    pair = networks.parse_network("192.0.2.4/31")
    assert str(networks.parse_gateway("192.0.2.4", pair)) == "192.0.2.4"
    assert networks.address_range("192.0.2.5", "192.0.2.5", pair, gateway=pair[0]) == range(1, 2)


@pytest.mark.parametrize(
    "servers", [[], [""], ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"], ["dns.example.org"]]
)
def test_one_to_three_name_servers_are_named_by_address(servers: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        networks.parse_dns(servers)
    assert caught.value.field == "dns"


def test_a_name_server_named_twice_is_one() -> None:
    assert networks.parse_dns(["192.0.2.1", " 192.0.2.1", "2001:DB8:0::1", ""]) == [
        "192.0.2.1",
        "2001:db8::1",
    ]


@pytest.mark.parametrize(
    ("first", "last", "field", "why"),
    [
        ("192.0.2.0", "192.0.2.9", "first", "address of the network"),
        ("192.0.2.250", "192.0.2.255", "last", "broadcast"),
        ("192.0.2.250", "192.0.3.5", "last", "is not in"),
        ("192.0.2.20", "192.0.2.10", "last", "before it begins"),
        ("192.0.2.1", "192.0.2.9", "first", "gateway"),
        ("x", "192.0.2.9", "first", "not an address"),
        ("2001:db8::1", "192.0.2.9", "first", "is not in"),
    ],
)
def test_ranges_that_hold_what_no_vps_may_have_are_refused(
    first: str, last: str, field: str, why: str
) -> None:
    with pytest.raises(InvalidInput, match=why) as caught:
        networks.address_range(first, last, NETWORK, gateway=NETWORK[1])
    assert caught.value.field == field


def test_ranges_are_neither_too_long_nor_too_far_into_the_network() -> None:
    gateway = NETWORK6[1]
    assert len(networks.address_range("2001:db8::10", "2001:db8::1:f", NETWORK6, gateway=gateway)) == 65_536
    with pytest.raises(InvalidInput, match="At most 65536"):
        networks.address_range("2001:db8::10", "2001:db8::1:10", NETWORK6, gateway=gateway)
    with pytest.raises(InvalidInput, match="too far"):
        networks.address_range("2001:db8::8000:0:0:1", "2001:db8::8000:0:0:2", NETWORK6, gateway=gateway)


@given(st.integers(0, 255), st.integers(0, 255), st.integers(1, 254))
def test_a_range_is_taken_exactly_when_a_vps_may_have_every_address_of_it(
    first: int, last: int, gateway: int
) -> None:
    usable = set(range(1, 255)) - {gateway}
    may = first <= last and set(range(first, last + 1)) <= usable
    try:
        found = networks.address_range(
            str(NETWORK[first]), str(NETWORK[last]), NETWORK, gateway=NETWORK[gateway]
        )
    except InvalidInput:
        assert not may
    else:
        assert may
        assert found == range(first, last + 1)
