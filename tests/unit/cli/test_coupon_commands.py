"""``domus coupon`` and ``domus commission`` at a shell."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result

from domus.accounts.models import Account
from domus.cli.main import cli
from domus.commissions import referrals
from domus.commissions.models import Commission
from domus.core.clock import utc_now
from domus.core.errors import DomusError
from domus.workflows import commissions
from domus.workflows.commissions import RateFields
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def call(db, monkeypatch):
    """Offer a function that runs the command."""
    monkeypatch.setenv("DOMUS_DATABASE_URL", db.engine.url.render_as_string())

    def call(*arguments: str) -> Result:
        result = CliRunner().invoke(cli, arguments)
        if isinstance(result.exception, DomusError):
            raise result.exception
        return result

    return call


@pytest.fixture
def earned(db) -> Shop:
    """Offer a shop in which Charlie has earned a dollar, due since yesterday."""
    shop = make_shop(db)
    then = utc_now() - timedelta(days=31)
    fields = RateFields(product_id=shop.price.product_id, currency="USD", millipercent=10_000)
    commissions.save_rate(db, rate_id=None, fields=fields, actor=shop.people.as_olga, now=then)
    with db.unit_of_work() as session:
        code = referrals.make_code(session, shop.people.charlie.account_id, now=then)
        referrals.note(session, code, session.get_one(Account, shop.people.acme.id), now=then)
    shop.pay(shop.order(now=then), now=then)
    return shop


def test_a_coupon_is_made_and_listed(call):
    assert call("coupon", "list").output == "There are no coupons.\n"
    made = call("coupon", "add", "spring", "--percent", "12.5", "--payments", "all", "--max-uses", "9")
    assert made.output == "Coupon SPRING takes 12.5 % off.\n"
    call("coupon", "add", "FIVER", "--amounts", "5 EUR, 800 JPY")
    assert call("coupon", "list").output.splitlines() == [
        "FIVER: 5.00 EUR, 800 JPY off, used 0 times",
        "SPRING: 12.5 % off, used 0 of 9 times",
    ]
    assert [one["payments"] for one in json.loads(call("coupon", "list", "--json").output)] == [1, None]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("SPRING",), "enter one of the two"),
        (("SPRING", "--percent", "many"), "is no rate"),
        (("SPRING", "--percent", "5", "--payments", "some"), "a number, or 'all'"),
        (("no good", "--percent", "5"), "2 to 40 letters"),
    ],
)
def test_what_is_wrong_is_said(call, arguments, said):
    with pytest.raises(DomusError, match=said):
        call("coupon", "add", *arguments)
    assert call("coupon", "list").output == "There are no coupons.\n"


def test_commissions_are_run_once(earned, call):
    assert call("commission", "run").output.splitlines() == [
        "1 commission earned.",
        "1 commission put into balances.",
    ]
    assert call("commission", "run").output == "Nothing is due.\n"
    assert json.loads(call("commission", "run", "--json").output) == {
        "earned": 0, "reversed": 0, "credited": 0, "faults": [],
    }  # fmt: skip


def test_the_run_of_renewals_looks_after_commissions_too(earned, call):
    assert "1 commission earned." in call("renewals", "run").output
    assert call("ledger", "check").exit_code == 0


def test_a_commission_is_noted_as_paid_out(earned, call, db, monkeypatch):
    monkeypatch.setenv("DOMUS_COMMISSION_CREDIT", "no")
    assert call("commission", "run").output == "1 commission earned.\n"
    with db.reading() as session:
        commission_id = session.scalars(sa.select(Commission.id)).one()
    said = call("commission", "pay-out", str(commission_id), "--reference", "SEPA 42")
    assert said.output == f"Commission {commission_id} over 1.00 USD is paid out: SEPA 42.\n"
    with pytest.raises(DomusError, match="paid out already"):
        call("commission", "pay-out", str(commission_id), "--reference", "SEPA 42")


def test_a_bad_setting_is_named(earned, call, monkeypatch):
    monkeypatch.setenv("DOMUS_COMMISSION_REFUND_DAYS", "soon")
    with pytest.raises(DomusError, match="DOMUS_COMMISSION_REFUND_DAYS"):
        call("commission", "run")
