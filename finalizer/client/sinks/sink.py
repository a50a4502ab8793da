"""What a sink is: one call that returns when the records have arrived."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from finalizer.client.events import Record


class Undelivered(Exception):
    """Some records did not arrive, for now: to be sent again later. `arrived` are the places of those that did."""

    def __init__(self, why: str, arrived: Sequence[int] = ()) -> None:
        super().__init__(why)
        self.arrived = tuple(arrived)


class Sink(Protocol):
    """Called from one thread at a time."""

    whole_heartbeats: bool
    """True where each record has to say everything, since nobody joins it with others."""

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        """Return when all have arrived; the answer is the places of those that were refused for good.

        Raises `Undelivered` where some may arrive later.
        """

    def forget(self) -> None:
        """In a forked child: what is open belongs to the parent. Let go of it without a word to the other side."""

    def close(self) -> None:
        """Let go of what is open. A sink may be used again after that."""
