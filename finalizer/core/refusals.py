"""When too much of an input is unusable: a broken producer must not drain a topic into the bin."""

from __future__ import annotations

from typing import NamedTuple


class TooMany(NamedTuple):
    """So many of the last so many were unusable."""

    refused: int
    of: int

    def told(self, rejected: str) -> str:
        """What to do about it. `rejected` is where they went."""
        return (
            f"{self.refused} of the last {self.of} records were unusable: look at {rejected} for the reasons, mend the "
            "producer or the input's format, and restart the worker"
        )


class Refusals:
    """Counts what of one input partition is refused, over `over` at a time; more than `max_ratio` of it is too much."""

    __slots__ = ("_looked_at", "_max_ratio", "_over", "_refused")

    def __init__(self, max_ratio: float, over: int) -> None:
        self._max_ratio = max_ratio
        self._over = over
        self._looked_at = self._refused = 0

    def count(self, looked_at: int, refused: int) -> TooMany | None:
        """Count some more; the answer is None while it is not too much."""
        self._looked_at += looked_at
        self._refused += refused
        if self._looked_at < self._over:
            return None
        found = TooMany(self._refused, self._looked_at)
        self._looked_at = self._refused = 0
        return found if found.refused > self._max_ratio * found.of else None
