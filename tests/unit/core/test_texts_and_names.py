"""Host names, ssh keys and plain text as people type them."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domus.core.errors import InvalidInput
from domus.core.hostnames import parse_hostname
from domus.core.ssh_keys import fingerprint, parse_ssh_key, parse_ssh_keys
from domus.core.texts import one_line, paragraphs

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5vQ2cVbMdEYC4qmWgZ0xL7MJfGm4k1jQ9sYlL1r3zT"


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("www.example.org", "www.example.org"),
        ("WWW.Example.ORG.", "www.example.org"),
        (" a ", "a"),
        ("xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("1and1.com", "1and1.com"),
        ("a" * 63 + ".de", "a" * 63 + ".de"),
    ],
)
def test_host_names_are_taken_in_lower_case(typed: str, name: str) -> None:
    assert parse_hostname(typed) == name


HOSTILE = [
    "", ".", "-a.org", "a-.org", "a..b", "a_b.org", "a b", "bücher.de", "a" * 64, "a." * 127 + "aaa", "192.0.2.1", "42",
    "{{ 7*7 }}", "$(id)", "`id`", "]]>", "../etc", "a;id", "a|b", "a&b", "a\nb", "a\0b", "'", '"', "<a>", "!!python/x", "*",
]  # fmt: skip


@pytest.mark.parametrize("typed", HOSTILE)
def test_what_is_no_host_name_is_refused(typed: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_hostname(typed)
    assert caught.value.field == "hostname"


@given(st.text(max_size=300))
def test_whatever_is_typed_a_host_name_is_harmless_or_refused(typed: str) -> None:
    try:
        name = parse_hostname(typed)
    except InvalidInput:
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    assert len(name) <= 253
    assert parse_hostname(name) == name


def test_ssh_keys_are_kept_with_their_comment() -> None:
    assert parse_ssh_key(f"  {ED25519}   alice@laptop  ") == f"{ED25519} alice@laptop"
    assert fingerprint(ED25519).startswith("SHA256:")


def test_a_key_pasted_twice_is_one_and_comments_are_passed_over() -> None:
    assert parse_ssh_keys(f"# mine\n{ED25519}\n\n{ED25519}\n") == (ED25519,)


def rsa_key(bits: int) -> str:
    parts = (b"ssh-rsa", b"\1\0\1", b"\0" + b"\xff" * (bits // 8))
    blob = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return f"ssh-rsa {base64.b64encode(blob).decode()}"


def test_rsa_keys_need_their_length() -> None:
    assert parse_ssh_key(rsa_key(2048))
    with pytest.raises(InvalidInput, match="2048 bits"):
        parse_ssh_key(rsa_key(1024))


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("hello", "begins with one of"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "begins with one of"),
        (f'command="id" {ED25519}', "begins with one of"),
        (ED25519[:-8], "damaged"),
        (ED25519.replace("ssh-ed25519", "ecdsa-sha2-nistp256"), "damaged"),
        ("ssh-ed25519 not-base64!", "damaged"),
        ("ssh-ed25519", "damaged"),
        (f"{ED25519} a\x00b", "control characters"),
        (f"{ED25519} {'x' * 8192}", "at most"),
    ],
)
def test_what_is_no_public_key_is_refused(typed: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        parse_ssh_key(typed)


@given(st.text(max_size=200))
def test_whatever_is_pasted_is_keys_or_refused(typed: str) -> None:
    try:
        keys = parse_ssh_keys(typed)
    except InvalidInput:
        return
    assert all(parse_ssh_key(key) == key for key in keys)


@pytest.mark.parametrize(
    "typed", ["", "  ", "a\nb", "a\tb", "a\0b", "\u202eabc", "a\u200bb", "a\u2028b", "x" * 11]
)
def test_a_line_of_text_has_nothing_hidden_in_it(typed: str) -> None:
    with pytest.raises(InvalidInput):
        one_line(typed, field="name", maximum=10)


def test_an_empty_line_is_taken_where_nothing_is_required() -> None:
    assert one_line("  ", field="name", maximum=10, required=False) == ""


def test_paragraphs_keep_their_lines() -> None:
    assert paragraphs(" a\r\nb\n\tc \n", field="text", maximum=20) == "a\nb\n\tc"
    for wrong in ("a\0b", "x" * 21, "\x1b[31m"):
        with pytest.raises(InvalidInput):
            paragraphs(wrong, field="text", maximum=20)
