"""The shapes of OTLP/JSON as real clients send it: each field in lowerCamelCase or, with `_` behind, in snake_case.

Protobuf's JSON mapping allows both names; Python and the collector write the first, .NET's partial spans the second.
64-bit integers may be strings or numbers, enums numbers or names; a null is as good as absent.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Raw, field

from finalizer.codecs.values import Int64

Count = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
Nanos = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
NO_RAW: Final = Raw()


class JsonValue(msgspec.Struct, gc=False):
    """An `AnyValue`: one of its fields is set, or none."""

    string: str | None = field(name="stringValue", default=None)
    string_: str | None = field(name="string_value", default=None)
    integer: Int64 | None = field(name="intValue", default=None)
    integer_: Int64 | None = field(name="int_value", default=None)
    boolean: bool | None = field(name="boolValue", default=None)
    boolean_: bool | None = field(name="bool_value", default=None)
    double: float | None = field(name="doubleValue", default=None)
    double_: float | None = field(name="double_value", default=None)
    octets: bytes | None = field(name="bytesValue", default=None)
    octets_: bytes | None = field(name="bytes_value", default=None)
    array: JsonArray | None = field(name="arrayValue", default=None)
    array_: JsonArray | None = field(name="array_value", default=None)
    pairs: JsonPairs | None = field(name="kvlistValue", default=None)
    pairs_: JsonPairs | None = field(name="kvlist_value", default=None)


class JsonArray(msgspec.Struct, gc=False):
    """An `ArrayValue`."""

    values: list[JsonValue | None] | None = None


class JsonAttribute(msgspec.Struct, gc=False):
    """A `KeyValue`; early .NET clients wrote a bare string for the value."""

    key: str | None = None
    value: JsonValue | str | None = None


class JsonPairs(msgspec.Struct, gc=False):
    """A `KeyValueList`."""

    values: list[JsonAttribute] | None = None


class JsonEntityRef(msgspec.Struct, gc=False):
    """An `EntityRef`."""

    schema_url: str | None = field(name="schemaUrl", default=None)
    schema_url_: str | None = field(name="schema_url", default=None)
    type: str | None = None
    ids: list[str] | None = field(name="idKeys", default=None)
    ids_: list[str] | None = field(name="id_keys", default=None)
    described: list[str] | None = field(name="descriptionKeys", default=None)
    described_: list[str] | None = field(name="description_keys", default=None)


class JsonResource(msgspec.Struct, gc=False):
    """A `Resource`."""

    attributes: list[JsonAttribute] | None = None
    dropped: Count | None = field(name="droppedAttributesCount", default=None)
    dropped_: Count | None = field(name="dropped_attributes_count", default=None)
    entities: list[JsonEntityRef] | None = field(name="entityRefs", default=None)
    entities_: list[JsonEntityRef] | None = field(name="entity_refs", default=None)


class JsonScope(msgspec.Struct, gc=False):
    """An `InstrumentationScope`."""

    attributes: list[JsonAttribute] | None = None
    dropped: Count | None = field(name="droppedAttributesCount", default=None)
    dropped_: Count | None = field(name="dropped_attributes_count", default=None)
    name: str | None = None
    version: str | None = None


class JsonStatus(msgspec.Struct, gc=False):
    """A `Status`."""

    code: int | str | None = None
    message: str | None = None


class JsonEvent(msgspec.Struct, gc=False):
    """A `Span.Event`."""

    at: Nanos | None = field(name="timeUnixNano", default=None)
    at_: Nanos | None = field(name="time_unix_nano", default=None)
    name: str | None = None
    attributes: list[JsonAttribute] | None = None
    dropped: Count | None = field(name="droppedAttributesCount", default=None)
    dropped_: Count | None = field(name="dropped_attributes_count", default=None)


class JsonLink(msgspec.Struct, gc=False):
    """A `Span.Link`."""

    trace_id: str | None = field(name="traceId", default=None)
    trace_id_: str | None = field(name="trace_id", default=None)
    span_id: str | None = field(name="spanId", default=None)
    span_id_: str | None = field(name="span_id", default=None)
    trace_state: str | None = field(name="traceState", default=None)
    trace_state_: str | None = field(name="trace_state", default=None)
    attributes: list[JsonAttribute] | None = None
    dropped: Count | None = field(name="droppedAttributesCount", default=None)
    dropped_: Count | None = field(name="dropped_attributes_count", default=None)
    flags: Count | None = None


class JsonSpan(msgspec.Struct, gc=False):
    """A `Span`."""

    # In the order in which clients write them: the decoder then finds each field where it looks first.
    trace_id: str | None = field(name="traceId", default=None)
    trace_id_: str | None = field(name="trace_id", default=None)
    span_id: str | None = field(name="spanId", default=None)
    span_id_: str | None = field(name="span_id", default=None)
    trace_state: str | None = field(name="traceState", default=None)
    trace_state_: str | None = field(name="trace_state", default=None)
    parent: str | None = field(name="parentSpanId", default=None)
    parent_: str | None = field(name="parent_span_id", default=None)
    flags: Count | None = None
    name: str | None = None
    kind: int | str | None = None
    start_at: int | None = field(name="startTimeUnixNano", default=None)
    start_at_: int | None = field(name="start_time_unix_nano", default=None)
    end_at: int | None = field(name="endTimeUnixNano", default=None)
    end_at_: int | None = field(name="end_time_unix_nano", default=None)
    attributes: list[JsonAttribute] | None = None
    dropped_attributes: Count | None = field(name="droppedAttributesCount", default=None)
    dropped_attributes_: Count | None = field(name="dropped_attributes_count", default=None)
    events: list[JsonEvent] | None = None
    dropped_events: Count | None = field(name="droppedEventsCount", default=None)
    dropped_events_: Count | None = field(name="dropped_events_count", default=None)
    links: list[JsonLink] | None = None
    dropped_links: Count | None = field(name="droppedLinksCount", default=None)
    dropped_links_: Count | None = field(name="dropped_links_count", default=None)
    status: JsonStatus | None = None


class JsonLog(msgspec.Struct, gc=False):
    """A `LogRecord`, as far as a partial-span log needs it."""

    at: int | None = field(name="timeUnixNano", default=None)
    at_: int | None = field(name="time_unix_nano", default=None)
    observed_at: int | None = field(name="observedTimeUnixNano", default=None)
    observed_at_: int | None = field(name="observed_time_unix_nano", default=None)
    body: JsonValue | None = None
    attributes: list[JsonAttribute] | None = None
    trace_id: str | None = field(name="traceId", default=None)
    trace_id_: str | None = field(name="trace_id", default=None)
    span_id: str | None = field(name="spanId", default=None)
    span_id_: str | None = field(name="span_id", default=None)


class _ScopeSpans(msgspec.Struct, gc=False):
    scope: JsonScope | None = None
    spans: list[JsonSpan] | None = None
    schema_url: str | None = field(name="schemaUrl", default=None)
    schema_url_: str | None = field(name="schema_url", default=None)


class _ResourceSpans(msgspec.Struct, gc=False):
    resource: JsonResource | None = None
    groups: list[_ScopeSpans] | None = field(name="scopeSpans", default=None)
    groups_: list[_ScopeSpans] | None = field(name="scope_spans", default=None)
    schema_url: str | None = field(name="schemaUrl", default=None)
    schema_url_: str | None = field(name="schema_url", default=None)


class JsonTraces(msgspec.Struct, gc=False):
    """A `TracesData`."""

    resources: list[_ResourceSpans] | None = field(name="resourceSpans", default=None)
    resources_: list[_ResourceSpans] | None = field(name="resource_spans", default=None)

    def alone(self) -> tuple[_ResourceSpans, _ScopeSpans, JsonSpan] | None:
        """The span with what stands around it, if there is no other one."""
        resources = self.resources or self.resources_
        if resources is None or len(resources) != 1:
            return None
        (outer,) = resources
        groups = outer.groups or outer.groups_
        if groups is None or len(groups) != 1:
            return None
        (inner,) = groups
        return (outer, inner, inner.spans[0]) if inner.spans is not None and len(inner.spans) == 1 else None


class _ScopeLogs(msgspec.Struct, gc=False):
    items: list[JsonLog] | None = field(name="logRecords", default=None)
    items_: list[JsonLog] | None = field(name="log_records", default=None)


class _ResourceLogs(msgspec.Struct, gc=False):
    resource: Raw = NO_RAW
    groups: list[_ScopeLogs] | None = field(name="scopeLogs", default=None)
    groups_: list[_ScopeLogs] | None = field(name="scope_logs", default=None)


class JsonLogs(msgspec.Struct, gc=False):
    """A `LogsData`, its resources as they stand there."""

    resources: list[_ResourceLogs] | None = field(name="resourceLogs", default=None)
    resources_: list[_ResourceLogs] | None = field(name="resource_logs", default=None)


read_span = msgspec.json.Decoder(JsonSpan, strict=False).decode
read_log = msgspec.json.Decoder(JsonLog, strict=False).decode
read_resource = msgspec.json.Decoder(JsonResource | None, strict=False).decode
read_scope = msgspec.json.Decoder(JsonScope | None, strict=False).decode
read_traces = msgspec.json.Decoder(JsonTraces, strict=False).decode
read_logs = msgspec.json.Decoder(JsonLogs, strict=False).decode
