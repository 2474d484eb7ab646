"""The cast of the tests: Alice owns, Bob is her colleague, Charlie is a stranger, Olga works here."""

from __future__ import annotations

from dataclasses import dataclass

from domus.accounts.actor import Actor
from domus.accounts.models import Account, Role, User
from domus.accounts.passwords import hash_password
from domus.db.engine import Database
from tests.support.builders import NOW

#: Everybody's.
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class People:
    """Users, with their actors and accounts at hand."""

    alice: User
    bob: User
    charlie: User
    olga: User

    @property
    def acme(self) -> Account:
        """Return the account of Alice and Bob."""
        assert self.alice.account is not None
        return self.alice.account

    @property
    def as_alice(self) -> Actor:
        """Return the owner's actor."""
        return Actor.of(self.alice)

    @property
    def as_bob(self) -> Actor:
        """Return the colleague's actor."""
        return Actor.of(self.bob)

    @property
    def as_charlie(self) -> Actor:
        """Return the stranger's actor."""
        return Actor.of(self.charlie)

    @property
    def as_olga(self) -> Actor:
        """Return the operator's actor."""
        return Actor.of(self.olga)


def make_people(db: Database) -> People:
    """Write the cast into the database."""
    acme = Account(name="Acme", email="alice@example.org", country="DE", created_at=NOW)
    elsewhere = Account(name="Charlie", email="charlie@example.net", country="FR", created_at=NOW)
    people = People(
        alice=_user("alice@example.org", Role.CUSTOMER, acme),
        bob=_user("bob@example.org", Role.CUSTOMER, acme),
        charlie=_user("charlie@example.net", Role.CUSTOMER, elsewhere),
        olga=_user("olga@example.com", Role.OPERATOR, None),
    )
    with db.unit_of_work() as session:
        session.add_all([people.alice, people.bob, people.charlie, people.olga])
    return people


def _user(email: str, role: Role, account: Account | None) -> User:
    return User(
        email=email, role=role, account=account, password_hash=hash_password(PASSWORD), created_at=NOW
    )
