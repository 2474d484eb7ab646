"""Logos: pictures only, of a size that a head of a page needs, and nothing of the file but the picture."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from domus.core.errors import InvalidInput
from domus.tax.logos import MAX_BYTES, parse_logo


def picture(kind: str = "PNG", size: tuple[int, int] = (60, 20), **options: object) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, "navy").save(made, kind, **options)
    return made.getvalue()


def bomb() -> bytes:
    """Return a small PNG that says it is 50 000 pixels wide and high."""
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_is_kept_as_a_png_without_anything_beside_it(kind: str) -> None:
    note = Image.Exif()
    note[0x010E] = "who took it and where"
    kept = parse_logo(picture(kind, exif=note))
    with Image.open(io.BytesIO(kept)) as image:
        assert (image.format, image.size) == ("PNG", (60, 20))
    assert b"who took it" not in kept


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Choose a file"),
        (b"<svg onload=alert(1)>", "no PNG or JPEG"),
        (picture("GIF"), "no PNG or JPEG"),
        (picture()[:60], "no PNG or JPEG"),
        (b"x" * (MAX_BYTES + 1), "At most 300000 bytes"),
        (picture(size=(2001, 10)), "2000 pixels"),
        (bomb(), "2000 pixels|no PNG"),
    ],
    ids=["nothing", "svg", "gif", "cut off", "too many bytes", "too wide", "bomb"],
)
def test_what_is_no_logo_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refusal:
        parse_logo(content)
    assert refusal.value.field == "logo"
