"""Events to native JSON, as PROTOCOL.md tells it: a start and an end say everything, a heartbeat what is new.

Made when an event leaves the buffer, not on the app's thread. An end is enough by itself: whoever hears nothing else of
a span still knows what it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from finalizer.client.buffer import HEARTBEAT, INSTANCE, LIFECYCLE, START, Buffer, Event
from finalizer.client.clock import MILLISECOND
from finalizer.client.settings import Settings
from finalizer.client.span import Span

VERSION: Final = 1
MAX_BYTES: Final = 900_000
"""A record stays below what brokers take (1 MB by default); what is larger loses its events and long values."""
DROPPED: Final = "finalizer.client.dropped."
"""Attributes that tell how many events the client has dropped since it told so the last time."""
SHORT: Final = 256
LATER: Final = frozenset(("status", "progress", "events"))

dumps: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


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


def record_of(event: Event, settings: Settings, dropped: Mapping[str, int]) -> Record:
    """The record of an event. `dropped` tells how many events of each kind were dropped and not told yet."""
    span = event.span
    if span is None:
        return Record(event.kind, settings.instance_id, event.at, encoded(_instance(event, settings)))
    if dropped:
        for kind, count in dropped.items():
            before = span.attributes.get(DROPPED + kind)
            span.attributes[DROPPED + kind] = count + (before if isinstance(before, int) else 0)
        span.changed = True
    told = _head(event, span)
    known: bytes | None = None
    if event.kind == LIFECYCLE:
        value = encoded({**told, "state": event.word})
    elif event.kind == HEARTBEAT:
        changed, span.changed = span.changed, False  # before it is read: what comes meanwhile is for the next
        wanted = settings.whole_heartbeats or (changed and settings.spooled)
        everything = encoded(told | whole(span, settings)) if wanted else b""
        known = everything if changed and settings.spooled else None
        told |= _news(span) if changed else {}
        value = everything if settings.whole_heartbeats else encoded(told)
    elif event.kind == START:
        # What came after the start, and may have come before this moment, is for a heartbeat or the end to tell.
        told |= {field: value for field, value in whole(span, settings).items() if field not in LATER}
        if event.at == span.start_at:
            del told["start_time_unix_nano"]
        value = known = encoded(told)
    else:
        told |= whole(span, settings)
        if event.word:
            told["reason"] = event.word
        value = encoded(told)
    return Record(event.kind, span.key, event.at, value, known, event.seq)


def taken(buffer: Buffer, settings: Settings, most: int) -> list[Record]:
    """The records of the oldest events in the buffer; the first that is about a span tells what was dropped."""
    records: list[Record] = []
    for event in buffer.take(most):
        dropped = {} if event.span is None else buffer.untold()
        records.append(record_of(event, settings, dropped))
    return records


def whole(span: Span, settings: Settings) -> dict[str, Any]:
    """Everything that is known of a span, without what makes an event of it."""
    identity = span.identity
    told: dict[str, Any] = {"name": identity.name, "start_time_unix_nano": str(span.start_at)}
    if identity.parent_span_id:
        told["parent_span_id"] = identity.parent_span_id
    words = (("span_type", identity.span_type), ("kind", identity.kind), ("op_id", identity.op_id))
    told |= {field: word for field, word in words if word}
    if identity.interval:
        told["heartbeat_interval_ms"] = milliseconds(identity.interval)
    if identity.timeout:
        told["timeout_ms"] = milliseconds(identity.timeout)
    if identity.session_id:
        told["session_id"] = identity.session_id
    if identity.session_expires:
        told["session_expires_unix_nano"] = str(identity.session_expires)
    if settings.instance_id:
        told["instance_id"], told["boot_id"] = settings.instance_id, settings.boot_id
    if span.context.trace_state:
        told["trace_state"] = span.context.trace_state
    resource = settings.resource if identity.resource is None else identity.resource
    if resource:
        told["resource"] = resource
    told |= _news(span)
    if span.links:
        told["links"] = list(span.links)
    if span.events:
        told["events"] = list(span.events)
    return told


def milliseconds(duration: int) -> int | float:
    """A duration in nanoseconds as the milliseconds of the wire."""
    whole_part, rest = divmod(duration, MILLISECOND)
    return duration / MILLISECOND if rest else whole_part


def encoded(told: dict[str, Any]) -> bytes:
    """The text of an event; one that is too large loses its events, its links, then the length of its values."""
    value = dumps(told).encode()
    if len(value) <= MAX_BYTES:
        return value
    less = {field: content for field, content in told.items() if field not in ("events", "links")}
    value = dumps(less).encode()
    if len(value) <= MAX_BYTES:
        return value
    for field in ("attributes", "resource"):
        less[field] = {name[:SHORT]: _shortened(content) for name, content in less.get(field, {}).items()}
    return dumps(less).encode()


def _head(event: Event, span: Span) -> dict[str, Any]:
    return {
        "v": VERSION,
        "type": event.kind,
        "trace_id": span.context.trace_id,
        "span_id": span.context.span_id,
        "time_unix_nano": str(event.at),
        "seq": event.seq,
    }


def _news(span: Span) -> dict[str, Any]:
    """What changes in the life of a span, as it is now."""
    told: dict[str, Any] = {}
    if span.attributes:
        told["attributes"] = dict(span.attributes)
    if span.status is not None:
        told["status"] = span.status
    if span.progress_made is not None:
        told["progress"] = span.progress_made
    return told


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
