"""Sets a document on A4 pages. The same document makes the same bytes, so that a copy is a copy."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import cast

from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, XPos, YPos

from domus.billing.parties import Party
from domus.core.countries import country_names
from domus.core.money import Money
from domus.core.wording import day_text, money_text, plain_amount, rate_text
from domus.documents.contents import Document, Kind
from domus.documents.fonts import MAIN, add_fonts, printable
from domus.documents.words import words

# Millimetres. The window of an envelope by DIN 5008 and the like begins 45 mm from the top.
_LEFT, _TOP, _WIDTH = 20, 18, 170
_WINDOW_TOP = 47
_AMOUNT_WIDTH = 38
_LOGO = (70, 22)
_FOOT = 32
_GREY, _BLACK = 95, 0


def render(document: Document, *, extra_fonts: Sequence[Path] = ()) -> bytes:
    """Return the document as PDF. Characters that no font has are marked, see ``documents.fonts``."""
    return _render(document, tuple(extra_fonts))


# Setting a page takes half a second of a CPU, and a document that is asked for again is the same.
@lru_cache(maxsize=64)
def _render(document: Document, extra_fonts: tuple[Path, ...]) -> bytes:
    sheet = _Sheet(document, extra_fonts)
    sheet.add_page()
    sheet.put_head()
    sheet.put_facts()
    sheet.put_table()
    sheet.put_notes()
    return bytes(sheet.output())


class _Sheet(FPDF):
    """The pages of one document."""

    def __init__(self, document: Document, extra_fonts: Sequence[Path]) -> None:
        super().__init__(format="A4")
        self.document = document
        self.words = words(document.language)
        self.extra = extra_fonts
        add_fonts(self, _texts(document), extra_fonts)
        self.set_text_shaping(True)
        self.set_margins(_LEFT, _TOP, _LEFT)
        self.set_auto_page_break(True, margin=_FOOT)
        self.set_title(self.title_text())
        self.set_author(printable(document.seller.name, extra_fonts))
        self.set_lang(document.language)
        self.set_creation_date(document.issued_at)
        self.set_producer("Domus")

    def title_text(self) -> str:
        """Return what the document is called."""
        return f"{self.words[self.document.kind.value]} {self.document.number}".strip()

    def put_head(self) -> None:
        """Put the seller at the top right, the buyer where an envelope has its window, and the title below."""
        seller, buyer = self.document.seller, self.document.buyer
        if self.document.logo is not None:
            picture = io.BytesIO(self.document.logo)
            self.image(picture, _LEFT, _TOP, *_LOGO, keep_aspect_ratio=True)
        self.set_xy(_LEFT, _TOP)
        self._text(seller.name, size=12, bold=True, align=Align.R)
        for line in self._address(seller):
            self._text(line, size=8.5, grey=True, align=Align.R, height=4.2)
        self.set_xy(_LEFT, max(_WINDOW_TOP, self.get_y() + 4))
        named = [buyer.company, buyer.name] if buyer.company else [buyer.name]
        for line in (*named, *self._address(buyer)):
            self._text(line, width=95, height=5.2)
        self.set_y(max(self.get_y() + 12, 88))
        self._text(self.title_text(), size=17, bold=True, height=9)

    def put_facts(self) -> None:
        """Put dates and numbers below the title."""
        document, say = self.document, self.words
        facts = [(say["date"], self._day(document.issued_at))]
        if document.corrects is not None:
            number, day = document.corrects
            facts.append((say["invoice_of"], say["of_day"].format(number=number, day=self._day(day))))
        if document.order:
            facts.append((say["order"], document.order))
        if document.paid_at is not None:
            facts.append((say["paid_on"], self._day(document.paid_at)))
        if document.buyer.vat_number:
            facts.append((say["vat_number"], document.buyer.vat_number))
        self.ln(2)
        for label, value in facts:
            self._pair(label, value)
        self.ln(6)

    def put_table(self) -> None:
        """Put the lines and their sums."""
        document, say = self.document, self.words
        self._row(say["description"], f"{say['amount']} ({document.gross.currency})", grey=True, rule=_BLACK)
        for text, amount in document.lines:
            self._row(text, plain_amount(amount, document.language), rule=200)
        self.ln(1)
        if document.tax_country or document.tax:
            self._row(say["net"], self._amount(document.net))
            self._row(self._tax_label(), self._amount(document.tax))
        labels = {Kind.INVOICE: "total", Kind.PROFORMA: "to_pay", Kind.CREDIT_NOTE: "given_back"}
        total = money_text(document.gross, document.language)
        self._row(say[labels[document.kind]], total, bold=True, size=11)

    def put_notes(self) -> None:
        """Put what has to be said about the tax and the payment."""
        document = self.document
        said = {Kind.INVOICE: self.words["is_paid"], Kind.PROFORMA: self.words["is_no_invoice"]}
        reason = f"{self.words['reason']}: {document.reason}" if document.reason else ""
        self.ln(7)
        for note in (document.tax_note, reason, said.get(document.kind, "")):
            if note:
                self._text(note, size=9, height=4.8)
                self.ln(1.5)

    def footer(self) -> None:
        """Put what identifies the seller on every page. (fpdf2 calls this.)"""
        seller, say = self.document.seller, self.words
        identity = [
            f"{say[label]}: {value}"
            for label, value in (("vat_number", seller.vat_number), ("registration", seller.registration))
            if value
        ]
        bank = " · ".join(seller.bank_details.splitlines())
        lines = [
            " · ".join([seller.name, *([seller.email] if seller.email else []), *identity]),
            *([f"{say['bank_details']}: {bank}"] if bank else []),
        ]
        self.set_y(-_FOOT + 6)
        self.set_draw_color(200)
        self.line(_LEFT, self.get_y(), _LEFT + _WIDTH, self.get_y())
        self.ln(1.5)
        for line in lines:
            self._text(line, size=7.5, grey=True, align=Align.C, height=3.8)
        page = say["page"].format(page=self.page_no(), pages="{nb}")
        self._text(page, size=7.5, grey=True, align=Align.C, height=3.8)

    def _tax_label(self) -> str:
        document = self.document
        rate = rate_text(document.tax_millipercent, document.language)
        if document.tax_country in ("", document.seller.country):
            return self.words["vat"].format(rate=rate)
        names = country_names(document.language)
        return self.words["vat_in"].format(
            rate=rate, country=names.get(document.tax_country, document.tax_country)
        )

    def _amount(self, amount: Money) -> str:
        return plain_amount(amount, self.document.language)

    def _day(self, moment: datetime) -> str:
        return day_text(moment.date(), self.document.language)

    def _address(self, party: Party) -> Iterator[str]:
        yield from party.address.splitlines()
        if party.country:
            yield country_names(self.document.language).get(party.country, party.country)

    def _text(
        self,
        text: str,
        *,
        size: float = 10,
        bold: bool = False,
        grey: bool = False,
        align: Align = Align.L,
        width: float = _WIDTH,
        height: float = 5.5,
    ) -> None:
        self._face(size, bold=bold, grey=grey)
        self.multi_cell(
            width, height, printable(text, self.extra), align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )

    def _pair(self, label: str, value: str) -> None:
        top = self.get_y()
        self._face(9, grey=True)
        self.multi_cell(48, 5.2, label, new_x=XPos.RIGHT, new_y=YPos.TOP)
        self.set_xy(_LEFT + 50, top)
        self._face(9.5)
        self.multi_cell(_WIDTH - 50, 5.2, printable(value, self.extra), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _row(
        self,
        text: str,
        amount: str,
        *,
        bold: bool = False,
        grey: bool = False,
        size: float = 10,
        rule: int | None = None,
    ) -> None:
        """Put one row of the table: the text may take several lines, the amount stands beside the first."""
        self._face(size, bold=bold, grey=grey)
        shown = printable(text, self.extra)
        height = 5.6
        needed = self.multi_cell(
            _WIDTH - _AMOUNT_WIDTH, height, shown, dry_run=True, output=MethodReturnValue.HEIGHT
        )
        if self.will_page_break(cast("float", needed) + 2):
            self.add_page()
        top = self.get_y() + 1
        self.set_xy(_LEFT + _WIDTH - _AMOUNT_WIDTH, top)
        self._face(size, bold=bold, grey=grey)
        self.cell(_AMOUNT_WIDTH, height, amount, align=Align.R)
        self.set_xy(_LEFT, top)
        self.multi_cell(
            _WIDTH - _AMOUNT_WIDTH, height, shown, align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT
        )
        if rule is not None:
            self.set_draw_color(rule)
            self.line(_LEFT, self.get_y() + 0.8, _LEFT + _WIDTH, self.get_y() + 0.8)
            self.ln(0.8)

    def _face(self, size: float, *, bold: bool = False, grey: bool = False) -> None:
        self.set_font(MAIN, "B" if bold else "", size)
        self.set_text_color(_GREY if grey else _BLACK)


def _texts(document: Document) -> Iterator[str]:
    """Return everything that may be printed, to know which fonts that needs."""
    for party in (document.seller, document.buyer):
        yield from (str(value) for value in party.as_stored().values())
    yield from (text for text, _ in document.lines)
    yield from words(document.language).values()
    yield from (document.tax_note, document.reason)
    yield country_names(document.language).get(document.buyer.country, "")
    yield country_names(document.language).get(document.seller.country, "")
    # Dates bring words of their own.
    yield day_text(document.issued_at.date(), document.language)
