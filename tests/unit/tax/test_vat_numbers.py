"""VAT numbers as people type them. The numbers are examples from the documentation of python-stdnum."""

import pytest

from domus.core.errors import InvalidInput
from domus.tax.vat_numbers import parse_vat_number


@pytest.mark.parametrize(
    ("typed", "country", "stored"),
    [
        ("DE 136.695.976", "DE", "DE136695976"),
        ("de136695976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("EL 094259216", "GR", "EL094259216"),
        ("094259216", "GR", "EL094259216"),
        ("FR 40 303 265 045", "FR", "FR40303265045"),
        ("U13585627", "AT", "ATU13585627"),
        ("ESB-58378431", "ES", "ESB58378431"),
        ("B-58378431", "ES", "ESB58378431"),
        ("CHE-107.787.577 IVA", "CH", "CHE107787577IVA"),
        ("GB 980 7806 84", "GB", "GB980780684"),
        ("NO 995 525 828 MVA", "NO", "NO995525828MVA"),
        ("12-3456789", "US", "12-3456789"),
        ("  ", "DE", ""),
        ("", "", ""),
    ],
)
def test_a_good_number_is_stored_in_one_form(typed: str, country: str, stored: str) -> None:
    assert parse_vat_number(typed, country) == stored


@pytest.mark.parametrize(
    ("typed", "country", "why"),
    [
        ("DE136695977", "DE", "check digit"),
        ("FR40303265045", "DE", "another country"),
        ("XI980780684", "IE", "another country"),
        ("DE1", "DE", "wrong length"),
        ("hello", "FR", "is no VAT number of FR"),
        ("DE136695976", "", "Say which country"),
        ("DE13669\n5976", "DE", "invisible character"),
        ("1" * 41, "US", "At most 40"),
        ("1" * 21, "US", "At most 20"),
    ],
)
def test_a_wrong_number_is_refused_with_the_reason(typed: str, country: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refusal:
        parse_vat_number(typed, country)
    assert refusal.value.field == "vat_number"
