"""One span in OTLP protobuf: what is looked at when it is decoded, and all of it when it is described.

Needs the extra `otlp`. Strings were checked to be UTF-8, and nesting to be sane, when the message was parsed.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, TracesData

from finalizer.codecs.around import Around, EntityRef
from finalizer.codecs.description import Description, Link, SpanEvent
from finalizer.codecs.otlp_ids import SPAN_BYTES, TRACE_BYTES, key_of_bytes, linked_of_bytes, parent_of_bytes
from finalizer.codecs.otlp_words import span_kind, status, status_code
from finalizer.codecs.times import optional_moment
from finalizer.codecs.trace_state import valid_trace_state
from finalizer.codecs.values import EMPTY, Attributes, Value
from finalizer.codecs.wire import alone
from finalizer.core.model import SpanKey, Status

_LAST_KIND: Final = Span.SPAN_KIND_CONSUMER
_MAX_KEPT: Final = 4096
"""Bytes of what stands around a span that is kept; larger ones are rare, and would make what they take unbounded."""
_PARENT_SIZES: Final = (SPAN_BYTES, 0)


def checked(span: Span) -> tuple[SpanKey, int, int, Status | None]:
    """Key, start, end and status of a span that can be described. Raises `Unusable`."""
    key = key_of_bytes(span.trace_id, span.span_id)
    start_at, end_at = span.start_time_unix_nano, span.end_time_unix_nano
    if start_at:
        optional_moment(start_at, "startTimeUnixNano")
    if end_at:
        optional_moment(end_at, "endTimeUnixNano")
    if not 0 <= span.kind <= _LAST_KIND:
        span_kind(span.kind)
    if len(span.parent_span_id) not in _PARENT_SIZES:
        parent_of_bytes(span.parent_span_id)
    for link in span.links:
        linked_of_bytes(link.trace_id, TRACE_BYTES)
        linked_of_bytes(link.span_id, SPAN_BYTES)
    told = span.status
    code = told.code
    return key, start_at, end_at, status(status_code(code), told.message) if code else None


def describe_proto(data: bytes) -> Description:
    """The description of the one span in `data`, a `TracesData` that `proto_spans` has written."""
    try:
        above, beside, item = alone(data)
    except ValueError:
        (outer,) = TracesData.FromString(data).resource_spans
        (inner,) = outer.scope_spans
        (span,) = inner.spans
        resource, around = _around_of(outer, inner)
    else:
        span = Span.FromString(item)
        size = len(above[0]) + len(above[1]) + len(beside[0]) + len(beside[1])
        resource, around = (_kept_around if size <= _MAX_KEPT else _around)(above, beside)
    return Description(
        span.name or None,
        span.kind,
        None,
        parent_of_bytes(span.parent_span_id),
        trace_state=valid_trace_state(span.trace_state),
        resource=resource,
        attributes=attributes(span.attributes),
        links=[_link(link) for link in span.links],
        events=[_event(event) for event in span.events],
        dropped_attributes=span.dropped_attributes_count,
        dropped_links=span.dropped_links_count,
        dropped_events=span.dropped_events_count,
        flags=span.flags,
        around=around,
    )


def _around(above: tuple[bytes, bytes], beside: tuple[bytes, bytes]) -> tuple[Attributes, Around]:
    """The attributes of the resource, and all else around a span, of the fields that stand around it."""
    return _around_of(ResourceSpans.FromString(b"".join(above)), ScopeSpans.FromString(b"".join(beside)))


_kept_around = lru_cache(maxsize=1024)(_around)


def _around_of(outer: ResourceSpans, inner: ScopeSpans) -> tuple[Attributes, Around]:
    resource, scope = outer.resource, inner.scope
    around = Around(
        scope.name,
        scope.version,
        attributes(scope.attributes),
        scope.dropped_attributes_count,
        inner.schema_url,
        resource.dropped_attributes_count,
        outer.schema_url,
        [
            EntityRef(ref.type, list(ref.id_keys), list(ref.description_keys), ref.schema_url)
            for ref in resource.entity_refs
        ],
    )
    return attributes(resource.attributes), around


def attributes(items: Iterable[KeyValue]) -> Attributes:
    """Attributes by name; of two with the same name the last one counts."""
    return {item.key: value_of(item.value) for item in items}


def resource_attributes(data: bytes) -> Attributes:
    """The attributes of a `Resource` that was parsed before, as part of its batch."""
    return attributes(Resource.FromString(data).attributes)


def value_of(value: AnyValue) -> Value:
    """What an `AnyValue` holds."""
    text = value.string_value
    if text:
        return text
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "int_value":
            return value.int_value
        case "bool_value":
            return value.bool_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value
        case "array_value":
            return [value_of(item) for item in value.array_value.values]
        case "kvlist_value":
            return attributes(value.kvlist_value.values)
        case _:
            return EMPTY


def _event(event: Span.Event) -> SpanEvent:
    return SpanEvent(event.time_unix_nano, event.name, attributes(event.attributes), event.dropped_attributes_count)


def _link(link: Span.Link) -> Link:
    return Link(
        linked_of_bytes(link.trace_id, TRACE_BYTES),
        linked_of_bytes(link.span_id, SPAN_BYTES),
        attributes(link.attributes),
        valid_trace_state(link.trace_state),
        link.flags,
        link.dropped_attributes_count,
    )
