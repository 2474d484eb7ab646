"""RSA keys for Salt, made without its own tool (which leaves a second pair behind that the master then prefers)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from domus_stack.files import write_file

KEY_BITS = 2048


@dataclass(frozen=True)
class KeyPair:
    """The two halves of an RSA key in PEM."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return "KeyPair(...)"


def make_key_pair() -> KeyPair:
    """Make a key as Salt expects it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyPair(private, public)


def ensure_key_pair(folder: Path, name: str) -> KeyPair:
    """Return the pair ``name.pem`` and ``name.pub`` of a folder, made now where there is none."""
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    if private.is_file() and public.is_file():
        return KeyPair(private.read_bytes(), public.read_bytes())
    pair = make_key_pair()
    write_file(public, pair.public, mode=0o644)
    write_file(private, pair.private, mode=0o400)
    return pair
