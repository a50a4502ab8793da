"""Events on their way from the app to those who send them: bounded, and what is dropped is what matters least.

When it is full heartbeats go first, then what tells of pauses, then starts of spans whose end is queued (an end is
whole), then other starts; ends last. The latest heartbeat of a span replaces the one before it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from finalizer.client.span import Span

START: Final = "start"
HEARTBEAT: Final = "heartbeat"
LIFECYCLE: Final = "lifecycle"
END: Final = "end"
INSTANCE: Final = "instance"
HELD_FOR: Final = 32
"""Events that are taken under one hold of the lock."""
SORTED_AT_ONCE: Final = 4
KINDS: Final = (START, HEARTBEAT, LIFECYCLE, END, INSTANCE)


class Event(NamedTuple):
    """Something to be sent about a span (None: about the process). Its text is made when it leaves the buffer."""

    kind: str
    span: Span | None
    at: int
    """Wall time, nanoseconds."""
    seq: int
    word: str = ""
    """The reason of an end, the state of a lifecycle event."""


def _nothing() -> None:
    """Nobody waits."""


_Queued = tuple[int, Event]


class Buffer:
    """Holds at most `most` events. Every method may be called from any thread; none waits for more than a moment.

    Events arrive in one line, without a lock. They are sorted by what they matter when that may be asked: while the
    buffer is half full, a few with each that comes, so that none has to wait for the sorting of all.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._half = max(2, most // 2)
        self._lock = threading.RLock()
        self._arrived: deque[Event] = deque()
        self._replaces = False
        """Something arrived that may replace another event, or be replaced."""
        self._told = False
        """They know that the buffer is not empty."""
        self._told_half = False
        self._arrival = 0
        self._heartbeats: OrderedDict[Any, _Queued] = OrderedDict()
        self._lifecycle: deque[_Queued] = deque()
        self._covered: deque[_Queued] = deque()
        self._starts: OrderedDict[Any, _Queued] = OrderedDict()
        self._ends: deque[_Queued] = deque()
        self._sorted = 0
        self._dropped: dict[str, int] = {}
        self.on_first: Callable[[], None] = _nothing
        """Called when an event comes into the empty buffer, and when it is half full: on the app's thread."""
        self.dropped: dict[str, int] = dict.fromkeys(KINDS, 0)
        """How many of each kind were dropped since the beginning."""

    def __len__(self) -> int:
        return self._sorted + len(self._arrived)

    def put(self, event: Event) -> None:
        """Queue an event; drops the least of those that are there if they are too many."""
        kind = event[0]
        if kind != END and (kind != START or event[3] != 1):
            self._replaces = True
        self._arrived.append(event)
        if self._sorted + len(self._arrived) >= self._half:
            self._crowded()
        if not self._told:
            self._told = True
            self.on_first()

    def take(self, most: int) -> list[Event]:
        """The oldest events, in the order in which they came; they are then the caller's."""
        taken: list[Event] = []
        while len(taken) < most:
            with self._lock:  # taken anew each time, so that an app that puts waits for a few events at most
                if self._replaces:
                    self._sort(HELD_FOR)
                    if self._arrived:
                        continue
                    self._replaces = False
                for _ in range(min(HELD_FOR, most - len(taken))):
                    if self._sorted:
                        taken.append(self._oldest())
                    elif self._arrived:
                        taken.append(self._arrived.popleft())
                    else:
                        break
                self._told_half = self._told_half and len(self) >= self._half
                if not len(self):
                    self._told = False
                    if not self._arrived:  # what comes from here on finds that nobody was told
                        break
                    self._told = True
        return taken

    def lost(self, kind: str, count: int = 1) -> None:
        """Count events that were dropped elsewhere; the next event tells of them."""
        with self._lock:
            self._dropped[kind] = self._dropped.get(kind, 0) + count
            self.dropped[kind] += count

    def untold(self) -> dict[str, int]:
        """How many of each kind were dropped since this was asked the last time."""
        if not self._dropped:
            return {}
        with self._lock:
            told, self._dropped = self._dropped, {}
        return told

    def _crowded(self) -> None:
        with self._lock:
            self._sort(SORTED_AT_ONCE)
            if len(self) > self.most:
                self._sort(len(self._arrived))
            while self._sorted > self.most:
                self._drop()
            told, self._told_half = self._told_half, True
        if not told:
            self.on_first()

    def _sort(self, most: int) -> None:
        """Put the first of those that arrived where they belong: together they are as if they had been put there."""
        arrived = self._arrived
        for _ in range(min(most, len(arrived))):
            event = arrived.popleft()
            kind, span = event.kind, event.span
            self._arrival += 1
            queued = (self._arrival, event)
            self._sorted += 1
            if kind == START:
                self._replace(self._starts, span, queued)
            elif kind == END:
                if self._heartbeats.pop(span, None) is not None:
                    self._sorted -= 1  # an end says all that it said
                started = self._starts.pop(span, None)
                if started is not None:
                    self._covered.append(started)
                self._ends.append(queued)
            elif kind == LIFECYCLE:
                self._lifecycle.append(queued)
            else:
                self._replace(self._heartbeats, span, queued)

    def _replace(self, queue: OrderedDict[Any, _Queued], span: Span | None, queued: _Queued) -> None:
        if queue.pop(span, None) is not None:
            self._sorted -= 1
        queue[span] = queued

    def _oldest(self) -> Event:
        queues = (self._heartbeats, self._starts)
        heads: list[tuple[_Queued, Any]] = [(next(iter(queue.values())), queue) for queue in queues if queue]
        heads += [(line[0], line) for line in (self._lifecycle, self._covered, self._ends) if line]
        (_, event), first = min(heads, key=lambda head: head[0][0])
        if isinstance(first, deque):
            first.popleft()
        else:
            first.popitem(last=False)
        self._sorted -= 1
        return event

    def _drop(self) -> None:
        if self._heartbeats:
            _, (_, event) = self._heartbeats.popitem(last=False)
        elif self._lifecycle:
            _, event = self._lifecycle.popleft()
        elif self._covered:
            _, event = self._covered.popleft()
        elif self._starts:
            _, (_, event) = self._starts.popitem(last=False)
        else:
            _, event = self._ends.popleft()
        self._sorted -= 1
        if event.span is not None:
            event.span.changed = True  # what it told goes with the next
        self.lost(event.kind)
