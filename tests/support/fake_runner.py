"""A runner that answers from a table instead of running programs, and remembers what was asked."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from domus_run import Result, Runner, failure

Answer = str | int | Callable[[Sequence[str]], str | int]


@dataclass
class FakeRunner(Runner):
    """Answers a command by the longest prefix in ``answers``.

    An answer is the standard output, a return code, or a function of the argument list that returns
    one of them. A command without an answer is a fault of the test and says so.
    """

    answers: dict[tuple[str, ...], Answer] = field(default_factory=dict)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    inputs: list[str | None] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_seconds: float,
        input: str | None = None,  # noqa: A002 - the name in the interface
        env: Mapping[str, str] | None = None,
        secrets: Collection[str] = (),
        log_path: Path | None = None,
        returncodes: Collection[int] = (0,),
    ) -> Result:
        """Record the call and answer it."""
        assert timeout_seconds > 0
        assert all(isinstance(word, str) for word in argv), argv
        self.calls.append(tuple(argv))
        self.inputs.append(input)
        answer = self._answer(argv)
        if callable(answer):
            answer = answer(argv)
        code, stdout = (answer, "") if isinstance(answer, int) else (0, answer)
        if code not in returncodes:
            raise failure(argv, code, "the fake said so", secrets)
        return Result(tuple(argv), code, stdout, "")

    def ran(self, *words: str) -> list[tuple[str, ...]]:
        """Return the calls that began with these words."""
        return [call for call in self.calls if call[: len(words)] == words]

    def _answer(self, argv: Sequence[str]) -> Answer:
        for length in range(len(argv), 0, -1):
            if tuple(argv[:length]) in self.answers:
                return self.answers[tuple(argv[:length])]
        raise AssertionError(f"the test has no answer for {list(argv)}")
