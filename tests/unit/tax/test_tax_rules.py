"""Who pays which VAT, by the articles of Directive 2006/112/EC that stand beside the cases."""

from datetime import date

import pytest

from domus.core.errors import PreconditionFailed
from domus.core.languages import LANGUAGES
from domus.tax.reasons import reason
from domus.tax.rules import Buyer, Rate, Rule, Seller, decide

TODAY = date(2026, 11, 20)
RATES = [
    Rate(country=country, valid_from=date(2025, 1, 1), millipercent=millipercent)
    for country, millipercent in {
        "DE": 19000, "FR": 20000, "GR": 24000, "FI": 25500, "EE": 22000, "CH": 8100, "GB": 20000, "ES": 21000
    }.items()
]  # fmt: skip


def seller(country: str = "DE", *, oss: bool = True, charges_tax: bool = True) -> Seller:
    return Seller(country=country, charges_tax=charges_tax, one_stop_shop=oss)


CASES = [
    # Domestic sales are taxed, business or not (Articles 44 and 45: the supply is at home either way).
    ("DE consumer at home", seller(), "DE", "", Rule.DOMESTIC, "DE", 19000),
    ("DE business at home", seller(), "DE", "DE136695976", Rule.DOMESTIC, "DE", 19000),
    ("nobody said from where", seller(), "", "", Rule.DOMESTIC, "DE", 19000),
    # A business in another member state owes the tax itself (Articles 44 and 196).
    ("business in France", seller(), "FR", "FR40303265045", Rule.REVERSE_CHARGE, "", 0),
    ("Greek numbers begin with EL", seller(), "GR", "EL094259216", Rule.REVERSE_CHARGE, "", 0),
    ("business, seller below the threshold", seller(oss=False), "FR", "FR40303265045", Rule.REVERSE_CHARGE, "", 0),
    # A number of another country makes nobody a business in this one.
    ("German number, lives in France", seller(), "FR", "DE136695976", Rule.DESTINATION, "FR", 20000),
    # Consumers elsewhere in the EU: their own rate by OSS (Article 58), or home below 10 000 EUR a year (Article 59c).
    ("consumer in France, OSS", seller(), "FR", "", Rule.DESTINATION, "FR", 20000),
    ("consumer in Finland, OSS", seller(), "FI", "", Rule.DESTINATION, "FI", 25500),
    ("consumer in France, no OSS", seller(oss=False), "FR", "", Rule.ORIGIN, "DE", 19000),
    # Monaco is treated as France (Article 7).
    ("consumer in Monaco", seller(), "MC", "", Rule.DESTINATION, "FR", 20000),
    # Outside of the EU nothing is collected (Articles 44 and 58); so on the islands of Article 6.
    ("consumer in Switzerland", seller(), "CH", "", Rule.OUTSIDE, "", 0),
    ("business in Switzerland", seller(), "CH", "CHE107787577IVA", Rule.OUTSIDE, "", 0),
    ("consumer in the United States", seller(), "US", "", Rule.OUTSIDE, "", 0),
    ("consumer on the Canary Islands", seller(), "IC", "", Rule.OUTSIDE, "", 0),
    ("United Kingdom since 2021", seller(), "GB", "GB980780684", Rule.OUTSIDE, "", 0),
    # For services Northern Ireland is not in the EU (Protocol, Article 8).
    ("Northern Ireland", seller(), "GB", "XI980780684", Rule.OUTSIDE, "", 0),
    # A seller outside of the EU: the non-Union scheme (Article 358a onwards), and reverse charge to businesses.
    ("Swiss seller at home", seller("CH"), "CH", "", Rule.DOMESTIC, "CH", 8100),
    ("Swiss seller, French consumer, OSS", seller("CH"), "FR", "", Rule.DESTINATION, "FR", 20000),
    ("Swiss seller, French consumer, no OSS", seller("CH", oss=False), "FR", "", Rule.OUTSIDE, "", 0),
    ("Swiss seller, French business", seller("CH"), "FR", "FR40303265045", Rule.REVERSE_CHARGE, "", 0),
    ("British seller, Isle of Man", seller("GB"), "IM", "", Rule.DOMESTIC, "GB", 20000),
    # A small business charges nobody anything (Title XII, Chapter 1).
    ("small business", seller(charges_tax=False), "DE", "", Rule.UNTAXED_SELLER, "", 0),
    ("company that was not set up", seller("", charges_tax=False), "FR", "", Rule.UNTAXED_SELLER, "", 0),
]  # fmt: skip


@pytest.mark.parametrize(("who", "selling", "country", "number", "rule", "taxed_in", "rate"), CASES)
def test_a_sale_bears_the_tax_of_its_rule(
    who: str, selling: Seller, country: str, number: str, rule: Rule, taxed_in: str, rate: int
) -> None:
    decision = decide(selling, Buyer(country=country, vat_number=number), rates=RATES, on=TODAY)
    assert (decision.rule, decision.country, decision.millipercent) == (rule, taxed_in, rate), who


def test_a_rate_holds_from_its_day_until_the_next_one() -> None:
    # Estonia: 22 % until June 2025, 24 % from 1 July 2025.
    rates = [*RATES, Rate(country="EE", valid_from=date(2025, 7, 1), millipercent=24000)]
    for day, expected in ((date(2025, 6, 30), 22000), (date(2025, 7, 1), 24000), (TODAY, 24000)):
        found = decide(seller(), Buyer(country="EE"), rates=rates, on=day)
        assert found.millipercent == expected, day


def test_nothing_is_sold_at_a_rate_that_is_not_known() -> None:
    with pytest.raises(PreconditionFailed, match="No tax rate of PL is known for 2026-11-20"):
        decide(seller(), Buyer(country="PL"), rates=RATES, on=TODAY)
    with pytest.raises(PreconditionFailed, match="No tax rate of DE is known for 2024-12-31"):
        decide(seller(), Buyer(country="DE"), rates=RATES, on=date(2024, 12, 31))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_why_there_is_no_domestic_tax(language: str) -> None:
    said = {rule: reason(rule, language) for rule in Rule}
    assert all(said[rule] for rule in (Rule.REVERSE_CHARGE, Rule.DESTINATION, Rule.OUTSIDE))
    assert not said[Rule.DOMESTIC]
    assert "196" in said[Rule.REVERSE_CHARGE]
