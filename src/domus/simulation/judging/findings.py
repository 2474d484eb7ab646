"""What the judge found: each thing once, however often it was seen."""

from __future__ import annotations

from dataclasses import dataclass, field

#: What has to be nothing, in the order in which it is told.
KINDS = (
    "ledger",
    "double_charges",
    "lost_payments",
    "running_unpaid_beyond_grace",
    "suspended_though_paid",
    "invoice_gaps",
    "leaked_addresses",
    "wrong_prices",
    "repeated_work",
    "forgeries_taken",
)


@dataclass
class Findings:
    """Sentences by kind, each under a key of what it is about."""

    found: dict[str, dict[str, str]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def add(self, kind: str, key: object, sentence: str) -> None:
        """Note one; what was noted before stays as it was."""
        self.found[kind].setdefault(str(key), sentence)

    def count(self, kind: str) -> int:
        """Return how many of a kind there are."""
        return len(self.found[kind])

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing is wrong."""
        return not any(self.found.values())

    def sentences(self) -> list[str]:
        """Return all of them, kind by kind."""
        return [f"{kind}: {sentence}" for kind in KINDS for sentence in self.found[kind].values()]
