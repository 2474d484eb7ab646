"""OpenSSH public keys as customers paste them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from domus.core.errors import InvalidInput

#: The key types that are taken, and the lengths of the fields that follow the type inside (None: any but
#: empty), as RFC 8709, RFC 5656 and OpenSSH's PROTOCOL.u2f lay them down.
FIELD_LENGTHS: dict[str, tuple[int | None, ...]] = {
    "ssh-ed25519": (32,),
    "ecdsa-sha2-nistp256": (8, 65),
    "ecdsa-sha2-nistp384": (8, 97),
    "ecdsa-sha2-nistp521": (8, 133),
    "sk-ssh-ed25519@openssh.com": (32, None),
    "sk-ecdsa-sha2-nistp256@openssh.com": (8, 65, None),
    "ssh-rsa": (None, None),
}
KEY_TYPES = tuple(FIELD_LENGTHS)
MAX_KEYS = 20
#: Dom0s take base64 of at most 6000 characters (``salt/_utils/domus_fields.py``); an RSA key of 16384 bits has 2800.
MAX_KEY_LENGTH = 6000
MAX_COMMENT_LENGTH = 200
MIN_RSA_BITS = 2048


def parse_ssh_key(text: str, *, field: str = "ssh_keys") -> str:
    """Return one public key as ``type base64 comment``; raise InvalidInput when it is none.

    Options before the type (``command=`` and the like) are refused; the comment is kept as plain text.
    """
    line = text.strip()
    if "PRIVATE KEY" in line:
        raise InvalidInput(
            "This is a private key. Keep it secret and paste the .pub file instead.", field=field
        )
    if not line.isprintable():
        raise InvalidInput("An ssh key is one line without invisible or control characters.", field=field)
    if len(line) > MAX_KEY_LENGTH:
        raise InvalidInput(f"An ssh key has at most {MAX_KEY_LENGTH} characters.", field=field)
    kind, _, rest = line.partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    if kind not in KEY_TYPES:
        raise InvalidInput(
            f"An ssh public key begins with one of {', '.join(KEY_TYPES)}; this begins with {kind[:40]!r}.",
            field=field,
        )
    _check_blob(kind, encoded, field=field)
    if len(comment.strip()) > MAX_COMMENT_LENGTH:
        raise InvalidInput(
            f"The comment of an ssh key has at most {MAX_COMMENT_LENGTH} characters.", field=field
        )
    return " ".join(part for part in (kind, encoded, comment.strip()) if part)


def parse_ssh_keys(text: str, *, field: str = "ssh_keys") -> tuple[str, ...]:
    """Return the keys of a text with one key a line, without doubles; empty lines and # comments are passed over."""
    lines = (line.strip() for line in text.splitlines())
    keys = tuple(dict.fromkeys(parse_ssh_key(line, field=field) for line in lines if line and line[0] != "#"))
    if len(keys) > MAX_KEYS:
        raise InvalidInput(f"At most {MAX_KEYS} ssh keys; these are {len(keys)}.", field=field)
    return keys


def fingerprint(key: str) -> str:
    """Return the SHA256 fingerprint of a key that parse_ssh_key returned, as ``ssh-keygen -l`` prints it."""
    digest = hashlib.sha256(base64.b64decode(key.split(" ")[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _check_blob(kind: str, encoded: str, *, field: str) -> None:
    try:
        parts = _fields(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError, struct.error):
        raise InvalidInput(
            "The ssh key is damaged: its middle part is not what ssh-keygen writes.", field=field
        ) from None
    if not parts or parts[0] != kind.encode():
        raise InvalidInput("The ssh key is damaged: its two key types differ.", field=field)
    lengths = FIELD_LENGTHS[kind]
    if len(parts) - 1 != len(lengths) or any(
        not part or wanted not in (None, len(part)) for part, wanted in zip(parts[1:], lengths, strict=False)
    ):
        raise InvalidInput(f"The ssh key is damaged: its parts are not those of {kind}.", field=field)
    if kind == "ssh-rsa" and len(parts[2].lstrip(b"\0")) * 8 < MIN_RSA_BITS:
        raise InvalidInput(
            f"An RSA key needs at least {MIN_RSA_BITS} bits; better make an ed25519 key.", field=field
        )


def _fields(blob: bytes) -> list[bytes]:
    """Split an RFC 4253 key blob into its length-prefixed fields."""
    fields: list[bytes] = []
    while blob:
        (length,) = struct.unpack(">I", blob[:4])
        if length > len(blob) - 4:
            raise ValueError("truncated")
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    return fields
