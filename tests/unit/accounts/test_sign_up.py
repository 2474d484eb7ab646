"""Opening an account."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from domus.accounts.models import Account, AuditEvent, Role, User
from domus.core.errors import InvalidInput, NotAllowed, TooManyAttempts
from domus.db.engine import Database
from domus.workflows import accounts
from tests.support.builders import NOW
from tests.support.people import PASSWORD, People


def sign_up(db: Database, **answers: str) -> User:
    defaults = {
        "name": "Dora",
        "email": "dora@example.org",
        "password": PASSWORD,
        "remote_address": "203.0.113.7",
    }
    return accounts.sign_up(db, **defaults | answers, now=NOW)


def test_somebody_who_signs_up_is_a_customer_with_an_account(db: Database) -> None:
    user = sign_up(db, email="Dora@Example.org", country="de")
    assert (user.email, user.role) == ("dora@example.org", Role.CUSTOMER)
    assert user.account is not None
    assert (user.account.name, user.account.email, user.account.country) == ("Dora", "dora@example.org", "DE")
    assert user.password_hash.startswith("$argon2id$")
    with db.reading() as session:
        assert session.scalars(sa.select(AuditEvent.action)).all() == ["account.opened"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 201),
        ("name", "a\nb"),
        ("name", "left\u202eright"),
        ("name", "Pay at HTTPS://evil.example"),
        ("name", "WWW.evil.example"),
        ("name", "\uff57\uff57\uff57.evil.example"),
        ("email", "nobody"),
        ("email", "nobody@localhost"),
        ("email", ""),
        ("email", "a@example.org\nBcc: b@example.org"),
        ("country", "Germany"),
        ("country", "1!"),
        ("password", "short"),
        ("password", "x" * 201),
        ("password", "aaaaaaaaaaaa"),
        ("password", "Password1234"),
        ("password", "DORA@example.org"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(db: Database, field: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        sign_up(db, **{field: value})
    assert caught.value.field == field
    with db.reading() as session:
        assert session.scalars(sa.select(Account)).all() == []


@pytest.mark.parametrize(
    "name", ["{{ 7*7 }}", "$(id)", "]]>", "../../etc", "!!python/object", 'O\'Brien "Bob"', "Łódź 东京"]
)
def test_a_name_is_kept_as_it_was_typed(db: Database, name: str) -> None:
    user = sign_up(db, name=name)
    assert user.account is not None
    assert user.account.name == name


def test_an_address_is_taken_once_however_it_is_typed(db: Database, people: People) -> None:
    for email in ("alice@example.org", "ALICE@EXAMPLE.ORG", "olga@example.com"):
        with pytest.raises(InvalidInput, match="already") as caught:
            sign_up(db, email=email)
        assert caught.value.field == "email"


def test_ten_who_sign_up_with_one_address_at_once_get_one_account(any_db: Database) -> None:
    def attempt(number: int) -> bool:
        try:
            sign_up(any_db, remote_address=f"203.0.113.{number}")
        except InvalidInput:
            return False
        return True

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(attempt, range(10))) == 1


def test_one_place_cannot_open_accounts_without_end(db: Database) -> None:
    for number in range(10):
        sign_up(db, email=f"dora{number}@example.org")
    with pytest.raises(TooManyAttempts):
        sign_up(db, email="dora10@example.org")
    sign_up(db, email="dora10@example.org", remote_address="198.51.100.1")


def test_operators_are_made_by_operators_only(db: Database, people: People) -> None:
    def add(email: str, **who: object) -> User:
        return accounts.create_operator(db, email=email, password=PASSWORD, must_change=False, now=NOW, **who)  # type: ignore[arg-type]

    assert add("paul@example.com", actor=people.as_olga).is_operator
    assert add("quentin@example.com").account is None
    with pytest.raises(NotAllowed):
        add("rosa@example.com", actor=people.as_alice)
    with pytest.raises(InvalidInput, match="already"):
        add("alice@example.org", actor=people.as_olga)
