"""One span in OTLP/JSON: what is looked at when it is decoded, and all of it when it is described."""

from __future__ import annotations

from typing import Final

from finalizer.codecs.around import Around, EntityRef
from finalizer.codecs.description import Description, Link, SpanEvent
from finalizer.codecs.json_shapes import (
    JsonAttribute,
    JsonEntityRef,
    JsonEvent,
    JsonLink,
    JsonResource,
    JsonScope,
    JsonSpan,
    JsonValue,
    read_traces,
)
from finalizer.codecs.otlp_ids import SPAN_BYTES, TRACE_BYTES, check_parent, key_of_text, linked_of_text, parent_of_text
from finalizer.codecs.otlp_words import span_kind, status, status_code
from finalizer.codecs.times import optional_moment
from finalizer.codecs.trace_state import valid_trace_state
from finalizer.codecs.values import EMPTY, Attributes, Value
from finalizer.core.model import SpanKey, Status

_NO_RESOURCE: Final = JsonResource()
_NO_SCOPE: Final = JsonScope()


def checked(span: JsonSpan) -> tuple[SpanKey, int, int, Status | None]:
    """Key, start, end and status of a span that can be described. Raises `Unusable`."""
    key = key_of_text(span.trace_id or span.trace_id_, span.span_id or span.span_id_)
    start_at, end_at, told = span.start_at or span.start_at_, span.end_at or span.end_at_, span.status
    if start_at:
        start_at = optional_moment(start_at, "startTimeUnixNano")
    if end_at:
        end_at = optional_moment(end_at, "endTimeUnixNano")
    span_kind(span.kind)
    parent = span.parent or span.parent_
    if parent:
        check_parent(parent)
    if span.links:
        for link in span.links:
            _link_ids(link)
    code = told and status_code(told.code)
    return key, start_at or 0, end_at or 0, status(code, told.message) if told and code else None


def describe_json(data: bytes) -> Description:
    """The description of the one span in `data`, a `TracesData` that `json_spans` has written."""
    alone = read_traces(data).alone()
    assert alone is not None
    outer, inner, span = alone
    resource, scope = outer.resource or _NO_RESOURCE, inner.scope or _NO_SCOPE
    return Description(
        span.name or None,
        span_kind(span.kind),
        None,
        parent_of_text(span.parent or span.parent_),
        trace_state=valid_trace_state(span.trace_state or span.trace_state_),
        resource=attributes(resource.attributes),
        attributes=attributes(span.attributes),
        links=[_link(link) for link in span.links] if span.links else (),
        events=[_event(event) for event in span.events] if span.events else (),
        dropped_attributes=span.dropped_attributes or span.dropped_attributes_ or 0,
        dropped_links=span.dropped_links or span.dropped_links_ or 0,
        dropped_events=span.dropped_events or span.dropped_events_ or 0,
        flags=span.flags or 0,
        around=Around(
            scope.name or "",
            scope.version or "",
            attributes(scope.attributes),
            scope.dropped or scope.dropped_ or 0,
            inner.schema_url or inner.schema_url_ or "",
            resource.dropped or resource.dropped_ or 0,
            outer.schema_url or outer.schema_url_ or "",
            [_entity(one) for one in resource.entities or resource.entities_ or ()],
        ),
    )


def attributes(items: list[JsonAttribute] | None) -> Attributes:
    """Attributes by name; of two with the same name the last one counts."""
    return {item.key or "": value_of(item.value) for item in items} if items else {}


def value_of(value: JsonValue | str | None) -> Value:
    """What an `AnyValue` holds."""
    if value is None:
        return EMPTY
    if isinstance(value, str):
        return value
    if value.string is not None:
        return value.string
    if value.integer is not None:
        return value.integer
    if value.boolean is not None:
        return value.boolean
    if value.double is not None:
        return value.double
    if value.octets is not None:
        return value.octets
    array, pairs = value.array or value.array_, value.pairs or value.pairs_
    if array is not None:
        return [value_of(item) for item in array.values or ()]
    if pairs is not None:
        return attributes(pairs.values)
    for other in (value.string_, value.integer_, value.boolean_, value.double_, value.octets_):
        if other is not None:
            return other
    return EMPTY


def _entity(ref: JsonEntityRef) -> EntityRef:
    described, url = ref.described or ref.described_, ref.schema_url or ref.schema_url_
    return EntityRef(ref.type or "", ref.ids or ref.ids_ or (), described or (), url or "")


def _event(event: JsonEvent) -> SpanEvent:
    dropped = event.dropped or event.dropped_ or 0
    return SpanEvent(event.at or event.at_ or 0, event.name or "", attributes(event.attributes), dropped)


def _link(link: JsonLink) -> Link:
    return Link(
        *_link_ids(link),
        attributes(link.attributes),
        valid_trace_state(link.trace_state or link.trace_state_),
        link.flags or 0,
        link.dropped or link.dropped_ or 0,
    )


def _link_ids(link: JsonLink) -> tuple[str, str]:
    trace_id = linked_of_text(link.trace_id or link.trace_id_, TRACE_BYTES)
    return trace_id, linked_of_text(link.span_id or link.span_id_, SPAN_BYTES)
