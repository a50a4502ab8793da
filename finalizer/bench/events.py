"""The records of a load, partition by partition, in the order in which they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from finalizer.bench.load import (
    ALLOWANCE_SECONDS,
    DEAD_AFTER,
    DEAD_EVERY,
    MARGIN_SECONDS,
    MISSES,
    PARTITIONS,
    SPANS_A_BATCH,
    Load,
    Shape,
    Want,
)
from finalizer.shell.placement import partition_of

_IDS: Final = b'"trace_id":"%s","span_id":"%s","time_unix_nano":"%d"'
_START: Final = (
    b'{"v":1,"type":"start",' + _IDS + b',"name":"upload","span_type":"upload","kind":"client",'
    b'"resource":{"service.name":"mobile-app","service.version":"3.1.4"},'
    b'"attributes":{"device.model.name":"Pixel 8","network.connection.type":"wifi"},%s"seq":1}'
)
_BEAT: Final = b'{"v":1,"type":"heartbeat",' + _IDS + b',"progress":0.%d,"seq":%d}'
_END: Final = b'{"v":1,"type":"end",' + _IDS + b',"status":{"code":"ok"},"seq":%d}'


class Row(NamedTuple):
    """One record; `stamp` in milliseconds, None: the broker's."""

    stamp: int | None
    key: bytes | None
    value: bytes


class Traffic:
    """All records of a load whose log ends at `now_ms`, and what must come of them."""

    def __init__(self, load: Load, now_ms: int) -> None:
        self.load = load
        self._began = now_ms - round(load.log_seconds * 1000)
        self._due = now_ms + round(load.due_in * 1000)
        self._numbers: list[list[int]] = [[] for _ in range(PARTITIONS)]
        for number in range(load.spans + load.standing):
            self._numbers[partition_of(trace_id(number), PARTITIONS)].append(number)
        standing = load.standing // PARTITIONS
        self._standing = [numbers[len(numbers) - standing :] for numbers in self._numbers]
        self._moving = [numbers[: len(numbers) - standing] for numbers in self._numbers]
        self.records = 0

    def rows(self, partition: int) -> Iterator[Row]:
        """The records of a partition."""
        if self.load.shape is Shape.OTLP_SPANS:
            return self._batches(partition)
        return self._told(partition)

    def wanted(self) -> dict[bytes, Want]:
        """What must have been said of each span, by key."""
        wanted: dict[bytes, Want] = {}
        for partition in range(PARTITIONS):
            numbers = self._moving[partition]
            for place, number in enumerate(numbers):
                wanted[trace_id(number)] = self._want(place, len(numbers))
            wanted.update((trace_id(number), Want.NOTHING) for number in self._standing[partition])
        return {key: want for key, want in wanted.items() if want is not Want.NOTHING}

    def _want(self, place: int, count: int) -> Want:
        load = self.load
        if load.due_in and place:
            return Want.TIMEOUT
        if self._dies(place, count):
            return Want.LOST
        return Want.COMPLETED if load.tail or not place or place + load.lag < count else Want.NOTHING

    def _dies(self, place: int, count: int) -> bool:
        load = self.load
        if not load.dying or place % DEAD_EVERY != DEAD_EVERY - 1:
            return False
        last_beat = place + load.lag * DEAD_AFTER // (load.beats + 1)
        lease = MISSES * load.interval_ms / 1000 + ALLOWANCE_SECONDS
        return last_beat * load.log_seconds / count + lease + MARGIN_SECONDS < load.log_seconds

    def _stamp(self, place: int, count: int) -> int | None:
        if not self.load.log_seconds:
            return None
        return self._began + min(place, count) * round(self.load.log_seconds * 1000) // count

    def _told(self, partition: int) -> Iterator[Row]:
        """Starts, heartbeats and ends. The first span ends at once, so that its final says when reading began."""
        load, numbers = self.load, self._moving[partition]
        write = _PartialLogs(load) if load.shape is Shape.PARTIAL_LOG else _Native(load)
        lag, count = load.lag, len(numbers)
        beats = [(beat, lag * beat // (load.beats + 1)) for beat in range(1, load.beats + 1)]
        first = self._stamp(0, count)
        yield Row(first, trace_id(numbers[0]), write.start(numbers[0], first, 0))
        yield Row(first, trace_id(numbers[0]), write.end(numbers[0], first))
        for number in self._standing[partition]:
            yield Row(first, trace_id(number), write.start(number, first, 0))
        for place in range(1, count + lag if load.tail and not load.due_in else count):
            stamp = self._stamp(place, count)
            if place < count:
                yield Row(stamp, trace_id(numbers[place]), write.start(numbers[place], stamp, self._due))
            if load.due_in:
                continue
            for beat, after in beats:
                of = place - after
                if 0 < of < count and not (beat > DEAD_AFTER and self._dies(of, count)):
                    yield Row(stamp, trace_id(numbers[of]), write.beat(numbers[of], stamp, beat))
            of = place - lag
            if 0 < of < count and not self._dies(of, count):
                yield Row(stamp, trace_id(numbers[of]), write.end(numbers[of], stamp))

    def _batches(self, partition: int) -> Iterator[Row]:
        """Finished spans, many a record; wherever a collector puts them."""
        numbers = range(partition * SPANS_A_BATCH, self.load.spans, PARTITIONS * SPANS_A_BATCH)
        for first in numbers:
            yield Row(None, None, finished(range(first, min(first + SPANS_A_BATCH, self.load.spans))))


def trace_id(number: int) -> bytes:
    """The trace id of a span, which is its key."""
    return b"%032x" % (number + 1)


_EVENT_TIME: Final = 1_747_648_800_000_000_000


class _Native:
    def __init__(self, load: Load) -> None:
        self._beats, self._due_in = load.beats, load.due_in
        self._interval = b'"heartbeat_interval_ms":%d,' % load.interval_ms if load.beats else b""

    def start(self, number: int, stamp: int | None, due: int) -> bytes:
        extra = self._interval
        if self._due_in and due and stamp is not None:
            extra = b'"timeout_ms":%d,' % (due - stamp)
        return _START % (trace_id(number), b"%016x" % (number + 1), _event_time(stamp), extra)

    def beat(self, number: int, stamp: int | None, beat: int) -> bytes:
        return _BEAT % (trace_id(number), b"%016x" % (number + 1), _event_time(stamp) + beat, beat * 2, beat + 1)

    def end(self, number: int, stamp: int | None) -> bytes:
        return _END % (trace_id(number), b"%016x" % (number + 1), _event_time(stamp) + 9, self._beats + 2)


class _PartialLogs:
    """Logs of a partial-span processor as a collector writes them: the whole span, in JSON within JSON."""

    def __init__(self, load: Load) -> None:
        self._frequency = f"{load.interval_ms}ms"
        self._heartbeat, self._stop = self._log(ended=False), self._log(ended=True)

    def start(self, number: int, stamp: int | None, _due: int) -> bytes:
        return self.beat(number, stamp, 0)

    def beat(self, number: int, stamp: int | None, beat: int) -> bytes:
        return self._heartbeat % self._told(number, stamp, beat)

    def end(self, number: int, stamp: int | None) -> bytes:
        return self._stop % self._told(number, stamp, 9)

    @staticmethod
    def _told(number: int, stamp: int | None, later: int) -> dict[bytes, bytes | int]:
        now = _event_time(stamp)
        return {b"trace": trace_id(number), b"span": b"%016x" % (number + 1), b"began": now, b"now": now + later}

    def _log(self, *, ended: bool) -> bytes:
        body = _span_body(ended=ended)
        attributes = {"partial.event": "stop" if ended else "heartbeat", "partial.body.type": "json/v1"}
        if not ended:
            attributes["partial.frequency"] = self._frequency
        record = {
            "timeUnixNano": "%(now)d",
            "observedTimeUnixNano": "%(now)d",
            "severityNumber": 9,
            "severityText": "INFO",
            "body": {"stringValue": json.dumps(body, separators=(",", ":"))},
            "attributes": _attributes(attributes),
            "traceId": "%(trace)s",
            "spanId": "%(span)s",
        }
        logs = {"resource": _RESOURCE, "scopeLogs": [{"scope": _SCOPE, "logRecords": [record]}]}
        return json.dumps({"resourceLogs": [logs]}, separators=(",", ":")).encode()


def _attributes(told: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]


_RESOURCE: Final = {"attributes": _attributes({"service.name": "mobile-app", "service.version": "4.2.0"})}
_SCOPE: Final = {"name": "mobile.tracing", "version": "2.1.0"}
_SPAN: Final[dict[str, Any]] = {
    "traceId": "%(trace)s",
    "spanId": "%(span)s",
    "name": "PUT /v1/photos",
    "kind": "SPAN_KIND_CLIENT",
    "startTimeUnixNano": "%(began)d",
    "attributes": _attributes(
        {"http.request.method": "PUT", "network.connection.type": "wifi", "device.model.name": "Pixel 9"}
    ),
    "status": {},
    "flags": 256,
}


def _span_body(*, ended: bool) -> dict[str, Any]:
    span = _SPAN | ({"endTimeUnixNano": "%(now)d", "status": {"code": "STATUS_CODE_OK"}} if ended else {})
    return {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"scope": _SCOPE, "spans": [span]}]}]}


_FINISHED: Final = json.dumps(
    _SPAN | {"kind": 3, "endTimeUnixNano": "%(now)d", "status": {"code": 1}}, separators=(",", ":")
).encode()
_AROUND: Final = json.dumps(
    {"resourceSpans": [{"resource": _RESOURCE, "scopeSpans": [{"scope": _SCOPE, "spans": ["SPANS"]}]}]},
    separators=(",", ":"),
).encode()


def finished(numbers: range) -> bytes:
    """One record of an OTLP traces topic, with these spans."""
    spans = b",".join(
        _FINISHED
        % {b"trace": trace_id(n), b"span": b"%016x" % (n + 1), b"began": _EVENT_TIME, b"now": _EVENT_TIME + 10**9}
        for n in numbers
    )
    return _AROUND.replace(b'"SPANS"', spans)


def _event_time(stamp: int | None) -> int:
    return _EVENT_TIME if stamp is None else stamp * 1_000_000
