"""Passwords: which are good enough, and how they are kept (argon2id)."""

from __future__ import annotations

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from domus.core.errors import InvalidInput

MIN_LENGTH = 10
#: Longer ones would only let a stranger keep the hash function busy.
MAX_LENGTH = 200

#: Long enough to pass, and among the first that anybody tries.
_COMMON = frozenset(
    {
        "0123456789", "1234567890", "12345678910", "123456789a", "1q2w3e4r5t", "1qaz2wsx3edc", "qwertyuiop",
        "qwerty12345", "qwerty123456", "password12", "password123", "password1234", "passw0rd123", "administrator",
        "iloveyou123", "letmein123", "welcome123", "changeme123", "abcdefghij", "abcdefghijk",
    }
)  # fmt: skip

_hasher = PasswordHasher()


def hasher() -> PasswordHasher:
    """Return what makes new hashes."""
    return _hasher


def use_hasher(hasher: PasswordHasher) -> None:
    """Make new hashes with other costs, as tests do; hashes made before stay good and are renewed at the next log-in."""
    global _hasher  # noqa: PLW0603 - one cost for the whole process
    _hasher = hasher
    _dummy_hash.cache_clear()


def check_new_password(password: str, *, email: str, field: str = "password") -> str:
    """Return the password; raise InvalidInput when it is too easy to guess. Length counts, not the kinds of characters."""
    if len(password) < MIN_LENGTH:
        raise InvalidInput(
            f"A password needs at least {MIN_LENGTH} characters; this has {len(password)}.", field=field
        )
    if len(password) > MAX_LENGTH:
        raise InvalidInput(
            f"A password has at most {MAX_LENGTH} characters; this has {len(password)}.", field=field
        )
    lowered = password.casefold()
    if lowered in (email.casefold(), email.partition("@")[0].casefold()):
        raise InvalidInput("The password may not be the e-mail address.", field=field)
    if lowered in _COMMON or len(set(lowered)) < 4:
        raise InvalidInput(
            "This password is among the first that anybody would try; take another.", field=field
        )
    return password


def hash_password(password: str) -> str:
    """Return the argon2id hash, with its own salt."""
    return _hasher.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether the password is the one of the hash. None (nobody has that name) takes as long and is never right."""
    try:
        matches = _hasher.verify(password_hash or _dummy_hash(), password[: MAX_LENGTH + 1])
    except (VerificationError, InvalidHashError):
        return False
    return matches and password_hash is not None


def needs_new_hash(password_hash: str) -> bool:
    """Tell whether the hash was made with other costs than those of today."""
    return _hasher.check_needs_rehash(password_hash)


@cache
def _dummy_hash() -> str:
    return _hasher.hash("nobody has this password")
