"""Many guesses at once are not all let through."""

from concurrent.futures import ThreadPoolExecutor

from domus.accounts import throttle
from domus.core.errors import TooManyAttempts
from domus.db.engine import Database
from tests.support.builders import NOW


def test_of_thirty_guesses_at_once_five_are_looked_at(any_db: Database) -> None:
    def attempt(number: int) -> bool:
        try:
            with any_db.unit_of_work() as session:
                throttle.count_attempt(
                    session,
                    throttle.per_email("alice@example.org"),
                    throttle.per_address(f"203.0.113.{number}"),
                    now=NOW,
                )
        except TooManyAttempts:
            return False
        return True

    with ThreadPoolExecutor(15) as pool:
        assert sum(pool.map(attempt, range(30))) == 5
