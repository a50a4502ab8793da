"""From where events wait to the sink, a batch at a time: what was acknowledged is settled, what was not waits."""

from __future__ import annotations

import os
from enum import Enum
from typing import Final, NamedTuple

from finalizer.client.buffer import Buffer
from finalizer.client.clock import SECOND, Clock
from finalizer.client.saying import say
from finalizer.client.sinks.sink import Sink, Undelivered
from finalizer.client.source import Source

FIRST_PAUSE: Final = SECOND // 2
LONGEST_PAUSE: Final = 30 * SECOND


class Step(Enum):
    """What one step came to."""

    SENT = "there may be more"
    EMPTY = "nothing waits"
    WAITING = "the last try failed, and the next one has its time"


class Counts(NamedTuple):
    """What became of events since the client began."""

    acknowledged: int = 0
    refused: int = 0
    """The other side will never take them: too large, or no events to it."""
    failures: int = 0
    """Times that sending failed, and was tried again."""


class Sender:
    """Sends what the source holds. Used by one thread."""

    def __init__(self, source: Source, sink: Sink, buffer: Buffer, clock: Clock) -> None:
        self._source = source
        self._sink = sink
        self._buffer = buffer
        self._clock = clock
        self._pause = 0
        self.not_before = 0
        """Monotonic time of the next try; 0 if the last one did not fail."""
        self.counts = Counts()

    def step(self) -> Step:
        """Send one batch."""
        if self._clock.monotonic() < self.not_before:
            return Step.WAITING
        batch = self._source.next()
        if not batch.records:
            return Step.EMPTY
        refused: list[int] = []
        try:
            refused = list(self._sink.send(batch.records))
        except Undelivered as failure:
            arrived = list(failure.arrived)
            self._wait(failure)
        else:
            not_taken = frozenset(refused)
            arrived = [place for place in range(len(batch.records)) if place not in not_taken]
            self.not_before = self._pause = 0
        for place in refused:
            self._buffer.lost(batch.records[place].kind)
            say("refused", f"an event of {len(batch.records[place].value)} bytes was refused for good, and is dropped")
        self._source.settle(batch, arrived, refused)
        failed = bool(self.not_before)
        acknowledged, before, failures = self.counts
        self.counts = Counts(acknowledged + len(arrived), before + len(refused), failures + failed)
        return Step.WAITING if failed else Step.SENT

    def close(self) -> None:
        """Let go of the sink. Called where steps are taken: one that hangs in a step is not closed under its feet."""
        self._sink.close()

    def hurry(self) -> None:
        """Try at once: somebody waits, or the network is said to be back."""
        self.not_before = 0

    def _wait(self, failure: Undelivered) -> None:
        say("sink", f"events wait and are sent again: {failure}")
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or FIRST_PAUSE)
        self.not_before = self._clock.monotonic() + int(self._pause * (1 + os.urandom(1)[0] / 512))
