"""A final as OTLP in protobuf, serialized deterministically. Needs the extra `otlp` (opentelemetry-proto)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    EntityRef,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from finalizer.codecs.around import Around
from finalizer.codecs.description import Description
from finalizer.codecs.values import Attributes, Empty, Value, present
from finalizer.codecs.verdict import span_attributes
from finalizer.core import model


def request(final: model.Final, description: Description) -> bytes:
    """An `ExportTraceServiceRequest` of this one span."""
    around = description.around or Around(description.scope_name)
    scope = InstrumentationScope(
        name=around.scope_name,
        version=around.scope_version,
        attributes=key_values(around.scope_attributes),
        dropped_attributes_count=around.scope_dropped_attributes,
    )
    resource = Resource(
        attributes=key_values(description.resource),
        dropped_attributes_count=around.resource_dropped_attributes,
        entity_refs=[
            EntityRef(
                type=entity.type,
                id_keys=entity.id_keys,
                description_keys=entity.description_keys,
                schema_url=entity.schema_url,
            )
            for entity in around.entities
        ],
    )
    spans = ScopeSpans(scope=scope, spans=[_span(final, description)], schema_url=around.scope_schema_url)
    outer = ResourceSpans(resource=resource, scope_spans=[spans], schema_url=around.resource_schema_url)
    return ExportTraceServiceRequest(resource_spans=[outer]).SerializeToString(deterministic=True)


def _span(final: model.Final, description: Description) -> Span:
    closed, start_at = final.closed, final.start_at
    assert start_at is not None
    code, message = closed.status
    return Span(
        trace_id=final.key[:16],
        span_id=final.key[16:],
        trace_state=description.trace_state,
        parent_span_id=bytes.fromhex(description.parent_span_id),
        name=description.name or "",
        kind=cast("Span.SpanKind.ValueType", description.span_kind),
        start_time_unix_nano=start_at,
        end_time_unix_nano=max(closed.end_at, start_at),
        attributes=key_values(span_attributes(final, description)),
        dropped_attributes_count=description.dropped_attributes,
        events=[
            Span.Event(
                time_unix_nano=event.at,
                name=event.name,
                attributes=key_values(event.attributes),
                dropped_attributes_count=event.dropped_attributes,
            )
            for event in description.events
        ],
        dropped_events_count=description.dropped_events,
        links=[
            Span.Link(
                trace_id=bytes.fromhex(link.trace_id),
                span_id=bytes.fromhex(link.span_id),
                trace_state=link.trace_state,
                attributes=key_values(link.attributes),
                dropped_attributes_count=link.dropped_attributes,
                flags=link.flags,
            )
            for link in description.links
        ],
        dropped_links_count=description.dropped_links,
        status=Status(code=cast("Status.StatusCode.ValueType", int(code)), message=message),
        flags=description.flags,
    )


def key_values(attributes: Attributes) -> Iterable[KeyValue]:
    """Attributes as OTLP has them, sorted by name."""
    return [KeyValue(key=name, value=_any_value(attributes[name])) for name in sorted(attributes)]


def _any_value(value: Value) -> AnyValue:
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, bytes):
        return AnyValue(bytes_value=value)
    if isinstance(value, list):
        return AnyValue(array_value=ArrayValue(values=[_any_value(item) for item in value]))
    if value is None or isinstance(value, Empty):
        return AnyValue()
    return AnyValue(kvlist_value=KeyValueList(values=key_values(present(value))))
