"""What is simulated, and where every chance in it comes from."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from domus.core.errors import InvalidInput

#: What fits into two private networks of addresses.
MAX_ACCOUNTS = 20_000
MAX_DAYS = 4000
#: A winter with a leap day behind it; 400 days from here have both changes of the clock, and two turns of the year.
START = date(2027, 12, 15)
#: Nothing that Domus calculates with ends sooner than this.
EARLIEST, LATEST = date(2026, 1, 1), date(2080, 1, 1)

#: After the last day nobody does anything any more; what is on its way arrives.
REST = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How many people come, for how long, from which day on, and which of all possible years it is."""

    accounts: int
    days: int
    seed: int
    start: date = START

    @property
    def begin(self) -> datetime:
        """Return the first moment."""
        return datetime.combine(self.start, time(), UTC)

    @property
    def end(self) -> datetime:
        """Return the moment from which on people do nothing any more."""
        return self.begin + timedelta(days=self.days)

    @property
    def rest_ends(self) -> datetime:
        """Return the last moment."""
        return self.end + REST

    def stream(self, *names: object) -> random.Random:
        """Return the chances of one thing: the same for the same seed, whatever else happens in whichever order."""
        return random.Random("/".join(map(str, (self.seed, *names))))  # noqa: S311 - has to be repeatable


def check_plan(plan: Plan) -> Plan:
    """Return the plan; raise InvalidInput that names what is out of its range."""
    if not 1 <= plan.accounts <= MAX_ACCOUNTS:
        raise InvalidInput(
            f"{plan.accounts} accounts cannot be simulated; allowed are 1 to {MAX_ACCOUNTS}.",
            field="accounts",
        )
    if not 1 <= plan.days <= MAX_DAYS:
        raise InvalidInput(
            f"{plan.days} days cannot be simulated; allowed are 1 to {MAX_DAYS}.", field="days"
        )
    if not 0 <= plan.seed < 2**63:
        raise InvalidInput(f"The seed {plan.seed} is not allowed; take one from 0 to 2^63 - 1.", field="seed")
    if not EARLIEST <= plan.start <= LATEST:
        raise InvalidInput(
            f"A simulation begins between {EARLIEST} and {LATEST}, not on {plan.start}.", field="start"
        )
    return plan
