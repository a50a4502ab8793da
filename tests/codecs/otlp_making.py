"""OTLP batches as real clients write them, made from protobuf messages: the message is what each dialect must mean."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from finalizer.codecs.verdict import PREFIX
from finalizer.core.model import Coordinates
from finalizer.core.terms import SECOND
from tests.codecs.spans import SPAN, T0, TRACE

SOURCE = Coordinates("otlp", 1, 77, T0 + 120_000_000)
IDS = {"traceId", "spanId", "parentSpanId"}
PARENT = "d6ffe16bd5b6a3c1"
_DOTNET_CODES = {0: "StatusCodeUnset", 1: "StatusCodeOk", 2: "StatusCodeError"}
Dialect = Callable[[Message], bytes]


def any_value(value: Any) -> AnyValue:
    """A plain value as OTLP has it; None is the empty value."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=map(any_value, value)))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=key_values(value)))
        case _:
            return AnyValue()


def key_values(attributes: dict[str, Any]) -> list[KeyValue]:
    """Attributes as OTLP has them."""
    return [KeyValue(key=name, value=any_value(value)) for name, value in attributes.items()]


def span(*, attributes: dict[str, Any] | None = None, **fields: Any) -> Span:
    """A span named upload that started at T0 and has not ended."""
    given = {
        "trace_id": bytes.fromhex(TRACE),
        "span_id": bytes.fromhex(SPAN),
        "name": "upload",
        "kind": Span.SPAN_KIND_CLIENT,
        "start_time_unix_nano": T0,
        "attributes": key_values({"http.route": "/v1/photos"} if attributes is None else attributes),
        **fields,
    }
    return Span(**{name: value for name, value in given.items() if value is not None})


def ended(**fields: Any) -> Span:
    """The same span, ended nine seconds later."""
    return span(**{"end_time_unix_nano": T0 + 9 * SECOND, **fields})


def full() -> Span:
    """An ended span that has everything a span can have."""
    attributes = {
        "text": "ü",
        "yes": True,
        "number": -5,
        "ratio": 0.25,
        "octets": b"\x00\xff",
        "list": ["a", 1, None],
        "map": {"b": b"x", "a": [1.5, {"deep": False}]},
        "none": None,
    }
    event = Span.Event(time_unix_nano=T0 + 2, name="e", attributes=key_values({"n": 1}), dropped_attributes_count=1)
    link = Span.Link(
        trace_id=b"L" * 16,
        span_id=b"l" * 8,
        trace_state="k=v",
        attributes=key_values({"n": 2}),
        dropped_attributes_count=2,
        flags=0x301,
    )
    return ended(
        attributes=attributes,
        trace_state="a=b",
        parent_span_id=bytes.fromhex(PARENT),
        flags=0x101,
        dropped_attributes_count=3,
        events=[event, Span.Event(time_unix_nano=T0 + 1, name="earlier")],
        dropped_events_count=4,
        links=[link, Span.Link(trace_id=b"A" * 16, span_id=b"a" * 8)],
        dropped_links_count=5,
        status={"code": 2, "message": "disk full"},
    )


def traces(*spans: Span, resource: dict[str, Any] | None = None, **around: Any) -> TracesData:
    """A batch of these spans, of one resource and scope."""
    batch = TracesData()
    outer = batch.resource_spans.add(schema_url=around.get("resource_url", ""))
    outer.resource.attributes.extend(key_values({"service.name": "app"} if resource is None else resource))
    outer.resource.dropped_attributes_count = around.get("resource_dropped", 0)
    outer.resource.entity_refs.extend(around.get("entities", ()))
    inner = outer.scope_spans.add(spans=spans, schema_url=around.get("scope_url", ""))
    inner.scope.name, inner.scope.version = around.get("scope", "lib"), around.get("version", "")
    inner.scope.attributes.extend(key_values(around.get("scope_attributes", {})))
    inner.scope.dropped_attributes_count = around.get("scope_dropped", 0)
    return batch


def log(
    body: str | bytes | None, *, event: str | None = "heartbeat", at: int = T0 + 5 * SECOND, **told: Any
) -> LogRecord:
    """A partial-span log; `told` are its attributes under `partial.`: `frequency`, `body_type`."""
    given = {"event": event, "frequency": "5000ms", **{name.replace("_", "."): value for name, value in told.items()}}
    attributes = {f"partial.{name}": value for name, value in given.items() if value is not None}
    record = LogRecord(
        time_unix_nano=at,
        trace_id=bytes.fromhex(TRACE),
        span_id=bytes.fromhex(SPAN),
        severity_text="INFO",
        attributes=key_values(attributes),
    )
    if body is not None:
        record.body.CopyFrom(any_value(body))
    return record


def proto_log(batch: TracesData, **told: Any) -> LogRecord:
    """A log whose body is protobuf in base64, as earlier partial processors write it."""
    return log(base64.b64encode(batch.SerializeToString()).decode(), **told)


def json_log(batch: TracesData, dialect: Dialect | None = None, **told: Any) -> LogRecord:
    """A log whose body is JSON."""
    return log((dialect or python_json)(batch).decode(), body_type="json/v1", **told)


def logs(*records: LogRecord, resource: dict[str, Any] | None = None) -> LogsData:
    """A batch of these logs, of one resource."""
    batch = LogsData()
    outer = batch.resource_logs.add(resource=Resource(attributes=key_values(resource or {})))
    outer.scope_logs.add(log_records=records)
    return batch


def strict_json(message: Message) -> bytes:
    """OTLP/JSON as a collector writes it: hexadecimal ids, numbers for enums, 64 bits as strings."""
    made = json_format.MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(_with_ids(made, lambda text: base64.b64decode(text).hex())).encode()


def python_json(message: Message) -> bytes:
    """As Python's partial spans have it: names for enums, ids in hexadecimal but for those of links, in base64."""
    made = json_format.MessageToDict(message)
    return json.dumps(_with_ids(made, lambda text: base64.b64decode(text).hex(), links=False)).encode()


def base64_json(message: Message) -> bytes:
    """As protobuf's own JSON mapping has it: all ids in base64."""
    return json_format.MessageToJson(message).encode()


def dotnet_json(message: Message) -> bytes:
    """As .NET's partial spans have it: snake_case, 64 bits as numbers, nulls, and zeros for the parent of a root."""
    made = json_format.MessageToDict(message, preserving_proto_field_name=True, use_integers_for_enums=True)
    made = _with_ids(made, lambda text: base64.b64decode(text).hex(), names={"trace_id", "span_id", "parent_span_id"})
    for outer in made.get("resource_spans", ()):
        for inner in outer["scope_spans"]:
            inner.setdefault("schema_url", None)
            for one in inner["spans"]:
                one.setdefault("parent_span_id", "0" * 16)
                one.setdefault("end_time_unix_nano", None)
                told = one.setdefault("status", {})
                told.setdefault("message", None)
                told["code"] = _DOTNET_CODES.get(told.get("code", 0), told.get("code"))
    return re.sub(rb'(_nano": |int_value": )"(-?[0-9]+)"', rb"\1\2", json.dumps(made).encode())


def to_message(data: bytes) -> ExportTraceServiceRequest:
    """What strict OTLP/JSON means; anything else is refused."""
    made = _with_ids(json.loads(data), lambda text: base64.b64encode(bytes.fromhex(text)).decode())
    return json_format.ParseDict(made, ExportTraceServiceRequest())


def theirs(request: ExportTraceServiceRequest | TracesData) -> TracesData:
    """A batch without our own attributes, with all attributes in one order: what must survive from input to final."""
    batch = TracesData.FromString(request.SerializeToString())
    for outer in batch.resource_spans:
        _sort(outer.resource.attributes)
        for inner in outer.scope_spans:
            _sort(inner.scope.attributes)
            for one in inner.spans:
                for number in reversed(range(len(one.attributes))):
                    if one.attributes[number].key.startswith(PREFIX):
                        del one.attributes[number]
                _sort(one.attributes)
                for event in one.events:
                    _sort(event.attributes)
                for link in one.links:
                    _sort(link.attributes)
    return batch


def _sort(attributes: Any) -> None:
    attributes.sort(key=lambda item: item.key)
    for item in attributes:
        _sort_within(item.value)


def _sort_within(value: AnyValue) -> None:
    if value.HasField("kvlist_value"):
        _sort(value.kvlist_value.values)
    for item in value.array_value.values if value.HasField("array_value") else ():
        _sort_within(item)


def _with_ids(
    made: Any, change: Callable[[str], str], *, names: Iterable[str] = frozenset(IDS), links: bool = True
) -> Any:
    if isinstance(made, list):
        return [_with_ids(item, change, names=names, links=links) for item in made]
    if not isinstance(made, dict):
        return made
    return {
        name: change(value)
        if name in names
        else value
        if name == "links" and not links
        else _with_ids(value, change, names=names, links=links)
        for name, value in made.items()
    }
