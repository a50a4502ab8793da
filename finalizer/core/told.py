"""What clients tell of a span beyond that it lives: its status, its end, and what only some of them say.

msgspec Structs and tuples, which codecs store as they are. (Not compiled: a compiled class does not keep its hints.)
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from finalizer.core.causes import FACTS, Cause, StatusCode


class Status(NamedTuple):
    """OTel status as the client set it."""

    code: StatusCode
    message: str = ""


class End(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One reported end. Of two, the one with the greater `order` stands."""

    cause: Cause
    """One of the reported causes: completed, partial, restarted, abandoned."""
    at: int
    status: Status | None = None
    reason: str = ""
    """The client's own word (`cancelled`, `timeout`, ...), or empty."""

    @property
    def order(self) -> tuple[int, int, int, str, str]:
        """Rank first, then the later moment; the rest only makes the order total."""
        code, message = self.status or (StatusCode.UNSET, "")
        return (FACTS[self.cause].rank, self.at, int(code), message, self.reason)

    def same_as(self, other: End) -> bool:
        """True if both tell the same end: same rank, time and status code."""
        return self.order[:3] == other.order[:3]


class Told(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What only some spans tell, each joined by its own order. Kept apart so that a plain span stays small."""

    status: tuple[int, int, int, str] | None = None
    """(event time, seq, code, message) of the latest status set before the end."""
    progress: tuple[int, int, float] | None = None
    """(event time, seq, value) of the latest progress."""
    best_progress: float = -1.0
    progressed: int = 0
    """Patience at which `best_progress` last rose."""
    lifecycle: tuple[int, int, int] | None = None
    """(event time, seq, Lifecycle) of the latest lifecycle record."""
    paused: int = 0
    """Patience at which the latest lifecycle record was heard."""
    session_expires_at: int = 0
    instance: tuple[int, int, str, str] | None = None
    """(event time, seq, instance id, boot id) of the latest process that it said it lives in."""


NOTHING_TOLD: Final = Told()
