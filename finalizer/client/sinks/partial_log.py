"""Events as partial-span logs: OTLP logs whose body is the span so far, as span processors of OpenTelemetry send them.

For roads with a collector. Each log stands alone, so it holds the whole span.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from finalizer.client.attributes import Value
from finalizer.client.buffer import END, HEARTBEAT, START
from finalizer.client.events import Record, dumps
from finalizer.client.pace import in_slices

SCOPE: Final = "finalizer.client"
REASON: Final = "finalizer.client.reason"
"""Attribute that tells why an end was told: the dialect has no word for it."""
_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_CODES: Final = {"ok": 1, "error": 2}
_COUNTS: Final = {
    "otel.dropped_attributes_count": "droppedAttributesCount",
    "otel.dropped_events_count": "droppedEventsCount",
    "otel.dropped_links_count": "droppedLinksCount",
}
"""What a native event has attributes for (OpenTelemetry: exporters of other formats), and OTLP has fields for."""


def logs_of(records: Sequence[Record]) -> bytes:
    """An OTLP/JSON `ExportLogsServiceRequest` of these records; empty if the dialect can say nothing of them.

    It has no word for pauses, nor for the start of a span that does not beat: a heartbeat would be taken for a promise.
    """
    found = [json.loads(one.value) for one in in_slices(records) if one.kind in (START, HEARTBEAT, END)]
    found = [told for told in found if told["type"] == END or "heartbeat_interval_ms" in told]
    if not found:
        return b""
    owned: dict[str, list[dict[str, Any]]] = {}
    for told in found:
        owned.setdefault(dumps(told.get("resource", {})), []).append(told)
    return f'{{"resourceLogs":[{",".join(_resource_logs(all_told) for all_told in owned.values())}]}}'.encode()


def _resource_logs(found: Sequence[Mapping[str, Any]]) -> str:
    resource = dumps({"attributes": _attributes(found[0].get("resource", {}))})
    scope = dumps({"name": SCOPE})
    logs = ",".join(dumps(_log(told)) for told in in_slices(found))  # all at once would be one long call
    return f'{{"resource":{resource},"scopeLogs":[{{"scope":{scope},"logRecords":[{logs}]}}]}}'


def _log(told: Mapping[str, Any]) -> dict[str, Any]:
    is_over = told["type"] == END
    words = {"partial.event": "stop" if is_over else "heartbeat", "partial.body.type": "json/v1"}
    if "heartbeat_interval_ms" in told:
        words["partial.frequency"] = f"{told['heartbeat_interval_ms']}ms"
    return {
        "timeUnixNano": told["time_unix_nano"],
        "observedTimeUnixNano": told["time_unix_nano"],
        "severityNumber": 9,
        "traceId": told["trace_id"],
        "spanId": told["span_id"],
        "body": {"stringValue": dumps(_traces(told, is_over=is_over))},
        "attributes": _attributes(words),
    }


def _traces(told: Mapping[str, Any], *, is_over: bool) -> dict[str, Any]:
    attributes = dict(told.get("attributes", {}))
    if "reason" in told:
        attributes[REASON] = told["reason"]
    scope = {"name": attributes.pop("otel.scope.name", SCOPE), "version": attributes.pop("otel.scope.version", "")}
    counts = {field: attributes.pop(name) for name, field in _COUNTS.items() if name in attributes}
    status = told.get("status", {})
    span = {
        "traceId": told["trace_id"],
        "spanId": told["span_id"],
        "parentSpanId": told.get("parent_span_id", ""),
        "traceState": told.get("trace_state", ""),
        "name": told["name"],
        "kind": _KINDS.get(told.get("kind", ""), 0),
        "startTimeUnixNano": told.get("start_time_unix_nano", told["time_unix_nano"]),
        "endTimeUnixNano": told["time_unix_nano"] if is_over else "0",
        "attributes": _attributes(attributes),
        "links": [_link(link) for link in told.get("links", ())],
        "events": [_event(event) for event in told.get("events", ())],
        "status": {"code": _CODES.get(status.get("code", ""), 0), "message": status.get("message", "")},
        **counts,
    }
    resource = {"attributes": _attributes(told.get("resource", {}))}
    scope_spans = [{"scope": scope, "spans": [span]}]
    return {"resourceSpans": [{"resource": resource, "scopeSpans": scope_spans}]}


def _link(link: Mapping[str, Any]) -> dict[str, Any]:
    attributes = _attributes(link.get("attributes", {}))
    state = link.get("trace_state", "")
    return {"traceId": link["trace_id"], "spanId": link["span_id"], "traceState": state, "attributes": attributes}


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    attributes = _attributes(event.get("attributes", {}))
    return {"timeUnixNano": event["time_unix_nano"], "name": event["name"], "attributes": attributes}


def _attributes(given: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any(value)} for key, value in given.items()]


def _any(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case str():
            return {"stringValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": _all(value)}}
        case dict():
            return {"kvlistValue": {"values": _attributes(value)}}


def _all(values: Iterable[Value]) -> list[dict[str, Any]]:
    return [_any(value) for value in values]
