"""Tumbling windows of due spans: where the timer looks for work (RATIONALE: windowed state).

Derived, never stored: a restore fills them again from the states. The arithmetic is that of
`faust.windows.TumblingWindow`: an instant belongs to window `at // WIDTH`, which ends where the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

from finalizer.core.model import SpanKey

WIDTH: Final = 100_000_000
"""100 ms: a span is looked at no later than this after its deadline, and never before it."""


class _Windows(dict[int, list[SpanKey]]):
    """Window number → keys; a number that appears for the first time takes its place in the order of windows."""

    __slots__ = ("order",)

    def __init__(self) -> None:
        self.order: list[int] = []

    def __missing__(self, number: int) -> list[SpanKey]:
        heappush(self.order, number)
        window: list[SpanKey] = []
        self[number] = window
        return window


class DeadlineWindows:
    """Span keys by the window of their deadline.

    A span that moves is inserted again and its older entry stays, as does that of a span that is gone: whoever takes
    a key asks the state whether it is due. So a heartbeat costs nothing here. `tidy` drops what stayed, where it is
    much: spans that are over in a second are due in an hour.
    """

    __slots__ = ("_count", "_kept", "_untidy", "_windows")

    def __init__(self) -> None:
        self._windows = _Windows()
        self._count = 0
        self._untidy: list[int] = []
        """Windows that `tidy` has yet to go through, the oldest last."""
        self._kept = 0
        """How much of the last of them it has gone through."""

    def insert(self, key: SpanKey, at: int) -> None:
        """Have `key` looked at once the clock has passed `at` (nanoseconds)."""
        self._windows[at // WIDTH].append(key)
        self._count += 1

    def take(self, clock: int, limit: int) -> list[SpanKey]:
        """Remove and return at most `limit` keys of windows that end at or before `clock`, oldest window first."""
        windows, order = self._windows, self._windows.order
        taken: list[SpanKey] = []
        while order and (order[0] + 1) * WIDTH <= clock and len(taken) < limit:
            window = windows[order[0]]
            room = limit - len(taken)
            if len(window) <= room:
                taken += window
                del windows[heappop(order)]
            else:
                taken += window[-room:]  # from the tail: a window of a million keys is never copied to be shortened
                del window[-room:]
        self._count -= len(taken)
        return taken

    def tidy(self, due_at: Callable[[SpanKey], int], limit: int) -> None:
        """Drop entries of spans that are not due in the window where they stand; looks at `limit` of them, and goes on
        from there the next time."""
        windows = self._windows
        if not self._untidy:
            self._untidy = sorted(windows, reverse=True)
        while limit > 0 and self._untidy:
            number = self._untidy[-1]
            window = windows.get(number) or []
            looked_at = window[self._kept : self._kept + limit]
            if not looked_at:
                self._untidy.pop()
                self._kept = 0
                continue
            kept = [key for key in looked_at if due_at(key) // WIDTH == number]
            window[self._kept : self._kept + len(looked_at)] = kept
            self._count -= len(looked_at) - len(kept)
            self._kept += len(kept)
            limit -= len(looked_at)

    def backlog(self, clock: int) -> int:
        """Number of keys in windows that are over: what `take` would give without a limit."""
        windows, order = self._windows, self._windows.order
        count = 0
        looking = [0]
        while looking:  # in a heap no child comes before its parent, so only windows that are over are visited
            place = looking.pop()
            if place < len(order) and (order[place] + 1) * WIDTH <= clock:
                count += len(windows[order[place]])
                looking += (2 * place + 1, 2 * place + 2)
        return count

    def __len__(self) -> int:
        return self._count
