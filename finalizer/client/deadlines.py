"""Moments that something waits for: heartbeats, and the time limits of work that mostly ends in time.

What waits for the same duration stands in one line, so that the head of a line is what comes first in it: adding and
discarding cost the same with ten that wait and with a hundred thousand.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

NEVER: Final = 2**63 - 1
Then = Callable[[], None]
Key = TypeVar("Key", bound=Hashable)


class Lines(Generic[Key]):
    """Keys and when each of them is due (monotonic nanoseconds). Not safe by itself: its owner holds a lock."""

    def __init__(self) -> None:
        self._lines: dict[int, OrderedDict[Key, int]] = {}
        self._waits: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._waits)

    def add(self, key: Key, wait: int, now: int) -> int:
        """The key is due after `wait`, never if that is `NEVER`; returns when. It must not stand in a line already."""
        due = NEVER if wait == NEVER else now + wait
        self._waits[key] = wait
        line = self._lines.get(wait)
        if line is None:
            line = self._lines[wait] = OrderedDict()
        line[key] = due
        return due

    def discard(self, key: Key) -> bool:
        """The key waits no more; False if it did not."""
        wait = self._waits.pop(key, None)
        if wait is None:
            return False
        line = self._lines[wait]
        del line[key]
        if not line:
            del self._lines[wait]
        return True

    def due(self, now: int, most: int) -> list[Key]:
        """Those that are due, out of their lines, up to so many."""
        found: list[Key] = []
        for line in list(self._lines.values()):
            while line and len(found) < most:
                key, due = next(iter(line.items()))
                if due > now:
                    break
                self.discard(key)
                found.append(key)
        return found

    def next_due(self) -> int:
        """When the first is due; `NEVER` if none is."""
        return min((next(iter(line.values())) for line in self._lines.values()), default=NEVER)

    def keys(self) -> list[Key]:
        """All that wait, in no order."""
        return list(self._waits)


class Deadlines:
    """What is called when a time is over. Safe for any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines = Lines[Hashable]()
        self._then: dict[Hashable, Then] = {}

    def add(self, key: Hashable, duration: int, now: int, then: Then) -> None:
        """Call `then` when `duration` is over, unless `key` is discarded before. It replaces the key's earlier one."""
        with self._lock:
            self._lines.discard(key)
            self._lines.add(key, duration, now)
            self._then[key] = then

    def discard(self, key: Hashable) -> None:
        """It ended in time."""
        with self._lock:
            if self._lines.discard(key):
                del self._then[key]

    def reached(self, now: int) -> list[Then]:
        """What is to be called now."""
        with self._lock:
            return [self._then.pop(key) for key in self._lines.due(now, len(self._lines))]

    def next_due(self) -> int:
        """The first deadline; `NEVER` if there is none."""
        with self._lock:
            return self._lines.next_due()
