"""Documents say what was frozen, in the customer's language, with every character that a font has."""

from __future__ import annotations

import io
import logging
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from fontTools.ttLib import TTFont

from domus.billing.parties import Party
from domus.core.countries import country_names
from domus.core.languages import LANGUAGES
from domus.core.money import Money
from domus.documents import fonts, pdf
from domus.documents.contents import Document, Kind
from domus.documents.pdf import render
from domus.documents.words import words

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

SELLER = Party(
    name="Example Hosting GmbH", address="Musterstraße 12\n50667 Köln", country="DE", vat_number="DE136695976"
)
BUYERS = {
    "zh": Party(name="张伟", company="上海云计算科技有限公司", address="浦东新区世纪大道100号", country="CN"),
    "ru": Party(name="Иван Сидоров", company="Фирма «Ромашка»", address="ул. Ленина, д. 5", country="RU"),
    "ja": Party(name="山田 太郎", address="東京都千代田区", country="JP"),
    "el": Party(name="Νίκος Παπαδόπουλος", address="Οδός Ερμού 1", country="GR"),
}  # fmt: skip


def document(**changes: Any) -> Document:
    fields = {
        "kind": Kind.INVOICE, "number": "2026-00042", "language": "en", "seller": SELLER,
        "buyer": Party(name="Alice", country="FR"), "issued_at": NOW, "paid_at": NOW, "order": "#17", "corrects": None,
        "lines": (("Advanced VPS, 1 month", Money(1495, "EUR")),), "net": Money(1495, "EUR"), "tax": Money(284, "EUR"),
        "gross": Money(1779, "EUR"), "tax_millipercent": 19000, "tax_country": "DE", "tax_note": "", "reason": "",
    }  # fmt: skip
    return Document(**fields | changes)


def text_of(made: bytes) -> str:
    """Return the characters of a PDF through the tables with which readers copy text out of it, blanks left out."""
    streams = [
        zlib.decompress(match[1]) if b"FlateDecode" in match[0][:200] else match[1]
        for match in re.finditer(rb"<<[^>]*>>\s*stream\n(.*?)\nendstream", made, re.DOTALL)
    ]
    found = set()
    for stream in streams:
        if b"beginbfchar" in stream:
            for _, target in re.findall(rb"<([0-9A-Fa-f]+)>\s+<([0-9A-Fa-f]+)>", stream):
                found.add(bytes.fromhex(target.decode()).decode("utf-16-be", "replace"))
    return "".join(found)


@pytest.mark.parametrize("script", BUYERS)
def test_every_character_of_a_name_is_in_the_paper(script: str, caplog: pytest.LogCaptureFixture) -> None:
    buyer = BUYERS[script]
    with caplog.at_level(logging.WARNING):
        shown = text_of(render(document(buyer=buyer)))
    wanted = set((buyer.name + buyer.company + buyer.address).replace(" ", ""))
    assert wanted <= set(shown)
    assert not caplog.records


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_set_in_every_language_with_all_its_glyphs(
    language: str, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        shown = text_of(render(document(language=language, kind=kind, corrects=("2026-00041", NOW))))
    assert set(words(language)[kind.value].replace(" ", "")) <= set(shown)
    assert not caplog.records


def test_the_words_of_all_languages_have_the_same_keys_and_places() -> None:
    for language in LANGUAGES:
        for key, text in words("en").items():
            assert set(re.findall(r"{\w+}", words(language)[key])) == set(re.findall(r"{\w+}", text)), (
                language,
                key,
            )


def test_the_same_document_makes_the_same_bytes() -> None:
    first = render(document())
    pdf._render.cache_clear()
    assert render(document()) == first


def test_a_long_invoice_takes_several_pages() -> None:
    lines = tuple(
        (f"A line whose text is long enough to be broken once or twice {n} " * 3, Money(n, "EUR"))
        for n in range(60)
    )
    made = render(document(lines=lines))
    assert len(re.findall(rb"/Type /Page\b", made)) >= 3


def test_what_no_font_has_is_marked_and_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    buyer = Party(name="ไทย \U0001f9ff")
    with caplog.at_level(logging.WARNING):
        shown = text_of(render(document(buyer=buyer)))
    assert fonts.MISSING in shown
    assert "U+0E17" in caplog.text
    assert "DOMUS_PDF_FONTS" in caplog.text


def test_a_paper_carries_only_the_characters_that_it_needs() -> None:
    assert len(render(document())) < 60_000
    assert len(render(document(language="zh", buyer=BUYERS["zh"]))) < 120_000


def test_files_are_named_by_their_numbers() -> None:
    assert document().file_name == "invoice-2026-00042.pdf"
    assert document(kind=Kind.CREDIT_NOTE, number="C-2026-00001").file_name == "credit-note-C-2026-00001.pdf"
    assert document(kind=Kind.PROFORMA, number="").file_name == "request-20261120.pdf"


def test_hostile_names_are_only_text() -> None:
    name = "(Alice) Tj ET \\) <</S/JavaScript/JS(app.alert\\(1\\))>>"
    made = render(document(buyer=replace(BUYERS["zh"], name=name), reason=name))
    assert b"/JavaScript" not in made
    assert b"/JS" not in made


def test_the_fonts_have_all_countries_in_all_languages() -> None:
    text = "".join(name for language in LANGUAGES for name in country_names(language).values())
    assert fonts.printable(text) == text


def test_the_fonts_are_fonts() -> None:
    for path in (fonts._REGULAR, fonts._BOLD, fonts._EAST_ASIAN):
        with TTFont(io.BytesIO(path.read_bytes())) as font:
            assert len(font.getBestCmap()) > 2000
