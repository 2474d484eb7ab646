"""Who is counted as one: whoever has an IPv6 line has more addresses than anybody could count."""

import pytest

from domus.accounts import throttle


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
    ],
)
@pytest.mark.parametrize("limit", [throttle.per_address, throttle.sign_ups_per_address])
def test_addresses_of_one_ipv6_network_are_counted_together(limit, one, other, same):
    assert (limit(one).key == limit(other).key) is same


def test_what_is_no_address_is_counted_as_it_is_and_fits_its_column():
    assert throttle.per_address("unknown").key == "address:unknown"
    assert len(throttle.per_address("x" * 5000).key) < 300
