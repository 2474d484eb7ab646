"""Settings: one frozen object, read once from the environment; a bad value stops the start and names the variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from domus.core.errors import ConfigurationError

_TRUE = {"1", "yes", "true", "on"}
_FALSE = {"0", "no", "false", "off"}

MAX_QUARANTINE_HOURS = 8760


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that differs between one installation and the next."""

    database_url: str
    secret_key: str
    #: False only where the panel is reached without TLS, as on loopback.
    secure_cookies: bool = True
    #: How many reverse proxies stand before the panel and set X-Forwarded-For.
    trusted_proxies: int = 0
    #: The test gateway books play money. It is never offered unless switched on.
    test_gateway: bool = False
    #: What the panel is headed with. Who stands on invoices, the operator edits under Companies.
    company_name: str = "Domus"
    support_email: str | None = None
    #: Where customers reach the panel, without a slash at its end; mails say it. Empty: mails carry no links.
    panel_url: str = ""
    #: Further fonts of invoices, for characters that those of Domus lack.
    pdf_fonts: tuple[Path, ...] = ()
    #: How long an unpaid order keeps its place and addresses.
    order_hold: timedelta = timedelta(hours=24)
    #: So many orders an account may have to pay at a time: each keeps a place that others cannot buy.
    max_unpaid_orders: int = 30
    #: Whether unused days of a contract that is cancelled at once go to the customer's balance.
    credit_on_cancel: bool = False
    #: How long a freed address rests before it is sold again.
    address_quarantine: timedelta = timedelta(days=1)
    session_lifetime: timedelta = timedelta(days=14)
    #: How long a browser remembers by whose link it came first.
    referral_memory: timedelta = timedelta(days=30)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Read the ``DOMUS_*`` variables; ``DOMUS_NAME_FILE`` may hold the path of a file with the value.

        Raises ConfigurationError that names the variable and the rule.
        """
        return cls(
            database_url=database_url(env),
            secret_key=_secret(env),
            secure_cookies=_boolean(env, "DOMUS_SECURE_COOKIES", cls.secure_cookies),
            trusted_proxies=_integer(env, "DOMUS_TRUSTED_PROXIES", cls.trusted_proxies, maximum=5),
            test_gateway=_boolean(env, "DOMUS_TEST_GATEWAY", cls.test_gateway),
            company_name=company_name(env),
            support_email=_value(env, "DOMUS_SUPPORT_EMAIL"),
            panel_url=panel_url(env),
            pdf_fonts=pdf_fonts(env),
            order_hold=timedelta(hours=_integer(env, "DOMUS_ORDER_HOLD_HOURS", 24, minimum=1, maximum=720)),
            max_unpaid_orders=_integer(
                env, "DOMUS_MAX_UNPAID_ORDERS", cls.max_unpaid_orders, minimum=1, maximum=10_000
            ),
            credit_on_cancel=_boolean(env, "DOMUS_CREDIT_ON_CANCEL", cls.credit_on_cancel),
            address_quarantine=address_quarantine(None, env),
            session_lifetime=timedelta(days=_integer(env, "DOMUS_SESSION_DAYS", 14, minimum=1, maximum=365)),
            referral_memory=timedelta(days=_integer(env, "DOMUS_REFERRAL_DAYS", 30, minimum=1, maximum=365)),
        )


def database_url(env: Mapping[str, str]) -> str:
    """Read where the database is: all that migrations and the command line need."""
    return _required(env, "DOMUS_DATABASE_URL")


def company_name(env: Mapping[str, str]) -> str:
    """Read what the panel, and the company that a new database begins with, are called."""
    return _value(env, "DOMUS_COMPANY_NAME") or Settings.company_name


def text(env: Mapping[str, str], name: str) -> str | None:
    """Read a variable, or the file that its ``_FILE`` names; None when neither is set: for parts with own settings."""
    return _value(env, name)


def boolean(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Read a variable that says yes or no."""
    return _boolean(env, name, default)


def panel_url(env: Mapping[str, str]) -> str:
    """Read where customers reach the panel; never taken from a request, whose sender could name any address."""
    url = (_value(env, "DOMUS_PANEL_URL") or "").rstrip("/")
    if url and not url.startswith(("https://", "http://")):
        raise ConfigurationError(f"DOMUS_PANEL_URL is {url!r}; write it like https://panel.example.org.")
    return url


def pdf_fonts(env: Mapping[str, str]) -> tuple[Path, ...]:
    """Read which further fonts documents may use."""
    return _files(env, "DOMUS_PDF_FONTS")


def number(env: Mapping[str, str], name: str, default: int, *, minimum: int = 0, maximum: int) -> int:
    """Read a variable that is a whole number."""
    return _integer(env, name, default, minimum=minimum, maximum=maximum)


def all_or_none(env: Mapping[str, str], *names: str) -> tuple[str, ...] | None:
    """Read variables that are of use only together; None when none is set. Raises ConfigurationError for some of them."""
    values = {name: _value(env, name) for name in names}
    missing = [name for name, value in values.items() if value is None]
    if len(missing) == len(names):
        return None
    if missing:
        given = ", ".join(name for name in names if name not in missing)
        raise ConfigurationError(f"{given} is set and {', '.join(missing)} is not; they belong together.")
    return tuple(value for value in values.values() if value is not None)


def address_quarantine(options: Mapping[str, Any] | None, env: Mapping[str, str]) -> timedelta:
    """Return how long a freed address rests, as a Salt configuration's ``domus:`` map or else the environment says."""
    named = (options or {}).get("address_quarantine_hours")
    if named is None:
        hours = _integer(env, "DOMUS_ADDRESS_QUARANTINE_HOURS", 24, maximum=MAX_QUARANTINE_HOURS)
    elif type(named) is int and 0 <= named <= MAX_QUARANTINE_HOURS:
        hours = named
    else:
        raise ConfigurationError(
            f"domus:address_quarantine_hours is {named!r}; allowed is a whole number from 0 to {MAX_QUARANTINE_HOURS}."
        )
    return timedelta(hours=hours)


def _value(env: Mapping[str, str], name: str) -> str | None:
    path = env.get(f"{name}_FILE")
    if path and env.get(name):
        raise ConfigurationError(f"{name} and {name}_FILE are both set; set one of them.")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{name}_FILE: cannot read {path}: {error}.") from error
    return env.get(name, "").strip() or None


def _required(env: Mapping[str, str], name: str) -> str:
    value = _value(env, name)
    if value is None:
        raise ConfigurationError(f"{name} is not set; set it, or {name}_FILE to a file that holds it.")
    return value


def _secret(env: Mapping[str, str]) -> str:
    value = _required(env, "DOMUS_SECRET_KEY")
    if len(value) < 32:
        raise ConfigurationError(
            "DOMUS_SECRET_KEY must have at least 32 characters; make one with `openssl rand -hex 32`."
        )
    return value


def _files(env: Mapping[str, str], name: str) -> tuple[Path, ...]:
    paths = tuple(Path(part) for part in (_value(env, name) or "").split(":") if part)
    for path in paths:
        if not path.is_file():
            raise ConfigurationError(f"{name}: there is no file {path}; separate several by colons.")
    return paths


def _boolean(env: Mapping[str, str], name: str, default: bool) -> bool:
    value = _value(env, name)
    if value is None:
        return default
    if value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ConfigurationError(f"{name} is {value!r}; allowed are yes and no.")


def _integer(env: Mapping[str, str], name: str, default: int, *, minimum: int = 0, maximum: int) -> int:
    value = _value(env, name)
    if value is None:
        return default
    if not (value.isascii() and value.isdecimal()) or not minimum <= int(value) <= maximum:
        raise ConfigurationError(
            f"{name} is {value!r}; allowed is a whole number from {minimum} to {maximum}."
        )
    return int(value)
