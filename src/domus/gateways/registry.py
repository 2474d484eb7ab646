"""Which gateways there are, found by entry points, and which of them are switched on here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import cast

from domus.core.errors import ConfigurationError, NotFound
from domus.gateways.interface import Gateway

log = logging.getLogger(__name__)

#: Under this group a package names, per gateway, a function of the environment: it returns the gateway, or None when it is
#: not configured, and raises ConfigurationError when it is so wrongly.
GROUP = "domus.gateways"

MAX_NAME_LENGTH = 32


class Gateways:
    """The gateways of one installation, in the order in which customers see them."""

    def __init__(self, *gateways: Gateway) -> None:
        self._by_name = {gateway.name: gateway for gateway in gateways}

    def __iter__(self) -> Iterator[Gateway]:
        return iter(self._by_name.values())

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str) -> Gateway:
        """Return one by its name; raise NotFound for one that is not switched on."""
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFound("There is no such way to pay here.") from None

    def find(self, name: str) -> Gateway | None:
        """Return one by its name, or None."""
        return self._by_name.get(name)


def gateways_from(env: Mapping[str, str]) -> Gateways:
    """Return every installed gateway that the environment switches on."""
    found: dict[str, Gateway] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda entry_point: entry_point.name):
        make = cast("Callable[[Mapping[str, str]], Gateway | None]", entry_point.load())
        gateway = make(env)
        if gateway is None:
            continue
        if gateway.name != entry_point.name or not 0 < len(gateway.name) <= MAX_NAME_LENGTH:
            raise ConfigurationError(
                f"The gateway of the entry point {entry_point.name!r} calls itself {gateway.name!r}; "
                f"the two must be the same, with at most {MAX_NAME_LENGTH} characters."
            )
        found[gateway.name] = gateway
    return Gateways(*found.values())
