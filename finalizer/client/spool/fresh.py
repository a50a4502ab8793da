"""The front of the queue in the file, kept in memory too: what was just written need not be read to be sent."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final, NamedTuple

from finalizer.client.events import Record

MOST: Final = 2_000
MOST_BYTES: Final = 1024 * 1024
BATCH_BYTES: Final = 512_000


class Stored(NamedTuple):
    """An event that waits in the spool."""

    id: int
    record: Record


class Fresh:
    """The oldest events of a run that lie in the file and were not settled, in their order. Not safe by itself."""

    def __init__(self) -> None:
        self._events: list[Stored] = []
        self._size = 0
        self.is_all = False
        """No others lie there."""

    def forget(self) -> None:
        """The file is not what it was: to be read again."""
        self._events, self._size, self.is_all = [], 0, False

    def read(self, events: Sequence[Stored], *, is_all: bool) -> None:
        """These are the oldest, as they stand in the file."""
        self._events, self.is_all = list(events), is_all
        self._size = sum(len(one.record.value) for one in events)

    def written(self, events: Sequence[Stored]) -> None:
        """These come after all others; what is too much to be kept is read when its time comes."""
        size = sum(len(one.record.value) for one in events)
        self.is_all = self.is_all and len(self._events) + len(events) <= MOST and self._size + size <= MOST_BYTES
        if self.is_all:
            self._events += events
            self._size += size

    def first(self, most: int) -> list[Stored]:
        """The first of them, one batch."""
        batch: list[Stored] = []
        size = 0
        for one in self._events[:most]:
            size += len(one.record.value)
            if batch and size > BATCH_BYTES:
                break
            batch.append(one)
        return batch

    def settled(self, done: Container[int]) -> None:
        """Those with these ids wait no more."""
        self._events = [one for one in self._events if one.id not in done]
        self._size = sum(len(one.record.value) for one in self._events)

    def __bool__(self) -> bool:
        return bool(self._events)
