"""Events to native JSON, as PROTOCOL.md tells it: a start and an end say everything, a heartbeat what is new.

Made when an event leaves the buffer, not on the app's thread. An end is enough by itself: whoever hears nothing else of
a span still knows what it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from finalizer.client.attributes import Attributes
from finalizer.client.buffer import END, HEARTBEAT, INSTANCE, START, Buffer, Event
from finalizer.client.clock import MILLISECOND
from finalizer.client.pace import in_slices
from finalizer.client.settings import Settings
from finalizer.client.span import Span

VERSION: Final = 1
MAX_BYTES: Final = 900_000
"""A record stays below what brokers take (1 MB by default); what is larger loses its events and long values."""
DROPPED: Final = "finalizer.client.dropped."
"""Attributes that tell how many events the client has dropped since it told so the last time."""
SHORT: Final = 256


def _dumps() -> Callable[[Any], str]:
    """The encoder in C that `json` has, made once: `json` itself makes a new one for each text, which costs as much as
    the text of an event."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
    made = make(None, None, quoted, None, ":", ",", False, False, False)
    return lambda told: "".join(made(told, 0))


quoted: Final = json.encoder.encode_basestring
"""A string as JSON."""
dumps: Final = _dumps()
"""Anything as JSON, in as few characters as it takes."""


class Record(NamedTuple):
    """One event as it is sent."""

    kind: str
    key: str
    """Trace id and span id as one text; of an instance its id."""
    at: int
    """Wall time of the event, nanoseconds."""
    value: bytes
    known: bytes | None = None
    """An event with all that is known of the span, for whoever may have to end it for us; None where nothing is new."""
    seq: int = 0

    @property
    def routing_key(self) -> bytes:
        """The record's key on Kafka: the trace id, so that all evidence of a trace meets in one partition."""
        return (self.key if self.kind == INSTANCE else self.key[:32]).encode()


class Recorder:
    """Makes records of events, out of what is put together once. Used by one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._resource: tuple[Attributes | None, str] = (None, "")
        self._process = ""
        if settings.instance_id:
            self._process = f',"instance_id":{quoted(settings.instance_id)},"boot_id":{quoted(settings.boot_id)}'

    def taken(self, buffer: Buffer, most: int) -> list[Record]:
        """The records of the oldest events in the buffer; the first that is about a span tells what was dropped."""
        records: list[Record] = []
        for event in in_slices(buffer.take(most), buffer):
            dropped = {} if event.span is None else buffer.untold()
            records.append(self.record_of(event, dropped))
        return records

    def record_of(self, event: Event, dropped: Mapping[str, int]) -> Record:
        """The record of an event. `dropped` tells how many events of each kind were dropped and not told yet."""
        kind, span, at, seq, word = event
        settings = self._settings
        if span is None:
            return Record(kind, settings.instance_id, at, bounded(dumps(_instance(event, settings))))
        if dropped:
            for what, count in dropped.items():
                before = span.attributes.get(DROPPED + what)
                span.attributes[DROPPED + what] = count + (before if isinstance(before, int) else 0)
            span.changed = True
        trace_id, span_id, _, _ = span.context
        told = (
            f'{{"v":{VERSION},"type":"{kind}","trace_id":"{trace_id}","span_id":"{span_id}",'
            f'"time_unix_nano":"{at}","seq":{seq}'
        )
        known: bytes | None = None
        if kind == END:
            reason = f',"reason":{quoted(word)}' if word else ""
            value = bounded(f"{told}{self._whole(span)}{_news(span)}{_lists(span)}{reason}}}")
        elif kind == START:
            # What came after the start, and may have come before this moment, is for a heartbeat or the end to tell.
            links = f',"links":{dumps(list(span.links))}' if span.links else ""
            value = known = bounded(f"{told}{self._whole(span, at)}{_attributes(span)}{links}}}")
        elif kind == HEARTBEAT:
            changed, span.changed = span.changed, False  # before it is read: what comes meanwhile is for the next
            news = _news(span) if changed or settings.whole_heartbeats else ""
            value = bounded(f"{told}{news}}}")
            if settings.whole_heartbeats or (changed and settings.spooled):
                everything = bounded(f"{told}{self._whole(span)}{news}{_lists(span)}}}")
                known = everything if changed and settings.spooled else None
                value = everything if settings.whole_heartbeats else value
        else:
            value = bounded(f'{told},"state":{quoted(word)}}}')
        return Record(kind, trace_id + span_id, at, value, known, seq)

    def _whole(self, span: Span, at: int = 0) -> str:
        """What a span is, without what changes in its life. `at`: when the event is; a start at that time is told by
        it."""
        name, parent, span_type, kind, op_id, session_id, expires, interval, timeout, _, _, own = span.identity
        told = f',"name":{quoted(name)}'
        if span.start_at != at:
            told += f',"start_time_unix_nano":"{span.start_at}"'
        if parent:
            told += f',"parent_span_id":"{parent}"'
        if span_type:
            told += f',"span_type":{quoted(span_type)}'
        if kind:
            told += f',"kind":{quoted(kind)}'
        if op_id:
            told += f',"op_id":{quoted(op_id)}'
        if interval:
            told += f',"heartbeat_interval_ms":{milliseconds(interval)}'
        if timeout:
            told += f',"timeout_ms":{milliseconds(timeout)}'
        if session_id:
            told += f',"session_id":{quoted(session_id)}'
        if expires:
            told += f',"session_expires_unix_nano":"{expires}"'
        if span.context.trace_state:
            told += f',"trace_state":{quoted(span.context.trace_state)}'
        resource = self._settings.resource if own is None else own
        last, text = self._resource
        if resource is not last:
            text = f',"resource":{dumps(resource)}' if resource else ""
            self._resource = resource, text
        return told + self._process + text


def milliseconds(duration: int) -> int | float:
    """A duration in nanoseconds as the milliseconds of the wire."""
    whole_part, rest = divmod(duration, MILLISECOND)
    return duration / MILLISECOND if rest else whole_part


def encoded(told: dict[str, Any]) -> bytes:
    """The text of an event; one that is too large is made smaller."""
    return bounded(dumps(told))


def bounded(text: str) -> bytes:
    """The bytes of an event; one that is too large loses its events, its links, then the length of its values."""
    value = text.encode()
    if len(value) <= MAX_BYTES:
        return value
    less = {field: content for field, content in json.loads(value).items() if field not in ("events", "links")}
    value = dumps(less).encode()
    if len(value) <= MAX_BYTES:
        return value
    for field in ("attributes", "resource"):
        less[field] = {name[:SHORT]: _shortened(content) for name, content in less.get(field, {}).items()}
    return dumps(less).encode()


def _news(span: Span) -> str:
    """What changes in the life of a span, as it is now."""
    told = _attributes(span)
    if span.status is not None:
        told += f',"status":{dumps(span.status)}'
    if span.progress_made is not None:
        told += f',"progress":{span.progress_made!r}'
    return told


def _attributes(span: Span) -> str:
    return f',"attributes":{dumps(span.attributes.copy())}' if span.attributes else ""


def _lists(span: Span) -> str:
    links = f',"links":{dumps(list(span.links))}' if span.links else ""
    return f'{links},"events":{dumps(list(span.events))}' if span.events else links


def _instance(event: Event, settings: Settings) -> dict[str, Any]:
    return {
        "v": VERSION,
        "type": INSTANCE,
        "instance_id": settings.instance_id,
        "boot_id": settings.boot_id,
        "time_unix_nano": str(event.at),
        "heartbeat_interval_ms": milliseconds(settings.heartbeat),
        "resource": settings.resource,
        "seq": event.seq,
    }


def _shortened(content: Any) -> Any:
    return content[:SHORT] if isinstance(content, str) else content if isinstance(content, int | float) else "…"
