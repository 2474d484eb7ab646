"""What a new order must be: each fault is told beside the field that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import bcrypt
from sqlalchemy.orm import Session

from domus.accounts.actor import Actor
from domus.accounts.models import Account
from domus.catalog.addons import Chosen, choose
from domus.catalog.models import OsTemplate, Price
from domus.core.errors import InvalidInput
from domus.core.hostnames import parse_hostname
from domus.core.ssh_keys import parse_ssh_keys
from domus.inventory.models import Location
from domus.placement.services import Wish

MIN_PASSWORD_LENGTH = 10
#: bcrypt looks at no more.
MAX_PASSWORD_BYTES = 72
#: The length of the database's column.
MAX_TOKEN_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order form as it was filled in.

    ``request_token`` was made with the form: sent twice, it is one order.
    """

    account_id: int
    price_id: int
    location_id: int
    template_id: int
    hostname: str
    ssh_keys: str
    """One public key a line."""
    root_password: str | None
    request_token: str
    coupon: str = ""
    """Its code as it was typed, or nothing."""
    addons: Mapping[int, int] = field(default_factory=dict)
    """How many pieces of which add-ons."""

    def __repr__(self) -> str:
        return f"OrderRequest(account_id={self.account_id}, hostname={self.hostname!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen from the catalogue."""

    price: Price
    template: OsTemplate
    location: Location
    addons: tuple[Chosen, ...]


def check_wish(request: OrderRequest) -> Wish:
    """Return what is wanted inside the VPS, the password hashed; raise InvalidInput.

    Slow on purpose, and needs no database.
    """
    if not 1 <= len(request.request_token) <= MAX_TOKEN_LENGTH:
        raise InvalidInput(
            f"The form's token has 1 to {MAX_TOKEN_LENGTH} characters; please open the order page again.",
            field="request_token",
        )
    hostname = parse_hostname(request.hostname)
    keys = parse_ssh_keys(request.ssh_keys)
    password = request.root_password or None
    if password is None and not keys:
        raise InvalidInput(
            "An ssh key or a root password is needed: without either nobody gets in.", field="ssh_keys"
        )
    return Wish(
        hostname=hostname,
        ssh_keys=keys,
        root_password_hash=None if password is None else hash_root_password(password),
    )


def hash_root_password(password: str, *, field: str = "root_password") -> str:
    """Return the hash that goes into the guest's shadow file.

    Raise InvalidInput when the password cannot be one.
    """
    if len(password) < MIN_PASSWORD_LENGTH:
        raise InvalidInput(f"A root password has at least {MIN_PASSWORD_LENGTH} characters.", field=field)
    if not password.isprintable():
        raise InvalidInput("A root password consists of characters that can be typed.", field=field)
    encoded = password.encode()
    if len(encoded) > MAX_PASSWORD_BYTES:
        raise InvalidInput(f"A root password has at most {MAX_PASSWORD_BYTES} bytes.", field=field)
    return bcrypt.hashpw(encoded, bcrypt.gensalt()).decode()


def check_choice(session: Session, request: OrderRequest, *, actor: Actor) -> Choice:
    """Return the rows that were chosen; raise InvalidInput for what is not for sale, or not together."""
    if session.get(Account, request.account_id) is None:
        raise InvalidInput("There is no such account.", field="account_id")
    price = session.get(Price, request.price_id)
    if price is None or not _is_for_sale(price, actor):
        raise InvalidInput(
            "This product is not for sale (any more); please choose another.", field="price_id"
        )
    location = session.get(Location, request.location_id)
    if location is None:
        raise InvalidInput("There is no such location; please choose another.", field="location_id")
    template = session.get(OsTemplate, request.template_id)
    if template is None or not template.active:
        raise InvalidInput(
            "This operating system is not offered; please choose another.", field="template_id"
        )
    product = price.product
    if not template.fits(product):
        raise InvalidInput(
            f"{template.title} needs {template.min_memory_mib} MiB of memory and {template.min_disk_mib} MiB "
            f"of disk; {product.name} has {product.memory_mib} and {product.disk_mib}. Please choose another.",
            field="template_id",
        )
    addons = choose(session, price, request.addons)
    return Choice(price=price, template=template, location=location, addons=addons)


def _is_for_sale(price: Price, actor: Actor) -> bool:
    product = price.product
    offered = price.active and product.active and price.renewal_of_id is None
    return offered and (actor.is_operator or not product.private)
