"""Finals read back, from either encoding, into one comparable form: what a collector would take from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass
class Read:
    """One span with all that stands around it."""

    resource: dict[str, Any]
    scope: str
    trace_id: str
    span_id: str
    trace_state: str
    parent_span_id: str
    name: str
    kind: int
    start: int
    end: int
    attributes: dict[str, Any]
    events: list[Any]
    links: list[Any]
    dropped: tuple[int, int, int]
    status: tuple[int, str]


def read_json(data: bytes) -> Read:
    """The span of an OTLP/JSON request."""
    (resource_spans,) = json.loads(data)["resourceSpans"]
    (scope_spans,) = resource_spans["scopeSpans"]
    (span,) = scope_spans["spans"]
    return Read(
        _attributes(resource_spans["resource"]["attributes"]),
        scope_spans["scope"]["name"],
        span["traceId"],
        span["spanId"],
        span.get("traceState", ""),
        span.get("parentSpanId", ""),
        span["name"],
        span.get("kind", 0),
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
        _attributes(span["attributes"]),
        [(int(e["timeUnixNano"]), e["name"], _attributes(e["attributes"])) for e in span.get("events", [])],
        [
            (k["traceId"], k["spanId"], k.get("traceState", ""), _attributes(k["attributes"]))
            for k in span.get("links", [])
        ],
        (span.get("droppedAttributesCount", 0), span.get("droppedEventsCount", 0), span.get("droppedLinksCount", 0)),
        (span["status"].get("code", 0), span["status"].get("message", "")),
    )


def read_proto(data: bytes) -> Read:
    """The span of an OTLP protobuf request."""
    (resource_spans,) = ExportTraceServiceRequest.FromString(data).resource_spans
    (scope_spans,) = resource_spans.scope_spans
    (span,) = scope_spans.spans
    return Read(
        {item.key: _proto_value(item.value) for item in resource_spans.resource.attributes},
        scope_spans.scope.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.trace_state,
        span.parent_span_id.hex(),
        span.name,
        span.kind,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        {item.key: _proto_value(item.value) for item in span.attributes},
        [
            (event.time_unix_nano, event.name, {item.key: _proto_value(item.value) for item in event.attributes})
            for event in span.events
        ],
        [
            (
                link.trace_id.hex(),
                link.span_id.hex(),
                link.trace_state,
                {item.key: _proto_value(item.value) for item in link.attributes},
            )
            for link in span.links
        ],
        (span.dropped_attributes_count, span.dropped_events_count, span.dropped_links_count),
        (span.status.code, span.status.message),
    )


def _attributes(items: list[dict[str, Any]]) -> dict[str, Any]:
    names = [item["key"] for item in items]
    assert names == sorted(set(names))
    return {item["key"]: _json_value(item["value"]) for item in items}


def _json_value(value: dict[str, Any]) -> Any:
    if not value:
        return None
    ((form, content),) = value.items()
    if form == "intValue":
        assert isinstance(content, str)
        return int(content)
    if form == "doubleValue":
        return float(content)
    if form == "arrayValue":
        return [_json_value(item) for item in content["values"]]
    if form == "kvlistValue":
        return _attributes(content["values"])
    assert form in {"stringValue", "boolValue"}
    return content


def _proto_value(value: AnyValue) -> Any:
    form = value.WhichOneof("value")
    if form is None:
        return None
    if form == "array_value":
        return [_proto_value(item) for item in value.array_value.values]
    if form == "kvlist_value":
        return {item.key: _proto_value(item.value) for item in value.kvlist_value.values}
    return getattr(value, form)
