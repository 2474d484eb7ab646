"""Networks and addresses as an operator enters them. Pure: no database."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from domus.core.errors import InvalidInput

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: How many addresses are entered at once.
MAX_RANGE = 65_536
#: A resolver reads no further.
MAX_DNS = 3
#: The farthest place in a pool that the database can count to.
MAX_POSITION = 2**63 - 1

#: This network, loopback, link-local, multicast and reserved; the same in IPv6, with the mapped IPv4 addresses.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
        "::/127", "::ffff:0:0/96", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip


def parse_network(text: str, *, field: str = "network") -> Network:
    """Return a network written as CIDR; raise InvalidInput when it is none or leaves no room for a gateway and a VPS."""
    try:
        network = ipaddress.ip_network(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is not a network; write its first address and its prefix, such as 192.0.2.0/24 or 2001:db8::/64 "
            f"({error}).",
            field=field,
        ) from error
    if "/" not in text:
        raise InvalidInput(
            f"{text!r} has no prefix; write it like {network.network_address}/24.", field=field
        )
    if usable_count(network) < 2:
        raise InvalidInput(
            f"{network} is too small: it needs room for a gateway and at least one VPS.", field=field
        )
    for special in _SPECIAL:
        if network.version == special.version and network.overlaps(special):
            raise InvalidInput(
                f"{network} cannot be given to machines: {special} has a meaning of its own.", field=field
            )
    return network


def parse_address(text: str, *, field: str) -> Address:
    """Return one address; raise InvalidInput when it is none."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError as error:
        raise InvalidInput(
            f"{text!r} is not an address, such as 192.0.2.10 or 2001:db8::10.", field=field
        ) from error
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise InvalidInput(
            f"{text!r} has a zone; write the address without what follows the percent sign.", field=field
        )
    return address


def parse_gateway(text: str, network: Network, *, field: str = "gateway") -> Address:
    """Return the gateway; raise InvalidInput unless a machine of the network could have that address."""
    gateway = parse_address(text, field=field)
    require_usable(gateway, network, what="The gateway", field=field)
    return gateway


def parse_dns(texts: Iterable[str], *, field: str = "dns") -> list[str]:
    """Return one to three name servers, without doubles."""
    servers = list(dict.fromkeys(str(parse_address(text, field=field)) for text in texts if text.strip()))
    if not 1 <= len(servers) <= MAX_DNS:
        raise InvalidInput(f"Name one to {MAX_DNS} name servers; these are {len(servers)}.", field=field)
    return servers


def require_usable(address: Address, network: Network, *, what: str, field: str) -> None:
    """Raise InvalidInput unless a machine of the network may have the address."""
    if address not in network:
        raise InvalidInput(f"{what} {address} is not in {network}.", field=field)
    if address == network.network_address and network.num_addresses > 2:
        raise InvalidInput(f"{what} {address} is the address of the network {network} itself.", field=field)
    if address == network.broadcast_address and _has_broadcast(network):
        raise InvalidInput(f"{what} {address} is the broadcast address of {network}.", field=field)


def address_range(first: str, last: str, network: Network, *, gateway: Address) -> range:
    """Return the places in the network from *first* to *last*, both among them; raise InvalidInput when one may not be.

    The whole range is refused, not cut to what fits: a range that contains the gateway is a typing error.
    """
    start, end = parse_address(first, field="first"), parse_address(last, field="last")
    for address, field in ((start, "first"), (end, "last")):
        require_usable(address, network, what="The address", field=field)
    count = int(end) - int(start) + 1
    if count < 1:
        raise InvalidInput(f"The range ends at {end} before it begins at {start}.", field="last")
    if count > MAX_RANGE:
        raise InvalidInput(f"At most {MAX_RANGE} addresses at once; these are {count}.", field="last")
    if int(end) - int(network.network_address) > MAX_POSITION:
        raise InvalidInput(
            f"{end} is too far into {network}; make a pool of a smaller network for it.", field="last"
        )
    if int(start) <= int(gateway) <= int(end):
        raise InvalidInput(f"The gateway {gateway} is inside the range; leave it out.", field="first")
    begin = int(start) - int(network.network_address)
    return range(begin, begin + count)


def usable_count(network: Network) -> int:
    """Return how many addresses of the network machines may have."""
    if network.num_addresses <= 2:
        return network.num_addresses
    return network.num_addresses - (2 if _has_broadcast(network) else 1)


def _has_broadcast(network: Network) -> bool:
    return network.version == 4 and network.num_addresses > 2
