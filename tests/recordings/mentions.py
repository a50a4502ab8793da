"""Which spans a record speaks of, read as plainly as can be, and by none of the project's own codecs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.recordings.reading import Record


class Mention(NamedTuple):
    """A span that is told of: that it is open, at `at` (ns), or that it has ended, at `at`."""

    trace_id: str
    span_id: str
    ended: bool
    at: int


def mentions(record: Record) -> list[Mention]:
    """All spans of a record, in their order."""
    is_json = record.value.startswith(b"{")
    if record.topic == "otlp_logs":
        return list(_logs_json(record.value) if is_json else _logs_proto(record.value))
    return list(_spans_json(json.loads(record.value)) if is_json else _spans_proto(record.value))


def _logs_json(value: bytes) -> Iterator[Mention]:
    for resource in json.loads(value)["resourceLogs"]:
        for scope in resource["scopeLogs"]:
            for log in scope["logRecords"]:
                told = {one["key"]: one["value"]["stringValue"] for one in log["attributes"]}
                yield from _body(log["body"]["stringValue"], told, int(log["timeUnixNano"]))


def _logs_proto(value: bytes) -> Iterator[Mention]:
    for resource in ExportLogsServiceRequest.FromString(value).resource_logs:
        for scope in resource.scope_logs:
            for log in scope.log_records:
                told = {one.key: one.value.string_value for one in log.attributes}
                yield from _body(log.body.string_value, told, log.time_unix_nano)


def _body(body: str, told: dict[str, str], at: int) -> Iterator[Mention]:
    """The spans of a log's body; the log says whether they have ended, and when it was that they had not."""
    spans = (
        _spans_json(json.loads(body))
        if told.get("partial.body.type", "proto").startswith("json")
        else _spans_proto(base64.b64decode(body, validate=True))
    )
    ended = told["partial.event"] == "stop"
    for one in spans:
        yield one if ended else one._replace(ended=False, at=at)


def _spans_json(content: Any) -> Iterator[Mention]:
    """Of TracesData as JSON, in camelCase or snake_case."""
    for resource in _get(content, "resourceSpans"):
        for scope in _get(resource, "scopeSpans"):
            for span in _get(scope, "spans"):
                told = {one["key"]: one["value"] for one in _get(span, "attributes")}
                pending = told.get("logfire.span_type") == {"stringValue": "pending_span"}
                at = int(_get(span, "endTimeUnixNano") or 0)
                span_id = str(_get(span, "parentSpanId" if pending else "spanId"))
                yield Mention(str(_get(span, "traceId")), span_id, not pending, at)


def _spans_proto(value: bytes) -> Iterator[Mention]:
    for resource in ExportTraceServiceRequest.FromString(value).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                pending = KeyValue(key="logfire.span_type") in _names(span.attributes, "pending_span")
                span_id = span.parent_span_id if pending else span.span_id
                yield Mention(span.trace_id.hex(), span_id.hex(), not pending, span.end_time_unix_nano)


def _names(attributes: Any, value: str) -> list[KeyValue]:
    """The attributes with this value, by name alone."""
    return [KeyValue(key=one.key) for one in attributes if one.value.string_value == value]


def _get(content: Any, name: str) -> Any:
    """A field by its camelCase name, however it is written; an empty list where there is none."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return content.get(name, content.get(snake, []))
