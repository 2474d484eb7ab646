"""Checks of single fields: each returns the value or says which field broke which rule.

Strict grammars hold for all that becomes part of a name, a path or an argument. Free text is only
cleared of control characters; whoever renders it has to encode it.
"""

import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from domus_errors import NotValid

Parsed = TypeVar("Parsed")

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DOMU_NAME = re.compile(r"[a-z](?:[a-z0-9-]{0,46}[a-z0-9])?")
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
DISK_NAME = re.compile(r"[a-z][a-z0-9]{0,15}")
DEVICE = re.compile(r"xvd[a-p](?:[1-9][0-9]?)?")
MAC = re.compile(r"[0-9a-f][02468ace](?::[0-9a-f]{2}){5}")
INTERFACE = re.compile(r"[a-z][a-z0-9._-]{0,14}")
LVM_NAME = re.compile(r"[a-zA-Z0-9+_][a-zA-Z0-9+_.-]{0,99}")
VERSION = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,31})")
HOST_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE)
# No user name or password: the address of the mirror is written into guests.
MIRROR = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~-]+)*/?")
REPORT_KEY = re.compile(r"[0-9a-f]{64}")
PASSWORD_HASH = re.compile(r"\$(?:2[aby]|5|6|y)\$[./A-Za-z0-9$=]{10,160}")
SSH_KEY = re.compile(r"([a-z0-9@.-]{7,60}) ([A-Za-z0-9+/]{60,6000}={0,2})(?: (.{0,200}))?")
SSH_KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


class Fields:
    """The fields of one map in the pillar, taken out one by one and checked.

    `finish` complains about what nobody asked for, so a misspelt field cannot pass unseen.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, Mapping):
            raise NotValid(f"{where} is {shorten(value)}; allowed is a map")
        self._rest = dict(value)
        self.where = where

    def path(self, name: str) -> str:
        """Return how messages call a field."""
        return f"{self.where}.{name}"

    def take(self, name: str) -> Any:
        """Return the raw value of a field that has to be there."""
        if name not in self._rest:
            raise NotValid(f"{self.path(name)} is missing")
        return self._rest.pop(name)

    def optional(self, name: str, parse: Callable[[Any, str], Parsed]) -> Parsed | None:
        """Return a field that may be missing or null."""
        value = self._rest.pop(name, None)
        return None if value is None else parse(value, self.path(name))

    def text(self, name: str, pattern: re.Pattern[str], allowed: str) -> str:
        """Return a text field that matches a grammar entirely."""
        return matching(self.take(name), self.path(name), pattern, allowed)

    def uuid(self, name: str) -> str:
        """Return a uuid in its usual lower case form."""
        return uuid(self.take(name), self.path(name))

    def number(self, name: str, minimum: int, maximum: int) -> int:
        """Return a whole number between two limits, both allowed."""
        value = self.take(name)
        if type(value) is not int or not minimum <= value <= maximum:
            allowed = f"allowed is a whole number from {minimum} to {maximum}"
            raise NotValid(f"{self.path(name)} is {shorten(value)}; {allowed}")
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        """Return a text field that is one of a few words."""
        value = self.take(name)
        if not isinstance(value, str) or value not in allowed:
            raise NotValid(f"{self.path(name)} is {shorten(value)}; allowed: {', '.join(allowed)}")
        return value

    def each(
        self, name: str, parse: Callable[[Any, str], Parsed], minimum: int, maximum: int
    ) -> tuple[Parsed, ...]:
        """Return a list field with every item parsed."""
        value = self.take(name)
        if not isinstance(value, list | tuple) or not minimum <= len(value) <= maximum:
            said = f"{len(value)} items" if isinstance(value, list | tuple) else shorten(value)
            raise NotValid(f"{self.path(name)} is {said}; allowed is a list of {minimum} to {maximum} items")
        return tuple(parse(item, f"{self.path(name)}[{n}]") for n, item in enumerate(value))

    def finish(self) -> None:
        """Complain about fields that nobody took."""
        if self._rest:
            names = ", ".join(sorted(shorten(name) for name in self._rest))
            raise NotValid(f"{self.where} has fields that are not known here: {names}")


def shorten(value: Any) -> str:
    """Return a value as a short piece of a message."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def matching(value: Any, where: str, pattern: re.Pattern[str], allowed: str) -> str:
    """Return a text that matches a grammar entirely."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise NotValid(f"{where} is {shorten(value)}; allowed: {allowed}")
    return value


def uuid(value: Any, where: str) -> str:
    """Return a uuid in its usual lower case form."""
    return matching(value, where, UUID, "a uuid in lower case, 8-4-4-4-12 hexadecimal digits")


def hostname(value: Any, where: str) -> str:
    """Return a host name by RFC 1123; a last label of digits alone would read as an address."""
    labels = value.split(".") if isinstance(value, str) else []
    fits = isinstance(value, str) and len(value) <= 253
    if not fits or not all(HOST_LABEL.fullmatch(x) for x in labels) or labels[-1].isdigit():
        raise NotValid(
            f"{where} is {shorten(value)}; allowed is a host name: labels of letters, digits and "
            "hyphens joined by dots, 63 characters each and 253 in all"
        )
    return str(value)


def address(value: Any, where: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an IP address given as text."""
    try:
        parsed = ipaddress.ip_address(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or getattr(parsed, "scope_id", None):
        raise NotValid(f"{where} is {shorten(value)}; allowed is an IP address")
    return parsed


def moment(value: Any, where: str) -> datetime:
    """Return a point in time; without a time zone it would be a guess, so that is refused."""
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None:
        raise NotValid(f"{where} is {shorten(value)}; allowed: a time such as 2026-11-20T12:00:00Z")
    return parsed.astimezone(UTC)


def flag(value: Any, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise NotValid(f"{where} is {shorten(value)}; allowed: true, false")
    return value


def count(value: Any, where: str) -> int:
    """Return a whole number from 1."""
    if type(value) is not int or value < 1:
        raise NotValid(f"{where} is {shorten(value)}; allowed is a whole number from 1")
    return value


def mirror(value: Any, where: str) -> str:
    """Return the address of a package mirror."""
    return matching(value, where, MIRROR, "an http or https address without a user name")


def password_hash(value: Any, where: str) -> str:
    """Return a password hash as crypt(3) takes it; the message does not repeat the value."""
    if not isinstance(value, str) or not PASSWORD_HASH.fullmatch(value):
        raise NotValid(f"{where} is no crypt hash; allowed: bcrypt, yescrypt, SHA-256 or SHA-512")
    return value


def report_key(value: Any, where: str) -> str:
    """Return the key that reports are sealed with; the message does not repeat the value."""
    if not isinstance(value, str) or not REPORT_KEY.fullmatch(value):
        raise NotValid(f"{where} is no key; allowed: 64 hexadecimal digits")
    return value


def ssh_key(value: Any, where: str) -> str:
    """Return one line of an authorized_keys file; options before the key are not allowed."""
    found = SSH_KEY.fullmatch(value) if isinstance(value, str) else None
    if not found or found[1] not in SSH_KEY_TYPES or not value.isprintable():
        raise NotValid(
            f"{where} is {shorten(value)}; allowed is one line `type base64 comment` with the type "
            f"one of {', '.join(SSH_KEY_TYPES)}"
        )
    return str(value)
