"""Whoever sells to whomever: what holds of every decision, and of every amount that follows from it."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from domus.core.money import Money, round_half_up
from domus.tax.amounts import net_and_tax
from domus.tax.rules import EU, Buyer, Rate, Rule, Seller, decide, is_business

TODAY = date(2026, 11, 20)
COUNTRIES = sorted(EU | {"CH", "GB", "US", "JP", "MC", "IM", "NO"})
RATES = [
    Rate(country=country, valid_from=date(2025, 1, 1), millipercent=5000 + 500 * place)
    for place, country in enumerate(COUNTRIES)
]
RATE_OF = {rate.country: rate.millipercent for rate in RATES}

countries = st.sampled_from(COUNTRIES)
sellers = st.builds(Seller, country=countries, charges_tax=st.booleans(), one_stop_shop=st.booleans())
numbers = st.one_of(st.just(""), countries.map(lambda country: f"{country}123456789"), st.just("EL123456789"))
buyers = st.builds(Buyer, country=st.one_of(st.just(""), countries), vat_number=numbers)
prices = st.lists(st.integers(0, 10**7), min_size=1, max_size=5)
currencies = st.sampled_from(["EUR", "JPY", "KWD"])


@given(sellers, buyers)
def test_tax_is_that_of_a_country_that_has_to_do_with_the_sale_at_its_rate(
    seller: Seller, buyer: Buyer
) -> None:
    decision = decide(seller, buyer, rates=RATES, on=TODAY)
    if not decision.country:
        assert decision.millipercent == 0
        return
    assert seller.charges_tax
    assert decision.millipercent == RATE_OF[decision.country]
    treated = {"MC": "FR", "IM": "GB"}
    assert decision.country in {treated.get(one, one) for one in (seller.country, buyer.country)}


@given(sellers, buyers)
def test_who_charges_nothing_charges_nobody_and_no_business_abroad_is_charged(
    seller: Seller, buyer: Buyer
) -> None:
    decision = decide(seller, buyer, rates=RATES, on=TODAY)
    if not seller.charges_tax:
        assert decision.rule is Rule.UNTAXED_SELLER
    elif decision.rule is Rule.REVERSE_CHARGE:
        assert is_business(buyer)
        assert decision.country == ""
    if decision.rule in (Rule.DESTINATION, Rule.ORIGIN):
        assert not is_business(buyer)


@given(sellers, countries)
def test_a_number_makes_no_difference_at_home_or_outside_of_the_union(seller: Seller, country: str) -> None:
    consumer = decide(seller, Buyer(country=country), rates=RATES, on=TODAY)
    # Businesses in Monaco have French numbers.
    number = f"{'FR' if country == 'MC' else country}123456789"
    business = decide(seller, Buyer(country=country, vat_number=number), rates=RATES, on=TODAY)
    if consumer.rule in (Rule.DOMESTIC, Rule.OUTSIDE, Rule.UNTAXED_SELLER):
        assert (business.country, business.millipercent) == (consumer.country, consumer.millipercent)
    else:
        assert business.rule is Rule.REVERSE_CHARGE


@given(sellers, buyers, prices, currencies, st.booleans())
def test_net_and_tax_are_the_gross_of_every_line_and_nobody_pays_more_than_shown(
    seller: Seller, buyer: Buyer, minors: list[int], currency: str, include_tax: bool
) -> None:
    decision = decide(seller, buyer, rates=RATES, on=TODAY)
    lines = net_and_tax([Money(minor, currency) for minor in minors], decision, include_tax=include_tax)
    assert len(lines) == len(minors)
    assert all(net.minor >= 0 and tax.minor >= 0 for net, tax in lines)
    net, tax = sum(net.minor for net, _ in lines), sum(tax.minor for _, tax in lines)
    if include_tax:
        assert net + tax <= sum(minors)
    else:
        assert net == sum(minors)
        assert tax == round_half_up(net * decision.ratio)
