"""The judge finds what is broken on purpose: each test spoils one thing in a shop that was in order."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from domus.db.engine import Database
from domus.simulation import year
from domus.simulation.judging.findings import Findings
from domus.simulation.judging.judge import Judge
from domus.simulation.plan import Plan
from domus.simulation.report import make_report
from domus.simulation.world import World
from tests.support.database import copy_sqlite

Judged = Callable[..., Findings]

#: In this small year everything is there that is spoilt below.
PLAN = Plan(accounts=14, days=75, seed=2)


@pytest.fixture(scope="module")
def played(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Offer a small year that was played to its end."""
    db = Database(copy_sqlite(sqlite_template, tmp_path_factory.mktemp("year")))
    sa.event.listen(db.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    with year.quietly():
        world = year.prepare(db, PLAN)
        judge = year.play(world)
    assert judge.findings.sentences() == []
    with db.reading() as session:
        session.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    yield world
    db.dispose()


@pytest.fixture
def world(played: World, tmp_path: Path) -> Iterator[World]:
    """Offer the played year with a copy of its database that may be spoilt."""
    path = tmp_path / "spoilt.sqlite"
    source = played.db.engine.url.database
    assert source is not None
    with played.db.unit_of_work():
        shutil.copyfile(source, path)
        for part in ("-wal", "-shm"):
            if Path(f"{source}{part}").exists():
                shutil.copyfile(f"{source}{part}", f"{path}{part}")
    before, played.db = played.db, Database(f"sqlite:///{path}")
    yield played
    played.db.dispose()
    played.db = before


@pytest.fixture
def judged(world: World) -> Judged:
    """Offer what runs statements that the database would refuse, and returns what the judge then finds."""

    def spoil(*statements: str, **values: object) -> Findings:
        with world.db.unit_of_work() as session:
            for trigger in session.scalars(
                sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).all():
                session.execute(sa.text(f"DROP TRIGGER {trigger}"))
            session.execute(sa.text("PRAGMA defer_foreign_keys=ON"))
            for statement in statements:
                assert session.connection().execute(sa.text(statement), values).rowcount > 0
        judge = Judge(world)
        judge.look(final=True)
        return judge.findings

    return spoil


def one(world: World, query: str) -> object:
    """Return one value of the database."""
    with world.db.reading() as session:
        return session.scalars(sa.text(query)).first()


def test_a_shop_in_order_has_nothing_wrong(judged: Judged) -> None:
    assert judged().is_clean


def test_a_payment_that_was_booked_and_never_taken_is_found(judged: Judged) -> None:
    found = judged(
        """INSERT INTO payment (account_id, gateway, reference, state, currency, amount_minor, received_at)
           SELECT account_id, gateway, reference || '-again', state, currency, amount_minor, received_at FROM payment
           WHERE gateway = 'cards' LIMIT 1"""
    )
    assert found.count("double_charges") == 1


def test_a_transfer_that_was_booked_twice_is_found(judged: Judged, world: World) -> None:
    line = one(world, "SELECT max(id) FROM bank_line WHERE payment_id IS NOT NULL")
    other = one(world, "SELECT min(id) FROM bank_line WHERE payment_id IS NOT NULL")
    found = judged(
        """UPDATE bank_line SET bank_reference = (SELECT bank_reference FROM bank_line WHERE id = :line)
           WHERE id = :other""",
        line=line,
        other=other,
    )
    assert found.count("double_charges") >= 1


def test_a_card_that_was_charged_twice_for_one_invoice_is_found(judged: Judged, world: World) -> None:
    taking = next(one for one in world.cards.takings.values() if one.unasked)
    world.cards.takings["twice"] = replace(taking, reference="twice")
    try:
        found = judged()
    finally:
        del world.cards.takings["twice"]
    assert any("was charged 2 times" in sentence for sentence in found.sentences())
    assert found.count("lost_payments") >= 1  # Nor is the second one in the books.


def test_a_payment_that_was_dropped_is_found(judged: Judged) -> None:
    found = judged("DELETE FROM payment WHERE id = (SELECT max(id) FROM payment WHERE gateway = 'cards')")
    assert found.count("lost_payments") == 1


def test_a_payment_of_another_amount_is_found(judged: Judged) -> None:
    assert (
        judged("UPDATE payment SET amount_minor = amount_minor + 1 WHERE gateway = 'cards'").count(
            "double_charges"
        )
        > 0
    )


def test_money_that_vanished_from_a_balance_is_found(judged: Judged) -> None:
    found = judged(
        """UPDATE ledger_entry SET amount_minor = amount_minor + 5
           WHERE id = (SELECT max(id) FROM ledger_entry WHERE ledger_account LIKE 'balance:%')"""
    )
    assert found.count("lost_payments") == 1
    assert found.count("ledger") == 1


def test_a_booking_that_balances_and_is_not_so_is_found(judged: Judged) -> None:
    found = judged(
        "UPDATE ledger_entry SET ledger_account = 'cash:wallet' WHERE ledger_account = 'cash:cards'"
    )
    assert found.count("ledger") >= 2


def test_a_contract_that_was_not_extended_is_found(judged: Judged) -> None:
    found = judged("UPDATE subscription SET paid_until = date(paid_until, '-1 day') WHERE id = 1")
    assert found.count("lost_payments") == 1


def test_a_contract_that_was_given_days_is_found(judged: Judged) -> None:
    found = judged("UPDATE subscription SET paid_until = date(paid_until, '+1 day') WHERE id = 1")
    assert found.count("running_unpaid_beyond_grace") == 1


def test_a_period_that_was_paid_twice_is_found(judged: Judged) -> None:
    found = judged(
        """UPDATE renewal SET starts_on = date(starts_on, '-3 days')
           WHERE invoice_id = (SELECT max(invoice_id) FROM renewal WHERE settled_at IS NOT NULL)"""
    )
    assert found.count("double_charges") == 1


def test_a_vps_that_runs_on_after_its_contract_ended_is_found(judged: Judged, world: World) -> None:
    contract = one(
        world,
        "SELECT min(s.id) FROM subscription s JOIN vps v ON v.order_id = s.order_id "
        "WHERE v.state = 'active' AND v.observed_power = 'running'",
    )
    found = judged(
        "UPDATE subscription SET ended_on = '2028-01-10' WHERE id = :contract",
        """UPDATE vps SET state = 'removing', state_since = '2028-01-10 00:00:00.000000'
           WHERE order_id = (SELECT order_id FROM subscription WHERE id = :contract)""",
        contract=contract,
    )
    assert any("had to be off by" in sentence for sentence in found.sentences())
    assert any("had to be gone by" in sentence for sentence in found.sentences())


def test_a_run_that_suspends_nobody_is_found(judged: Judged, world: World) -> None:
    """As if the contract had run out months ago, and nothing had been done about it."""
    found = judged(
        """UPDATE subscription SET started_on = date(started_on, '-120 days'), paid_until = date(paid_until, '-120 days')
           WHERE id = (SELECT min(s.id) FROM subscription s JOIN vps v ON v.order_id = s.order_id
               JOIN order_ o ON o.id = s.order_id JOIN price p ON p.id = o.price_id
               WHERE v.state = 'active' AND p.period = '0000-01-00'
               AND NOT EXISTS (SELECT 1 FROM renewal r WHERE r.subscription_id = s.id))"""
    )
    assert any("had to be off by" in sentence for sentence in found.sentences())


def test_a_vps_that_is_suspended_and_paid_is_found(judged: Judged) -> None:
    found = judged(
        """INSERT INTO suspension (vps_id, reason, note, since, actor)
           SELECT v.id, 'unpaid', '', '2028-01-01 00:00:00.000000', 'x' FROM vps v
           JOIN subscription s ON s.order_id = v.order_id WHERE v.state = 'active' AND s.paid_until > '2028-06-01' LIMIT 1"""
    )
    assert found.count("suspended_though_paid") == 1


def test_a_vps_that_stays_off_although_it_is_paid_is_found(
    judged: Judged, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deal = next(
        deal
        for deal in world.deals.values()
        if (guest := world.fleet.guest_of(deal.vps_id)) is not None and guest.power == "running"
    )
    guest = world.fleet.guest_of(deal.vps_id)
    monkeypatch.setattr(guest, "power", "stopped")
    assert judged().count("suspended_though_paid") == 1


def test_an_address_that_is_left_to_a_vps_that_is_gone_is_found(judged: Judged) -> None:
    found = judged(
        """UPDATE ip_address SET state = 'assigned', vps_id = (SELECT id FROM vps WHERE state = 'cancelled' LIMIT 1)
           WHERE id = (SELECT min(id) FROM ip_address WHERE state = 'free')"""
    )
    assert found.count("leaked_addresses") == 1


def test_an_address_that_rests_for_ever_is_found(judged: Judged) -> None:
    found = judged(
        """UPDATE ip_address SET state = 'quarantined', free_again_at = '2028-01-01 00:00:00.000000'
           WHERE id = (SELECT min(id) FROM ip_address WHERE state = 'free')"""
    )
    assert found.count("leaked_addresses") == 1


def test_a_place_that_is_kept_for_nobody_is_found(judged: Judged) -> None:
    found = judged(
        """INSERT INTO reservation (vps_id, dom0_id, memory_mib, disk_mib, vcpus)
           SELECT id, dom0_id, 1, 1, 1 FROM vps WHERE state = 'cancelled' LIMIT 1"""
    )
    assert found.count("leaked_addresses") == 1


@pytest.mark.parametrize("which", ["min", "max"])
def test_a_number_that_is_missing_is_found(judged: Judged, which: str) -> None:
    found = judged(
        f"""UPDATE invoice SET number = 'DE-2028-77777'
            WHERE number = (SELECT {which}(number) FROM invoice WHERE number LIKE 'DE-2028-%')"""
    )
    assert found.count("invoice_gaps") >= 1


def test_the_last_number_cannot_vanish_either(world: World) -> None:
    judge = Judge(world)
    judge.look()
    with world.db.unit_of_work() as session:
        for trigger in session.scalars(
            sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).all():
            session.execute(sa.text(f"DROP TRIGGER {trigger}"))
        session.execute(
            sa.text(
                """UPDATE invoice SET number = NULL, state = 'open'
                   WHERE number = (SELECT max(number) FROM invoice WHERE number LIKE 'DE-2028%')"""
            )
        )
    judge.look()
    assert judge.findings.count("invoice_gaps") == 1


def test_an_invoice_at_another_price_is_found(judged: Judged) -> None:
    found = judged(
        """UPDATE invoice SET net_minor = net_minor + 1, gross_minor = gross_minor + 1
           WHERE id = (SELECT max(id) FROM invoice WHERE state = 'paid')"""
    )
    assert found.count("wrong_prices") == 1


def test_money_that_lies_idle_while_a_renewal_is_overdue_is_found(
    judged: Judged, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "purse_moved", {})
    found = judged(
        """UPDATE renewal SET starts_on = '2028-01-05' WHERE settled_at IS NULL AND withdrawn_at IS NULL
           AND subscription_id IN (SELECT s.id FROM subscription s JOIN vps v ON v.order_id = s.order_id
               WHERE v.state = 'active' AND s.ended_on IS NULL)""",
        "UPDATE invoice SET issued_at = '2028-01-01 00:00:00.000000' WHERE state = 'open'",
        """INSERT INTO ledger_entry (transaction_id, ledger_account, currency, amount_minor)
           SELECT 1, 'balance:' || account_id, currency, -1000000 FROM invoice WHERE state = 'open'""",
    )
    assert any("has the money for it" in sentence for sentence in found.sentences())


def test_what_was_done_twice_and_what_was_forged_is_told(world: World) -> None:
    world.counts["forgeries_taken"] += 1
    world.repeated_work.append("2028-01-01: something")
    try:
        judge = Judge(world)
        judge.look()
    finally:
        world.counts["forgeries_taken"] -= 1
        world.repeated_work.clear()
    report = make_report(judge)
    assert not report.is_good
    assert (report.numbers["forgeries_taken"], report.numbers["repeated_work"]) == (1, 1)


def test_the_report_says_so_when_something_is_wrong(judged: Judged, world: World) -> None:
    judged("DELETE FROM payment WHERE id = (SELECT max(id) FROM payment WHERE gateway = 'cards')")
    judge = Judge(world)
    judge.look(final=True)
    report = make_report(judge)
    assert not report.is_good
    assert report.numbers["lost_payments"] == 1
    assert report.numbers["ledger_balanced"] is True


def test_what_is_on_its_way_is_not_lost_yet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    taking = next(iter(world.cards.takings.values()))
    fresh = replace(taking, reference="fresh", at=world.now - timedelta(days=1), unasked=False)
    monkeypatch.setitem(world.cards.takings, "fresh", fresh)
    judge = Judge(world)
    judge.look()
    assert judge.findings.count("lost_payments") == 0
