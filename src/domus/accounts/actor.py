"""Who does something: carried as an argument from the door to the history row."""

from __future__ import annotations

from dataclasses import dataclass

from domus.accounts.models import User
from domus.core.errors import NotAllowed, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A user, a dom0 or a part of Domus itself. ``name`` is what history shows."""

    name: str
    user_id: int | None = None
    account_id: int | None = None
    is_operator: bool = False

    @classmethod
    def of(cls, user: User) -> Actor:
        """Return the actor for a logged-in user.

        Staff are told apart in the history too: customers read there that it was the operator, and not who.
        """
        return cls(
            name=f"{'staff' if user.is_operator else 'user'}:{user.id} {user.email}",
            user_id=user.id,
            account_id=user.account_id,
            is_operator=user.is_operator,
        )

    @classmethod
    def system(cls, part: str) -> Actor:
        """Return Domus itself, named by its part (``engine``, ``sweep``); it may do everything."""
        return cls(name=f"system:{part}", is_operator=True)

    @classmethod
    def dom0(cls, minion_id: str) -> Actor:
        """Return a dom0; its word counts only for its own VPSs, which the caller checks."""
        return cls(name=f"dom0:{minion_id}")

    @classmethod
    def shell(cls, login: str) -> Actor:
        """Return an operator at a command line."""
        return cls(name=f"cli:{login}", is_operator=True)

    def require_account(self, account_id: int, *, what: str) -> None:
        """Raise NotFound unless this actor may see things of the account: a stranger learns not even that they are."""
        if not self.is_operator and self.account_id != account_id:
            raise NotFound(f"There is no such {what}.")

    def require_operator(self) -> None:
        """Raise NotAllowed unless this actor may do what is for operators only."""
        if not self.is_operator:
            raise NotAllowed("Only an operator may do this.")
