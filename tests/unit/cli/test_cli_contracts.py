"""``domus contract`` and ``domus invoice refund``: amounts are said before anything is done."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from domus.cli.main import cli
from domus.core.clock import utc_now
from domus.vps.models import VpsState
from tests.support.changing import balance, make_offer
from tests.support.contracts import contract
from tests.support.order_shop import Shop, make_shop


@pytest.fixture
def shop(db) -> Shop:
    return make_shop(db)


@pytest.fixture
def vps(shop):
    return shop.active(now=utc_now())


def call(shop: Shop, *arguments: str, typed: str = "") -> Result:
    env = {"DOMUS_DATABASE_URL": shop.db.engine.url.render_as_string(hide_password=False)}
    return CliRunner().invoke(cli, arguments, env=env, input=typed)


def test_a_change_is_listed_confirmed_paid_and_withdrawn(shop, vps):
    large = make_offer(shop, 3000, name="Large")
    listed = call(shop, "contract", "options", vps.name)
    assert f"{large.id}: Large: 30.00 USD until" in listed.output
    why = ("--reason", "asked by phone")
    assert call(shop, "contract", "change", vps.name, str(large.id), *why, typed="n\n").exit_code == 1
    assert (
        "waits for invoice"
        in call(shop, "contract", "change", vps.name, str(large.id), *why, typed="y\n").output
    )
    assert call(shop, "contract", "change-withdraw", "1", *why).exit_code == 0
    assert call(shop, "contract", "change", vps.name, str(large.id), "--yes", *why).exit_code == 0
    assert "the machine follows" in call(shop, "contract", "change-paid", "2", *why).output
    assert shop.vps(vps.id).memory_mib == 1024


def test_a_contract_is_cancelled_kept_and_ended(shop, vps):
    why = ("--reason", "asked by phone")
    assert (
        f"ends on {contract(shop, vps).paid_until}" in call(shop, "contract", "cancel", vps.name, *why).output
    )
    assert call(shop, "contract", "keep", vps.name, *why).exit_code == 0
    wrong = call(shop, "contract", "cancel", vps.name, "--now", *why, typed="no\n")
    assert (wrong.exit_code, contract(shop, vps).ended_on) == (1, None)
    done = call(shop, "contract", "cancel", vps.name, "--now", "--credit", *why, typed=f"{vps.name}\n")
    assert "10.00 USD went to the balance" in done.output
    assert shop.vps(vps.id).state is VpsState.REMOVING


def test_an_invoice_is_refunded_in_part(shop, vps):
    arguments = ("invoice", "refund", "1", "--amount", "2.50", "--reason", "slow disk")
    assert call(shop, *arguments, typed="n\n").exit_code == 1
    done = call(shop, *arguments, "--yes")
    assert "2.50 USD are given back by credit note" in done.output
    assert balance(shop) == 250
