"""What is wrong with a finalizer.yaml, said to the person who wrote it."""

from __future__ import annotations

from typing import NamedTuple

LONGEST_QUOTE = 60


class Problem(NamedTuple):
    """One mistake. `path` is empty where it concerns the whole file, `line` (from 1) None where no line is to blame."""

    path: str
    message: str
    line: int | None


class PolicyError(Exception):
    """The text is no policy. `problems` holds all that is wrong with it, in the order of its lines; never empty."""

    def __init__(self, problems: tuple[Problem, ...], *, origin: str) -> None:
        self.problems = problems
        self.origin = origin
        super().__init__(problems, origin)

    def __str__(self) -> str:
        """One line a problem: `finalizer.yaml:12: terms.silence: ...`."""
        return "\n".join(self._line(problem) for problem in self.problems)

    def _line(self, problem: Problem) -> str:
        place = self.origin if problem.line is None else f"{self.origin}:{problem.line}"
        return ": ".join(part for part in (place, problem.path, problem.message) if part)


def quoted(text: str) -> str:
    """The text as a message shows it: printable, and not longer than one takes in."""
    if len(text) > LONGEST_QUOTE:
        text = text[: LONGEST_QUOTE - 1] + "…"
    return f'"{text}"' if text.isprintable() else ascii(text)
