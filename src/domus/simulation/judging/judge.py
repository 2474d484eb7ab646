"""Looks at the whole shop every simulated week and at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from domus.simulation.judging.findings import Findings
from domus.simulation.judging.machines import judge_addresses, judge_contracts
from domus.simulation.judging.money import Numbers, judge_ledger, judge_money
from domus.simulation.world import World


@dataclass
class Judge:
    """Keeps what it found, and the document numbers that it has seen."""

    world: World
    findings: Findings = field(default_factory=Findings)
    looks: int = 0
    _numbers: Numbers = field(default_factory=Numbers)

    def look(self, *, final: bool = False) -> None:
        """Compare the database with what the judge knows; *final*: nothing is on its way any more."""
        self.looks += 1
        with self.world.db.reading() as session:
            judge_ledger(session, self.findings)
            judge_money(self.world, session, self.findings, final=final)
            self._numbers.judge(session, self.findings)
            judge_contracts(self.world, session, self.findings)
            judge_addresses(self.world, session, self.findings)
        for sentence in self.world.repeated_work:
            self.findings.add("repeated_work", sentence, sentence)
        for number in range(self.world.counts["forgeries_taken"]):
            self.findings.add("forgeries_taken", number, "A delivery that was forged or old was taken.")
