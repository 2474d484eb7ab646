"""The reference to write on a transfer: ISO 11649, with check digits, so that a slip names no other invoice."""

from __future__ import annotations

import re

from stdnum import iso11649
from stdnum.iso7064 import mod_97_10

#: How many digits an invoice's own id is written with. It has no number yet while it is open.
DIGITS = 8

_FOUND = re.compile(rf"(?=RF(\d\d)(\d{{{DIGITS}}}))")
_SEPARATORS = re.compile(r"[^0-9A-Z]")


def reference_of(invoice_id: int) -> str:
    """Return the reference of an invoice, such as ``RF68 0000 0012``, in groups of four as people copy it best."""
    digits = f"{invoice_id:0{DIGITS}d}"
    return str(iso11649.format(f"RF{mod_97_10.calc_check_digits(f'{digits}RF')}{digits}"))


def invoices_in(*texts: str) -> set[int]:
    """Return the ids of the invoices whose references stand in texts, however they are spaced; wrong digits name none."""
    found = set()
    for text in texts:
        # Banks break lines within words, and people write hyphens and small letters.
        solid = _SEPARATORS.sub("", text.upper())
        found |= {
            int(digits) for check, digits in _FOUND.findall(solid) if iso11649.is_valid(f"RF{check}{digits}")
        }
    return found
