"""Reads camt.053 statements (ISO 20022, "bank to customer statement"), versions 001.02 and later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from domus.core.errors import InvalidInput
from domus.core.money import Money
from domus.gateways.statements import Entry, Statement, read_amount, read_day, with_keys

_NAMESPACE = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:((\w+\.\d+)\.\d+\.\d+)\}Document")
_OTHERS = {
    "camt.052": "an interim report, whose entries may still change",
    "camt.054": "a notification of single bookings",
    "pain.001": "an order to the bank",
}


def read_camt(data: bytes) -> list[Statement]:
    """Return the statements in a file, one for each account in it; raise InvalidInput that says what is wrong with it."""
    try:
        root = defusedxml.ElementTree.fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InvalidInput(f"The file is not XML that can be read: {error}.") from error
    kind = _kind(root)
    found = [_statement(element, kind) for element in _all(root, "BkToCstmrStmt/Stmt")]
    if not found:
        raise InvalidInput(f"The file is {kind}, and there is no statement in it.")
    return found


def _kind(root: Element) -> str:
    match = _NAMESPACE.fullmatch(root.tag)
    if match is None:
        raise InvalidInput(f"The file is XML, but not of ISO 20022: it begins with {root.tag!r}.")
    kind, family = match.groups()
    if family != "camt.053":
        known = f" ({_OTHERS[family]})" if family in _OTHERS else ""
        raise InvalidInput(f"The file is {kind}{known}; a statement, camt.053, is needed.")
    return kind


def _statement(statement: Element, kind: str) -> Statement:
    iban = _text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id")
    entries: list[Entry] = []
    skipped = 0
    for number, element in enumerate(_all(statement, "Ntry"), start=1):
        status = _text(element, "Sts/Cd") or _text(element, "Sts")
        direction = _text(element, "CdtDbtInd")
        where = f"Entry {number} of account {iban or 'unknown'}"
        if status == "BOOK" and direction == "CRDT":
            entries.extend(_entries(element, where=where))
        elif status == "BOOK" and direction == "DBIT" and _is_reversal(element):
            # The reversal of a credit: the bank takes back what had arrived.
            entries.extend(replace(entry, amount=-entry.amount) for entry in _entries(element, where=where))
        else:
            skipped += 1
    return Statement(kind=kind, iban=iban, lines=with_keys(iban, entries), skipped=skipped)


def _entries(element: Element, *, where: str) -> Iterator[Entry]:
    """Yield what one booking consists of: one payment, or several that the bank booked together."""
    amount = _amount(element, where=where)
    details = list(_all(element, "NtryDtls/TxDtls"))
    parts = [_part(detail, where=where) for detail in details]
    if len(details) > 1 and all(parts) and _sum(parts) == amount:
        for detail, part in zip(details, parts, strict=True):
            if part:
                yield _entry(element, [detail], part, where=where)
    else:
        yield _entry(element, details, amount, where=where)


def _entry(element: Element, details: list[Element], amount: Money, *, where: str) -> Entry:
    booked = (_text(element, f"{name}/{kind}") for name in ("BookgDt", "ValDt") for kind in ("Dt", "DtTm"))
    references = [_text(element, "AcctSvcrRef")]
    texts = []
    for detail in details:
        references += [_text(detail, f"Refs/{name}") for name in ("AcctSvcrRef", "TxId", "EndToEndId")]
        texts += [_text(found, "") for found in _all(detail, "RmtInf/Strd/CdtrRefInf/Ref")]
        texts += [_text(found, "") for found in _all(detail, "RmtInf/Ustrd")]
    first = details[0] if details else element
    return Entry(
        booked_on=read_day(next(filter(None, booked), ""), where=where),
        amount=amount,
        # From 001.04 or so on there is one level more.
        payer=_text(first, "RltdPties/Dbtr/Pty/Nm") or _text(first, "RltdPties/Dbtr/Nm"),
        payer_iban=_text(first, "RltdPties/DbtrAcct/Id/IBAN"),
        text=" ".join(filter(None, texts)) or _text(element, "AddtlNtryInf"),
        bank_reference=" ".join(dict.fromkeys(filter(None, references))),
        is_reversal=_is_reversal(element),
    )


def _is_reversal(element: Element) -> bool:
    return _text(element, "RvslInd") in ("true", "1")


def _part(detail: Element, *, where: str) -> Money | None:
    """Return the amount of one payment within a booking, in the currency of the account where the bank says it."""
    if _text(detail, "CdtDbtInd") not in ("", "CRDT"):
        return None
    for path in ("Amt", "AmtDtls/TxAmt/Amt"):
        found = next(_all(detail, path), None)
        if found is not None:
            return read_amount(found.text or "", found.get("Ccy", ""), where=where)
    return None


def _sum(parts: list[Money | None]) -> Money | None:
    amounts = [part for part in parts if part is not None]
    if len({amount.currency for amount in amounts}) != 1:
        return None
    return Money(sum(amount.minor for amount in amounts), amounts[0].currency)


def _amount(element: Element, *, where: str) -> Money:
    found = next(_all(element, "Amt"), None)
    if found is None:
        raise InvalidInput(f"{where} has no amount.")
    amount = read_amount(found.text or "", found.get("Ccy", ""), where=where)
    if amount.minor <= 0:
        raise InvalidInput(f"{where}: {amount} is not an amount that can arrive.")
    return amount


def _all(element: Element, path: str) -> Iterator[Element]:
    """Yield what is at a path, in the namespace of the element."""
    namespace = element.tag.partition("}")[0] + "}"
    return iter(element.findall("/".join(namespace + name for name in path.split("/"))))


def _text(element: Element, path: str) -> str:
    found = next(_all(element, path), None) if path else element
    return " ".join((found.text or "").split()) if found is not None else ""
