"""Whether a final says what truly happened to its span."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from finalizer.codecs.verdict import PREFIX
from tests.recordings.reading import Event, Link, Scope, Span, Status


def check(told: trace_pb2.Span, inner: trace_pb2.ScopeSpans, outer: trace_pb2.ResourceSpans, span: Span) -> None:
    """Compare a final, and the scope and resource around it, with what the program knew of its span."""
    attributes = values(told.attributes)
    cause = attributes[PREFIX + "cause"]
    assert cause in ({"completed"} if span.ends else {"heartbeat_lost", "timeout"})
    assert (told.trace_id.hex(), told.parent_span_id.hex()) == (span.trace_id, span.parent_span_id)
    assert (told.name, trace_pb2.Span.SpanKind.Name(told.kind)) == (span.name, f"SPAN_KIND_{span.kind.upper()}")
    assert span.trace_state in (None, told.trace_state)
    last = span.end_unix_nano if span.ends else span.last_heard_unix_nano
    assert (told.start_time_unix_nano, told.end_time_unix_nano) == (span.start_unix_nano, last)
    status = Status(("unset", "ok", "error")[told.status.code], told.status.message)
    assert status == (span.status if span.ends or span.status.code != "unset" else Status("error", ""))
    assert [Event(one.time_unix_nano, one.name) for one in told.events] == span.events
    links = [Link(one.trace_id.hex(), one.span_id.hex(), values(one.attributes)) for one in told.links]
    assert links == span.links
    theirs = {name: value for name, value in attributes.items() if not name.startswith((PREFIX, "partial.", "error."))}
    pending = {"logfire.span_type": "span"} if cause == "timeout" else {}
    assert theirs == span.attributes | pending
    assert values(outer.resource.attributes) == span.resource
    assert Scope(inner.scope.name, inner.scope.version, inner.schema_url) == span.scope


def values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as the recordings write them."""
    return {item.key: value(item.value) for item in attributes}


def value(told: AnyValue) -> Any:
    """One value: bytes and numbers that JSON lacks have words of their own."""
    match told.WhichOneof("value"):
        case "double_value":
            number = told.double_value
            return number if math.isfinite(number) else {"double": str(number)}
        case "bytes_value":
            return {"bytes": told.bytes_value.hex()}
        case "array_value":
            return [value(item) for item in told.array_value.values]
        case "kvlist_value":
            return values(told.kvlist_value.values)
        case form:
            return getattr(told, form) if form else None
