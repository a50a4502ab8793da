"""Which spans are open, and when each of them beats next."""

from __future__ import annotations

import os
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

from finalizer.client.clock import SECOND, nanoseconds
from finalizer.client.deadlines import NEVER, Lines
from finalizer.client.settings import HEARTBEAT, JITTER, THROTTLE

if TYPE_CHECKING:
    from finalizer.client.span import Span

LAZY_DELAY: Final = nanoseconds(HEARTBEAT, name="heartbeat")
"""A lazy span that does not beat tells its start about when others beat for the first time."""
LOOK_AGAIN: Final = 10 * SECOND
"""While spans begin, the keeper looks so often by itself: who is due later than that need not wake it."""
STEPS: Final = 16
"""Different periods of one interval: few, so that lines are long; many, so that few spans beat together."""
_random: Final = chain.from_iterable(map(os.urandom, repeat(64)))


class Beats:
    """The open spans. Not safe by itself: its owner holds a lock. All times are monotonic nanoseconds."""

    def __init__(self, initial_delay: int | None) -> None:
        self._initial_delay = initial_delay
        self._lines = Lines["Span"]()
        self._next = NEVER
        self._begin = False
        """Spans have begun since the next one was asked for."""

    def __len__(self) -> int:
        return len(self._lines)

    def opened(self, span: Span, now: int) -> bool:
        """A span begins; True if it is due before everything that was known of."""
        self._begin = True
        interval = span.identity.interval or (LAZY_DELAY if span.identity.lazy else 0)
        due = self._lines.add(span, self._initial_delay or period(interval) if interval else NEVER, now)
        if due >= self._next:
            return False
        self._next = due
        return True

    def closed(self, span: Span) -> None:
        """A span is over."""
        self._lines.discard(span)

    def due(self, now: int, most: int) -> list[Span]:
        """Spans that are due, up to so many; each then waits for its next turn."""
        found = self._lines.due(now, most)
        for span in found:
            interval = span.identity.interval
            self._lines.add(span, period(interval) if interval else NEVER, now)
        return found

    def next_due(self, now: int) -> int:
        """When to ask again: when the next span is due, or sooner, as spans begin; `NEVER` if none does, nor beats."""
        self._next = self._lines.next_due()
        if self._begin:
            self._next = min(self._next, now + LOOK_AGAIN)
            self._begin = False
        return self._next

    def all(self) -> list[Span]:
        """All open spans, in no order."""
        return self._lines.keys()


def period(interval: int) -> int:
    """Time between two heartbeats of a span that declared this interval: a little shorter, and not always the same."""
    return int(interval * (THROTTLE + JITTER * (next(_random) % STEPS) / STEPS))
