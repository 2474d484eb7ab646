"""A new password by mail: one link, once, for a short time, and nobody learns who has an account."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from domus.accounts.models import LoginSession, PasswordReset
from domus.core.errors import InvalidInput, NotAllowed, NotFound, TooManyAttempts
from domus.db.engine import Database
from domus.mail.delivery import DeliveryRefused
from domus.workflows import accounts, password_reset
from domus.workflows.mail import NOT_KEPT
from tests.support.builders import NOW
from tests.support.mails import PostOffice
from tests.support.people import PASSWORD, People

NEW = "a wholly new password"
HERE = "198.51.100.7"


@pytest.fixture
def office(db: Database) -> PostOffice:
    return PostOffice(db)


def ask(db: Database, email: str = "alice@example.org", *, after: timedelta = timedelta(0)) -> None:
    password_reset.ask(db, email=email, remote_address=HERE, now=NOW + after)


def token(office: PostOffice, place: int = -1) -> str:
    found = re.search(r"https://panel\.example\.org/reset-password/([\w-]{43})\n", office.texts()[place])
    assert found is not None
    return found[1]


def choose(db: Database, link: str, password: str = NEW, *, after: timedelta = timedelta(minutes=1)) -> None:
    password_reset.choose(db, token=link, password=password, remote_address=HERE, now=NOW + after)


def log_in(db: Database, password: str, email: str = "alice@example.org") -> None:
    accounts.log_in(
        db, email=email, password=password, remote_address=HERE, lifetime=timedelta(days=1), now=NOW
    )


def test_the_link_sets_a_new_password_and_ends_all_sessions(
    db: Database, people: People, office: PostOffice
) -> None:
    log_in(db, PASSWORD)
    ask(db, "Alice@Example.org")
    office.run()
    assert password_reset.is_good(db, token=token(office), now=NOW)
    choose(db, token(office))
    with db.reading() as session:
        assert session.scalars(sa.select(LoginSession)).all() == []
    log_in(db, NEW)
    with pytest.raises(NotAllowed):
        log_in(db, PASSWORD)
    office.run(after=timedelta(minutes=1))
    assert "your password was changed" in office.texts()[-1]


def test_a_link_is_good_once(db: Database, people: People, office: PostOffice) -> None:
    ask(db)
    office.run()
    choose(db, token(office))
    assert not password_reset.is_good(db, token=token(office), now=NOW)
    with pytest.raises(NotFound, match="used or over"):
        choose(db, token(office), "another good password")


def test_a_link_is_good_for_an_hour_from_when_it_was_sent(
    db: Database, people: People, office: PostOffice
) -> None:
    ask(db)
    office.run(after=timedelta(hours=2))
    link = token(office)
    assert password_reset.is_good(db, token=link, now=NOW + timedelta(hours=2, minutes=59))
    with pytest.raises(NotFound):
        choose(db, link, after=timedelta(hours=3))


def test_using_one_link_ends_the_others(db: Database, people: People, office: PostOffice) -> None:
    ask(db)
    ask(db)
    office.run()
    choose(db, token(office, 0))
    with pytest.raises(NotFound):
        choose(db, token(office, 1))


def test_a_changed_password_ends_links_that_were_sent_and_those_that_wait(
    db: Database, people: People, office: PostOffice
) -> None:
    ask(db)
    office.run()
    ask(db)
    accounts.change_password(
        db, user_id=people.alice.id, old=PASSWORD, new=NEW, keep_token=None, now=NOW + timedelta(minutes=1)
    )
    assert office.run(after=timedelta(minutes=1)) == {"refused": 1, "sent": 1}
    assert office.delivery.sent[-1][0] == "alice@example.org"
    assert "your password was changed" in office.texts()[-1]
    assert not password_reset.is_good(db, token=token(office, 0), now=NOW + timedelta(minutes=1))
    with pytest.raises(NotFound):
        choose(db, token(office, 0))
    log_in(db, NEW)


def test_the_token_stands_nowhere_but_in_the_mail(db: Database, people: People, office: PostOffice) -> None:
    ask(db)
    office.run()
    link = token(office)
    assert office.mails()[0].text == NOT_KEPT
    with db.engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names()
        everything = [str(connection.execute(sa.text(f"SELECT * FROM {name}")).all()) for name in tables]
    assert link not in "".join(everything)


def test_a_mail_that_is_tried_again_has_a_link_of_its_own(
    db: Database, people: People, office: PostOffice
) -> None:
    ask(db)
    office.delivery.refusal = DeliveryRefused("451 Later", is_final=False)
    office.run()
    with db.reading() as session:
        first = session.scalars(sa.select(PasswordReset.token_hash)).one()
    office.delivery.refusal = None
    office.run(after=timedelta(minutes=1))
    with db.reading() as session:
        assert session.scalars(sa.select(PasswordReset.token_hash)).one() != first
    choose(db, token(office), after=timedelta(minutes=2))


def test_a_mail_that_waited_for_a_day_is_not_sent(db: Database, people: People, office: PostOffice) -> None:
    ask(db)
    assert office.run(after=timedelta(days=1)) == {"refused": 1}


def test_who_has_no_account_is_answered_the_same_and_gets_no_mail(
    db: Database, people: People, office: PostOffice
) -> None:
    ask(db, "nobody@example.org")
    accounts.set_user_disabled(db, user_id=people.charlie.id, disabled=True, actor=people.as_olga, now=NOW)
    ask(db, "charlie@example.net")
    assert office.mails() == []


def test_who_is_disabled_after_asking_gets_in_by_no_link(
    db: Database, people: People, office: PostOffice
) -> None:
    ask(db)
    office.run()
    accounts.set_user_disabled(db, user_id=people.alice.id, disabled=True, actor=people.as_olga, now=NOW)
    with pytest.raises(NotFound):
        choose(db, token(office))


def test_operators_may_forget_theirs_too(db: Database, people: People, office: PostOffice) -> None:
    ask(db, "olga@example.com")
    office.run()
    choose(db, token(office))
    log_in(db, NEW, "olga@example.com")


def test_asking_is_limited_for_known_and_unknown_addresses_alike(
    db: Database, people: People, office: PostOffice
) -> None:
    for email in ("alice@example.org", "nobody@example.org"):
        for _ in range(3):
            ask(db, email)
        with pytest.raises(TooManyAttempts):
            ask(db, email)
    assert len(office.mails()) == 3
    ask(db, after=timedelta(minutes=15))


def test_guessing_links_is_limited(db: Database, people: People) -> None:
    for guess in range(20):
        with pytest.raises(NotFound):
            choose(db, f"guess {guess}")
    with pytest.raises(TooManyAttempts):
        choose(db, "one more")


@pytest.mark.parametrize("password", ["short", "alice@example.org"])
def test_a_bad_password_leaves_the_link_good(
    db: Database, people: People, office: PostOffice, password: str
) -> None:
    ask(db)
    office.run()
    with pytest.raises(InvalidInput) as refusal:
        choose(db, token(office), password)
    assert refusal.value.field == "new"
    choose(db, token(office))


def test_what_is_no_address_is_refused(db: Database) -> None:
    with pytest.raises(InvalidInput):
        ask(db, "not an address")
