"""Logos of companies: what is taken is a picture, and nothing but its pixels is kept."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from domus.core.errors import InvalidInput

MAX_BYTES = 300_000
MAX_PIXELS = 2000
_FORMATS = ("PNG", "JPEG")


def parse_logo(content: bytes, *, field: str = "logo") -> bytes:
    """Return a PNG or JPEG as a PNG without anything beside the picture; raise InvalidInput that says what is allowed."""
    if not content:
        raise InvalidInput("Choose a file.", field=field)
    if len(content) > MAX_BYTES:
        raise InvalidInput(f"At most {MAX_BYTES} bytes; these are {len(content)}.", field=field)
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            # The size stands in the head: a small file that unpacks to gigabytes is refused before it does.
            if max(image.size) > MAX_PIXELS:
                raise InvalidInput(f"At most {MAX_PIXELS} pixels a side; it has {image.size}.", field=field)
            made = io.BytesIO()
            image.convert("RGBA").save(made, "PNG")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise InvalidInput("This is no PNG or JPEG, or it is broken.", field=field) from error
    return made.getvalue()
