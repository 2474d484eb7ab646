"""The faces that documents are set in, and what to do with characters that none of them has."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from fontTools.ttLib import TTFont, TTLibError
from fpdf import FPDF

from domus.core.errors import ConfigurationError

log = logging.getLogger(__name__)

MAIN = "DejaVu"
#: Stands for what no face has, where one can see that something is missing.
MISSING = "\N{REPLACEMENT CHARACTER}"

_FOLDER = Path(str(resources.files("domus.documents").joinpath("fonts")))
_REGULAR = _FOLDER / "DejaVuSans.ttf"
_BOLD = _FOLDER / "DejaVuSans-Bold.ttf"
#: Chinese and Japanese.
_EAST_ASIAN = _FOLDER / "DroidSansFallbackFull.ttf"


def add_fonts(pdf: FPDF, texts: Iterable[str], extra: Sequence[Path] = ()) -> None:
    """Give a document the main face, and those further ones that its texts need: they are large, and parsed each time."""
    pdf.add_font(MAIN, "", _REGULAR)
    pdf.add_font(MAIN, "B", _BOLD)
    lacking = {character for text in texts for character in text if character.isprintable()} - _has(_REGULAR)
    needed = []
    for path in (_EAST_ASIAN, *extra):
        found = lacking & _has(path)
        if found:
            pdf.add_font(path.stem, "", path)
            needed.append(path.stem)
            lacking -= found
    if needed:
        pdf.set_fallback_fonts(needed, exact_match=False)


def printable(text: str, extra: Sequence[Path] = ()) -> str:
    """Return the text with a mark for each character that no face has, which is logged with what to do about it."""
    known = _has(_REGULAR).union(_has(_EAST_ASIAN), *(_has(path) for path in extra))
    missing = {character for character in text if character.isprintable() and character not in known}
    if not missing:
        return text
    log.warning(
        "no font has %s: name one that does in DOMUS_PDF_FONTS",
        " ".join(f"U+{ord(character):04X}" for character in sorted(missing)),
    )
    return "".join(MISSING if character in missing else character for character in text)


@cache
def _has(path: Path) -> frozenset[str]:
    """Return the characters that a font file has; raise ConfigurationError for what is no font."""
    try:
        with TTFont(path, lazy=True) as font:
            return frozenset(chr(code) for code in font.getBestCmap())
    except (OSError, TTLibError) as error:
        raise ConfigurationError(
            f"DOMUS_PDF_FONTS: {path} is no TrueType or OpenType font: {error}."
        ) from error
