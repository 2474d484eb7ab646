"""Logging in, and staying so for as long as is right."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from domus.accounts.models import AuditEvent, LoginFailure, LoginSession, User
from domus.core.errors import InvalidInput, NotAllowed, NotFound, TooManyAttempts
from domus.db.engine import Database
from domus.workflows import accounts
from domus.workflows.accounts import LoginTicket
from tests.support.builders import NOW
from tests.support.people import PASSWORD, People

DAY = timedelta(days=1)
HERE = "203.0.113.7"


def log_in(
    db: Database,
    email: str = "alice@example.org",
    password: str = PASSWORD,
    *,
    now: datetime = NOW,
    address: str = HERE,
) -> LoginTicket:
    return accounts.log_in(db, email=email, password=password, remote_address=address, lifetime=DAY, now=now)


def count(db: Database, model: type) -> int:
    with db.reading() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0


def test_the_right_password_opens_a_session(db: Database, people: People) -> None:
    ticket = log_in(db)
    user = accounts.session_user(db, token=ticket.token, now=NOW)
    assert user is not None
    assert user.email == "alice@example.org"
    assert user.account is not None
    assert user.account.name == "Acme"


@pytest.mark.parametrize("email", ["Alice@Example.ORG", " alice@example.org "])
def test_the_address_is_known_however_it_is_typed(db: Database, people: People, email: str) -> None:
    assert log_in(db, email).user.id == people.alice.id


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("alice@example.org", "wrong password"),
        ("nobody@example.org", PASSWORD),
        ("not an address\0", PASSWORD),
        ("bob@example.org", PASSWORD),
        ("alice@example.org", ""),
        ("alice@example.org", "x" * 100_000),
    ],
)
def test_whatever_is_wrong_gets_the_same_answer(
    db: Database, people: People, email: str, password: str
) -> None:
    accounts.set_user_disabled(db, user_id=people.bob.id, disabled=True, actor=people.as_olga, now=NOW)
    with pytest.raises(
        NotAllowed, match=r"^The e-mail address or the password is wrong, or the user is disabled\.$"
    ):
        log_in(db, email, password)
    assert count(db, LoginSession) == 0


def test_the_database_does_not_hold_the_token(db: Database, people: People) -> None:
    ticket = log_in(db)
    with db.reading() as session:
        stored = session.scalars(sa.select(LoginSession)).one()
    assert ticket.token not in (stored.token_hash, repr(ticket))
    assert len(ticket.token) >= 43
    assert accounts.session_user(db, token=stored.token_hash, now=NOW) is None


def test_every_log_in_has_a_token_of_its_own(db: Database, people: People) -> None:
    assert log_in(db).token != log_in(db).token


def test_a_session_ends_when_its_time_is_over(db: Database, people: People) -> None:
    token = log_in(db).token
    assert accounts.session_user(db, token=token, now=NOW + DAY - timedelta(seconds=1)) is not None
    assert accounts.session_user(db, token=token, now=NOW + DAY) is None


def test_logging_out_ends_the_session_on_the_server(db: Database, people: People) -> None:
    token = log_in(db).token
    accounts.log_out(db, token=token, now=NOW)
    assert accounts.session_user(db, token=token, now=NOW) is None
    accounts.log_out(db, token=token, now=NOW)


def test_disabling_a_user_ends_the_sessions(db: Database, people: People) -> None:
    token = log_in(db).token
    accounts.set_user_disabled(db, user_id=people.alice.id, disabled=True, actor=people.as_olga, now=NOW)
    assert accounts.session_user(db, token=token, now=NOW) is None
    accounts.set_user_disabled(db, user_id=people.alice.id, disabled=False, actor=people.as_olga, now=NOW)
    assert accounts.session_user(db, token=token, now=NOW) is None
    assert log_in(db).user.disabled_at is None


def test_when_somebody_was_seen_is_written_at_most_once_a_minute(db: Database, people: People) -> None:
    token = log_in(db).token

    def seen_at_after(seconds: int) -> timedelta:
        accounts.session_user(db, token=token, now=NOW + timedelta(seconds=seconds))
        with db.reading() as session:
            return session.scalars(sa.select(LoginSession.seen_at)).one() - NOW

    assert seen_at_after(59) == timedelta(0)
    assert seen_at_after(60) == timedelta(seconds=60)
    assert seen_at_after(61) == timedelta(seconds=60)


def test_five_wrong_passwords_for_one_address_make_everybody_wait(db: Database, people: People) -> None:
    for number in range(5):
        with pytest.raises(NotAllowed):
            log_in(db, password="wrong", address=f"203.0.113.{number}", now=NOW + timedelta(minutes=number))
    later = NOW + timedelta(minutes=5)
    with pytest.raises(TooManyAttempts, match="Try again in 10 minutes") as caught:
        log_in(db, now=later, address="198.51.100.1")
    assert caught.value.retry_after_seconds == 600
    assert log_in(db, now=NOW + timedelta(minutes=15)).user.id == people.alice.id


def test_twenty_wrong_passwords_from_one_place_make_that_place_wait(db: Database, people: People) -> None:
    for number in range(20):
        with pytest.raises(NotAllowed):
            log_in(db, f"user{number}@example.org", "wrong")
    with pytest.raises(TooManyAttempts):
        log_in(db)
    assert log_in(db, address="198.51.100.1").user.id == people.alice.id


def test_unknown_addresses_are_slowed_down_like_known_ones(db: Database, people: People) -> None:
    for _ in range(5):
        with pytest.raises(NotAllowed):
            log_in(db, "nobody@example.org", "wrong")
    with pytest.raises(TooManyAttempts):
        log_in(db, "nobody@example.org", "wrong")


def test_a_right_password_forgets_the_wrong_ones(db: Database, people: People) -> None:
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(NotAllowed):
                log_in(db, password="wrong")
        log_in(db)


def test_knowing_one_password_does_not_help_to_guess_others(db: Database, people: People) -> None:
    """A log-in that is right takes back its own attempt under the address, not the wrong ones before it."""
    for number in range(20):
        with pytest.raises(NotAllowed):
            log_in(db, f"user{number}@example.org", "wrong")
        if number < 19:
            log_in(db, "charlie@example.net")
    with pytest.raises(TooManyAttempts):
        log_in(db, "charlie@example.net")


def test_what_is_old_is_forgotten(db: Database, people: People) -> None:
    with pytest.raises(NotAllowed):
        log_in(db, "nobody@example.org", "wrong")
    log_in(db, now=NOW + timedelta(minutes=15))
    assert count(db, LoginFailure) == 0


def test_a_refusal_of_an_unknown_address_is_on_record_without_what_was_typed(
    db: Database, people: People
) -> None:
    with pytest.raises(NotAllowed):
        log_in(db, "my-password-in-the-wrong-field", "x")
    with db.reading() as session:
        event = session.scalars(sa.select(AuditEvent)).one()
    assert (event.action, event.object_id, event.details) == (
        "user.login_refused",
        "unknown",
        {"remote_address": HERE},
    )


def test_log_ins_and_refusals_of_known_users_are_on_record(db: Database, people: People) -> None:
    with pytest.raises(NotAllowed):
        log_in(db, password="hunter2hunter2")
    accounts.log_out(db, token=log_in(db).token, now=NOW)
    with db.reading() as session:
        events = session.scalars(sa.select(AuditEvent).order_by(AuditEvent.id)).all()
    assert [event.action for event in events] == ["user.login_refused", "user.logged_in", "user.logged_out"]
    assert all(event.account_id == people.acme.id for event in events)
    assert "hunter2" not in repr([(event.details, event.reason, event.actor) for event in events])


def test_changing_the_password_ends_the_other_sessions(db: Database, people: People) -> None:
    mine, other = log_in(db).token, log_in(db).token
    new = "another long password"
    accounts.change_password(db, user_id=people.alice.id, old=PASSWORD, new=new, keep_token=mine, now=NOW)
    assert accounts.session_user(db, token=mine, now=NOW) is not None
    assert accounts.session_user(db, token=other, now=NOW) is None
    assert log_in(db, password=new).user.id == people.alice.id
    with pytest.raises(NotAllowed):
        log_in(db)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [("wrong", "another long password", "old"), (PASSWORD, "short", "new"), (PASSWORD, PASSWORD, "new")],
)
def test_a_password_is_not_changed_for_the_asking(
    db: Database, people: People, old: str, new: str, field: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        accounts.change_password(db, user_id=people.alice.id, old=old, new=new, keep_token=None, now=NOW)
    assert caught.value.field == field
    assert log_in(db).user.id == people.alice.id


def test_a_forced_change_is_over_with_the_new_password(db: Database) -> None:
    user = accounts.create_operator(
        db, email="root@example.com", password=PASSWORD, must_change=True, now=NOW
    )
    assert log_in(db, "root@example.com").user.must_change_password
    accounts.change_password(
        db, user_id=user.id, old=PASSWORD, new="another password", keep_token=None, now=NOW
    )
    assert not log_in(db, "root@example.com", "another password").user.must_change_password


def test_only_operators_disable_users_and_never_themselves(db: Database, people: People) -> None:
    with pytest.raises(NotAllowed):
        accounts.set_user_disabled(
            db, user_id=people.charlie.id, disabled=True, actor=people.as_alice, now=NOW
        )
    with pytest.raises(Exception, match="You cannot disable yourself"):
        accounts.set_user_disabled(db, user_id=people.olga.id, disabled=True, actor=people.as_olga, now=NOW)
    with pytest.raises(NotFound):
        accounts.set_user_disabled(db, user_id=99_999, disabled=True, actor=people.as_olga, now=NOW)


def test_an_old_hash_is_renewed_at_the_next_log_in(db: Database, people: People) -> None:
    weak = "$argon2id$v=19$m=8,t=2,p=1$"
    old_hash = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1).hash(PASSWORD)
    assert old_hash.startswith(weak)
    with db.unit_of_work() as session:
        session.execute(sa.update(User).where(User.id == people.alice.id).values(password_hash=old_hash))
    log_in(db)
    with db.reading() as session:
        assert not session.get_one(User, people.alice.id).password_hash.startswith(weak)
