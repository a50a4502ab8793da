"""The records of a load, partition by partition, in the order in which they are written."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from heapq import merge
from itertools import count, takewhile
from operator import attrgetter
from typing import Final, NamedTuple, Protocol

from finalizer.bench import otlp
from finalizer.bench.load import PARTITIONS, SPANS_A_BATCH, Load, Scene, Shape
from finalizer.shell.placement import partition_of

DEAD_EVERY: Final = 50
DEAD_AFTER: Final = 2
"""Heartbeats that a span sends before it falls silent for good."""
MISSES: Final = 3
ALLOWANCE_SECONDS: Final = 2.0
MARGIN_SECONDS: Final = 60.0
"""A span that dies is due so long before its log ends: a clock by `CreateTime` goes by medians, half a frame behind."""
LIVE_MARGIN_SECONDS: Final = 3.0
"""The same where records come at their times."""
HEALTHY_SHARE: Final = 20
"""Beside so many open spans of a live load is one that beats without end, more than ever are dead and not closed: where
none but the dead are left, or the generator was late by seconds, that is an outage, in which nobody is closed."""
EVENT_TIME: Final = 1_747_648_800_000_000_000
"""Of events of which nobody minds when they happened."""

_IDS: Final = b'"trace_id":"%s","span_id":"%s","time_unix_nano":"%d"'
_START: Final = (
    b'{"v":1,"type":"start",' + _IDS + b',"name":"upload","span_type":"upload","kind":"client",'
    b'"resource":{"service.name":"mobile-app","service.version":"3.1.4"},'
    b'"attributes":{"device.model.name":"Pixel 8","network.connection.type":"wifi"},%s"seq":1}'
)
_BEAT: Final = b'{"v":1,"type":"heartbeat",' + _IDS + b',"progress":0.%d,"seq":%d}'
_END: Final = b'{"v":1,"type":"end",' + _IDS + b',"status":{"code":"ok"},"seq":%d}'


class Want(Enum):
    """The cause that the final of a span must have; NOTHING: there must be none."""

    NOTHING = ""
    COMPLETED = "completed"
    LOST = "heartbeat_lost"
    TIMEOUT = "timeout"


class Row(NamedTuple):
    """One record; `stamp` in milliseconds, None: the broker's."""

    stamp: int | None
    key: bytes | None
    value: bytes


_stamp_of = attrgetter("stamp")


class Traffic:
    """All records of a load whose log ends at `now_ms`, and what must come of them."""

    def __init__(self, load: Load, now_ms: int) -> None:
        self.load = load
        self.writes: _Writes = _PartialLogs(load) if load.shape is Shape.PARTIAL_LOG else _Native(load)
        self._began = now_ms - round(load.log_seconds * 1000)
        self.due_ms = now_ms + round(load.due_in * 1000)
        numbers: list[list[int]] = [[] for _ in range(PARTITIONS)]
        for number in range(load.spans + load.standing):
            numbers[partition_of(trace_id(number), PARTITIONS)].append(number)
        standing = load.standing // PARTITIONS
        self._standing = [mine[len(mine) - standing :] for mine in numbers]
        self._moving = [mine[: len(mine) - standing] for mine in numbers]

    def rows(self, partition: int) -> Iterator[Row]:
        """The records of a partition."""
        if self.load.shape is Shape.OTLP_SPANS:
            return self._batches(partition)
        if self.load.scene is Scene.LIVE:
            healthy = takewhile(lambda row: (row.stamp or 0) < self.due_ms, self.healthy(partition))
            return merge(self._told(partition), healthy, key=_stamp_of)
        return self._told(partition)

    def healthy(self, partition: int) -> Iterator[Row]:
        """The records, without end, of the spans that beat beside a live load: nothing is to come of them."""
        load, write = self.load, self.writes
        first = load.spans + load.standing + 1  # the one before it is the pilot's
        every = range(first, first + load.open_spans // HEALTHY_SHARE)
        mine = [number for number in every if partition_of(trace_id(number), PARTITIONS) == partition]
        for beat in count():
            for place, number in enumerate(mine):
                stamp = self._began + beat * load.interval_ms + load.interval_ms * place // len(mine)
                value = write.beat(number, stamp, beat) if beat else write.start(number, stamp)
                yield Row(stamp, trace_id(number), value)

    def wanted(self) -> dict[bytes, Want]:
        """The cause of each span that must have a final, by key."""
        wanted = {
            trace_id(number): self._want(place, len(numbers))
            for numbers in self._moving
            for place, number in enumerate(numbers)
        }
        return {key: want for key, want in wanted.items() if want is not Want.NOTHING}

    def _want(self, place: int, count: int) -> Want:
        load = self.load
        if load.due_in and place:
            return Want.TIMEOUT
        if self._dies(place, count):
            return Want.LOST
        return Want.COMPLETED if load.tail or not place or place + load.lag < count else Want.NOTHING

    def _places(self, count: int) -> int:
        """Steps of a partition's log: one for each span that begins, and those in which the last ones end."""
        return count + self.load.lag if self.load.tail and not self.load.due_in else count

    def _dies(self, place: int, count: int) -> bool:
        load = self.load
        if not load.dying or place % DEAD_EVERY != DEAD_EVERY - 1:
            return False
        margin = LIVE_MARGIN_SECONDS if load.scene is Scene.LIVE else MARGIN_SECONDS
        last_beat = (place + load.lag * DEAD_AFTER // (load.beats + 1)) * load.log_seconds / self._places(count)
        return last_beat + MISSES * load.interval_ms / 1000 + ALLOWANCE_SECONDS + margin < load.log_seconds

    def _stamp(self, place: int, places: int) -> int | None:
        if not self.load.log_seconds:
            return None
        return self._began + place * round(self.load.log_seconds * 1000) // places

    def _told(self, partition: int) -> Iterator[Row]:
        """Starts, heartbeats and ends. The first span ends at once, so that its final says when reading began."""
        load, numbers, write = self.load, self._moving[partition], self.writes
        lag, count = load.lag, len(numbers)
        places = self._places(count)
        beats = [] if load.due_in else [(beat, lag * beat // (load.beats + 1)) for beat in range(1, load.beats + 1)]
        first = self._stamp(0, places)
        yield Row(first, trace_id(numbers[0]), write.start(numbers[0], first))
        yield Row(first, trace_id(numbers[0]), write.end(numbers[0], first))
        for number in self._standing[partition]:
            yield Row(first, trace_id(number), write.start(number, first, silent=True))
        for place in range(1, places):
            stamp = self._stamp(place, places)
            if place < count:
                timeout_ms = self.due_ms - stamp if load.due_in and stamp is not None else 0
                yield Row(stamp, trace_id(numbers[place]), write.start(numbers[place], stamp, timeout_ms=timeout_ms))
            for beat, after in beats:
                of = place - after
                if 0 < of < count and not (beat > DEAD_AFTER and self._dies(of, count)):
                    yield Row(stamp, trace_id(numbers[of]), write.beat(numbers[of], stamp, beat))
            of = place - lag
            if 0 < of < count and not self._dies(of, count) and not load.due_in:
                yield Row(stamp, trace_id(numbers[of]), write.end(numbers[of], stamp))

    def _batches(self, partition: int) -> Iterator[Row]:
        """Finished spans, many a record; wherever a collector puts them."""
        span = otlp.finished_span()
        for first in range(partition * SPANS_A_BATCH, self.load.spans, PARTITIONS * SPANS_A_BATCH):
            numbers = range(first, min(first + SPANS_A_BATCH, self.load.spans))
            spans = (span.of(trace_id(n), span_id(n), began=EVENT_TIME, ended=EVENT_TIME + 10**9) for n in numbers)
            yield Row(None, None, otlp.batch(spans))


def trace_id(number: int) -> bytes:
    """The trace id of a span in hex, which is its key."""
    return b"%032x" % (number + 1)


def span_id(number: int) -> bytes:
    """Its span id in hex."""
    return b"%016x" % (number + 1)


def pilot_rows(number: int, now_ms: int) -> Iterator[Row]:
    """A span that begins and ends at once, to see that something is read."""
    write = _Native(Load("pilot", "", 1, 0))
    yield Row(now_ms, trace_id(number), write.start(number, now_ms))
    yield Row(now_ms, trace_id(number), write.end(number, now_ms))


class _Writes(Protocol):
    """How evidence of a span is written; times (`stamp`) in ms, None: nobody minds."""

    def start(self, number: int, stamp: int | None, *, timeout_ms: int = 0, silent: bool = False) -> bytes: ...
    def beat(self, number: int, stamp: int | None, beat: int) -> bytes: ...
    def end(self, number: int, stamp: int | None) -> bytes: ...


class _Native:
    def __init__(self, load: Load) -> None:
        self._beats = load.beats
        self._interval = b'"heartbeat_interval_ms":%d,' % load.interval_ms if load.beats else b""

    def start(self, number: int, stamp: int | None, *, timeout_ms: int = 0, silent: bool = False) -> bytes:
        extra = b'"timeout_ms":%d,' % timeout_ms if timeout_ms else b"" if silent else self._interval
        return _START % (trace_id(number), span_id(number), _time(stamp), extra)

    def beat(self, number: int, stamp: int | None, beat: int) -> bytes:
        return _BEAT % (trace_id(number), span_id(number), _time(stamp) + beat, beat * 2, beat + 1)

    def end(self, number: int, stamp: int | None) -> bytes:
        return _END % (trace_id(number), span_id(number), _time(stamp) + 9, self._beats + 2)


class _PartialLogs:
    def __init__(self, load: Load) -> None:
        self._heartbeat = otlp.partial_log("heartbeat", load.interval_ms)
        self._stop = otlp.partial_log("stop", load.interval_ms)

    def start(self, number: int, stamp: int | None, *, timeout_ms: int = 0, silent: bool = False) -> bytes:
        return self.beat(number, stamp, 0)

    def beat(self, number: int, stamp: int | None, beat: int) -> bytes:
        at = _time(stamp)
        return self._heartbeat.of(trace_id(number), span_id(number), began=EVENT_TIME, ended=at + beat)

    def end(self, number: int, stamp: int | None) -> bytes:
        return self._stop.of(trace_id(number), span_id(number), began=EVENT_TIME, ended=_time(stamp) + 9)


def _time(stamp: int | None) -> int:
    return EVENT_TIME if stamp is None else stamp * 1_000_000
