"""Closed spans that are still recognised, so that what comes after their end opens nothing (RATIONALE: remembered).

A span that ended well leaves a fingerprint: 16 bytes of key and end. Every other closed span keeps its whole state,
which its next revision needs. Both lie in tumbling memory windows on the partition's clock, which are dropped whole.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from typing import Final, NamedTuple

from finalizer.core.causes import Cause, StatusCode
from finalizer.core.fingerprints import Fingerprints
from finalizer.core.model import NOTHING_TOLD, Closed, Coordinates, End, Phase, SpanKey, Status
from finalizer.core.state import Rest, State
from finalizer.core.terms import SECOND

FINGERPRINT_BYTES: Final = 36
"""Memory that one fingerprint takes, at most: 16 bytes and its part of a bucket, 8 bytes in a window."""

Block = bytes
"""Entries as they stand in the changelog: 16 bytes each, little-endian."""

_COMPLETED: Final = Cause.COMPLETED
_integer: Final = int.from_bytes
_PRIME: Final = 11_400_714_819_323_198_393
_LATEST: Final = 2**62
_SIZE_BITS: Final = 40
_SIZE_MASK: Final = 2**_SIZE_BITS - 1

Entry = tuple[int, int]
"""(fingerprint, packed end)."""


def fingerprint(key: SpanKey) -> int:
    """64 bits that stand for a span key.

    The remainder by a prime is cheap, and the same in every process (Python's own hash of bytes is not). The prime is
    the one next below 2^64 / golden ratio, because ids may count up: with one next below 2^64, trace n+1 and span m
    would meet trace n and span m+59. Of ten million random keys two meet with a chance of one in 228,000.
    """
    return _integer(key, "big") % _PRIME


def fits(end: End) -> bool:
    """True if the end can be remembered by a fingerprint: completed, at a time before the year 2116."""
    return end.cause is _COMPLETED and 0 <= end.at < _LATEST


def entry(key: SpanKey, end: End) -> Entry:
    """What is remembered of a span that ended well; `end` must fit."""
    status = end.status
    return _integer(key, "big") % _PRIME, end.at << 2 if status is None else end.at << 2 | status[0]


def packed(entries: Iterable[Entry]) -> Block:
    """Entries as a block for the changelog."""
    flat = [number for pair in entries for number in pair]
    return struct.pack(f"<{len(flat)}Q", *flat)


def unpack(block: Block) -> list[Entry]:
    """The entries of a block. Raises `struct.error` if it does not hold a whole number of them."""
    flat = struct.unpack(f"<{len(block) // 16 * 2}Q", block)
    return list(zip(flat[::2], flat[1::2], strict=True))


_NOWHERE: Final = Coordinates("", 0, 0, 0)


def remembered_end(end: End | None) -> End | None:
    """What is left of an end that fits."""
    if end is None:
        return None
    return End(Cause.COMPLETED, end.at, Status(StatusCode.UNSET if end.status is None else end.status.code))


def remembered_state(end: End) -> State:
    """The state that a fingerprint stands for: finished, sealed by `end`, nothing else known."""
    status = end.status or Status(StatusCode.UNSET)
    closed = Closed(Cause.COMPLETED, end.at, status, end.reason, 1, 0, end.at, -1, None, 0, _NOWHERE)
    state = State()
    state.phase, state.last_seen = Phase.FINISHED, end.at
    state.rest = Rest(NOTHING_TOLD, end, closed, (), (), None)
    return state


class Dropped(NamedTuple):
    """What was forgotten: keys of whole states, and numbers of the finished windows of which nothing is left."""

    keys: list[SpanKey]
    windows: list[int]


class Remembered:
    """The memory of one partition: `presumed` and `finished` are durations in nanoseconds."""

    __slots__ = (
        "_ends",
        "_finished",
        "_finished_width",
        "_finished_windows",
        "_max_bytes",
        "_moved",
        "_presumed",
        "_presumed_width",
        "_whole",
        "_whole_bytes",
        "_whole_windows",
        "horizon",
    )

    def __init__(self, presumed: int, finished: int, max_bytes: int) -> None:
        self._presumed = presumed
        self._finished = finished
        self._presumed_width = max(presumed // 24, SECOND)
        self._finished_width = max(finished // 15, SECOND)
        self._max_bytes = max_bytes
        self._ends = Fingerprints()
        self._moved: dict[int, int] = {}
        self._finished_windows: dict[int, array[int]] = {}
        self._whole: dict[SpanKey, int] = {}
        """Window number and bytes in one integer: a tuple would be one more thing for the collector to visit."""
        self._whole_windows: dict[int, list[SpanKey]] = {}
        self._whole_bytes = 0
        self.horizon = 0
        """The latest moment on the partition's clock up to which a closed span may have been forgotten; 0: none was."""

    @property
    def fingerprints(self) -> int:
        return len(self._ends)

    @property
    def bytes(self) -> int:
        return len(self._ends) * FINGERPRINT_BYTES + self._whole_bytes

    def finish(self, key: SpanKey, end: End, clock: int) -> int:
        """Remember by its fingerprint a span that ended well; returns the number of its memory window."""
        return self.finish_all([(key, end)], clock)[0]

    def finish_all(self, ended: Iterable[tuple[SpanKey, End]], clock: int) -> tuple[int, list[Entry]]:
        """`finish` for all spans that one decision finished; returns their memory window and what is remembered."""
        number = clock // self._finished_width
        entries = [entry(key, end) for key, end in ended]
        self._put(number, entries)
        return number, entries

    def load_block(self, window: int, data: Block) -> None:
        """Remember a block of entries again. Blocks come in the order of the changelog: of two ends the last stands."""
        self._put(window, unpack(data))

    def end_of(self, key: SpanKey) -> End | None:
        """The remembered end of a span, or None."""
        mark = _integer(key, "big") % _PRIME  # `fingerprint`, without the call
        packed_end = self._ends.get(mark.to_bytes(8, "little"))
        if packed_end is None:
            return None
        return End(Cause.COMPLETED, packed_end >> 2, Status(StatusCode(packed_end & 3)))

    def keep(self, key: SpanKey, clock: int, size: int) -> None:
        """Remember a span whose whole state, of about `size` bytes, is kept; from now on, if it was kept before."""
        number = clock // self._presumed_width
        before = self._whole.get(key)
        self._whole[key] = number << _SIZE_BITS | size
        self._whole_bytes += size if before is None else size - (before & _SIZE_MASK)
        if before is None or before >> _SIZE_BITS != number:
            self._whole_windows.setdefault(number, []).append(key)

    def release(self, key: SpanKey) -> None:
        """Stop remembering a whole state: its span is open again, or a fingerprint is enough from now on."""
        before = self._whole.pop(key, None)
        if before is not None:
            self._whole_bytes -= before & _SIZE_MASK

    def expire(self, clock: int, *, limit: int = 50_000) -> Dropped:
        """Forget what is over, oldest first, and what is beyond the bytes; finished spans before whole states.

        At most `limit` spans are looked at; the rest waits for the next call. The windows that are over are forgotten
        in any case, so the horizon is raised with the first span of a window.
        """
        dropped = Dropped([], [])
        while limit > 0 and self._finished_windows:
            number = min(self._finished_windows)
            until = (number + 1) * self._finished_width
            if until + self._finished > clock and until > self.horizon and self.bytes <= self._max_bytes:
                break
            self.horizon = max(self.horizon, min(until, clock))
            limit -= self._drop_finished(number, limit, dropped)
        while limit > 0 and self._whole_windows:
            number = min(self._whole_windows)
            until = (number + 1) * self._presumed_width
            crowded = self.bytes > self._max_bytes and not self._finished_windows
            if until + self._presumed > clock and not crowded:
                break
            known = len(dropped.keys)
            limit -= self._drop_whole(number, limit, dropped)
            if len(dropped.keys) > known:
                self.horizon = max(self.horizon, min(until, clock))
        return dropped

    def _put(self, number: int, entries: Iterable[Entry]) -> None:
        ends = self._ends
        window = self._finished_windows.get(number)
        if window is None:
            window = self._finished_windows[number] = array("Q")
        for mark, packed_end in entries:
            if ends.put(mark.to_bytes(8, "little"), packed_end):
                self._moved[mark] = number
            window.append(mark)

    def _drop_finished(self, number: int, limit: int, dropped: Dropped) -> int:
        window = self._finished_windows[number]
        going = window[-limit:]
        del window[-limit:]
        ends, moved = self._ends, self._moved
        for mark in going:
            if not moved or moved.get(mark, number) == number:
                ends.drop(mark.to_bytes(8, "little"))
                if moved:
                    moved.pop(mark, None)
        if not window:
            del self._finished_windows[number]
            dropped.windows.append(number)
        return len(going)

    def _drop_whole(self, number: int, limit: int, dropped: Dropped) -> int:
        window = self._whole_windows[number]
        going = window[-limit:]
        del window[-limit:]
        for key in going:
            kept = self._whole.get(key)
            if kept is not None and kept >> _SIZE_BITS == number:
                dropped.keys.append(key)
                self.release(key)
        if not window:
            del self._whole_windows[number]
        return len(going)
