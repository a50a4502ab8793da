"""What an earlier run knew of a span that it left open."""

from __future__ import annotations

from typing import Any, NamedTuple


class Left(NamedTuple):
    """A span that nobody ended."""

    known: dict[str, Any]
    """The last event that told everything, as an object."""
    last_at: int
    """The last moment, wall time, at which it was known to be open."""
    seq: int

    @property
    def start_at(self) -> int:
        """When it began, as what is known of it tells."""
        return int(self.known.get("start_time_unix_nano") or self.known["time_unix_nano"])


class Taken(NamedTuple):
    """What one look at earlier runs found."""

    operations: list[Left]
    """Operations that they left open: not closed, for they may be resumed."""
    closed: dict[str, int]
    """How many spans were closed, by reason; `forgotten` were closed by the worker long ago."""
    gone: list[str]
    """Runs of which nothing is left."""
    more: bool
