"""Zipkin v2 JSON (a list of spans, as its Kafka reporters send it) to evidence (RATIONALE: formats in).

A span with a duration is an end that carries its start, one without is a start. Each is put into OTLP's words first, as
a stock collector's Zipkin receiver does it, so that nobody else needs to know where it came from. Its limits: a span
that client and server share (B3's one-span style) has no id of its own and is refused, one without a timestamp tells no
start and is refused as well, and times are whole microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

import msgspec
from msgspec import Raw, field

from finalizer.codecs.carried import NO_RESOURCE
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.json_batch import TOKEN
from finalizer.codecs.json_spans import json_spans
from finalizer.codecs.otlp_ids import key_of_text
from finalizer.codecs.otlp_spans import evidence
from finalizer.codecs.otlp_words import span_kind
from finalizer.codecs.parts import BadPart, Part
from finalizer.codecs.refusal import refusal
from finalizer.core.model import Coordinates

_Micros = Annotated[int, msgspec.Meta(ge=0, le=2**63 // 1000 - 1)]


class _Endpoint(msgspec.Struct, gc=False):
    service: str | None = field(name="serviceName", default=None)
    ipv4: str | None = None
    ipv6: str | None = None
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None


class _Annotation(msgspec.Struct, gc=False):
    timestamp: _Micros
    value: str


class _Span(msgspec.Struct, gc=False):
    trace_id: str = field(name="traceId")
    span_id: str = field(name="id")
    parent: str | None = field(name="parentId", default=None)
    name: str | None = None
    kind: str | None = None
    timestamp: _Micros | None = None
    duration: _Micros | None = None
    local: _Endpoint | None = field(name="localEndpoint", default=None)
    remote: _Endpoint | None = field(name="remoteEndpoint", default=None)
    annotations: list[_Annotation] | None = None
    tags: dict[str, str] | None = None
    shared: bool | None = None


_read = msgspec.json.Decoder(_Span, strict=False).decode
_read_all = msgspec.json.Decoder(list[Raw]).decode
_BETWEEN = b" \t\r\n,"
_OPENS = ((b"[",), (b"{", None))
"""What may open, or not, outside of the list, and between its spans."""
_plain = msgspec.json.Encoder().encode


def decode(value: bytes | None, source: Coordinates) -> list[Part]:
    """The evidence in one record, and what of it could not be used. Raises `Unusable` for the record as a whole."""
    if not value:
        raise Unusable(Reason.EMPTY, "the record has no value")
    if value.lstrip()[:1] != b"[":
        alone = _part(Raw(value), "", source)
        if isinstance(alone, BadPart):
            raise alone.error
        return [alone]
    try:
        spans = _read_all(value)
    except (ValueError, RecursionError) as error:
        spans = _cut(value, error)
    if not spans:
        raise Unusable(Reason.MISSING_FIELD, "there is no span in it")
    return [_part(raw, f"[{number}]", source) for number, raw in enumerate(spans)]


def _cut(data: bytes, error: ValueError | RecursionError) -> list[Raw]:
    """The spans of a list in which one breaks the parser for all. Raises `Unusable` if it is no list of objects."""
    spans: list[Raw] = []
    depth = began = done = 0
    for token in TOKEN.finditer(data):
        text, quote, _, opened, _ = token.groups()
        if depth < 2 and (
            text is not None or opened not in _OPENS[depth] or data[done : token.start()].strip(_BETWEEN)
        ):
            break
        if text is not None:
            if not quote:
                break
            continue
        if opened:
            depth += 1
            began = token.start() if depth == 2 else began
        else:
            depth -= 1
            if depth == 1:
                spans.append(Raw(data[began : token.end()]))
        if depth < 2:
            done = token.end()
        if depth == 0:
            if data[done:].strip():
                break
            return spans
    raise refusal(error)


def _part(raw: Raw, where: str, source: Coordinates) -> Part:
    try:
        data = _plain(_translated(_read(raw)))
        (part,) = json_spans(data, NO_RESOURCE, partial(evidence, source))
    except (ValueError, RecursionError) as error:
        return BadPart(bytes(raw), where, refusal(error))
    return BadPart(bytes(raw), where, part.error) if isinstance(part, BadPart) else part


def _translated(span: _Span) -> dict[str, Any]:
    """A `TracesData` of this one span."""
    if span.shared:
        detail = "shared with its client, whose ids it has: have the server make spans of its own (supportsJoin false)"
        raise Unusable(Reason.BAD_ID, detail)
    if not span.timestamp:
        raise Unusable(Reason.MISSING_FIELD, "timestamp is missing: nobody told when it began")
    tags, start_at = dict(span.tags or {}), span.timestamp * 1000
    key = key_of_text(span.trace_id.rjust(32, "0"), span.span_id).hex()
    scope = tags.pop("otel.scope.name", "") or tags.pop("otel.library.name", "")
    version = tags.pop("otel.scope.version", "") or tags.pop("otel.library.version", "")
    told: dict[str, Any] = {
        "traceId": key[:32],
        "spanId": key[32:],
        "parentSpanId": span.parent,
        "traceState": tags.pop("w3c.tracestate", None),
        "name": span.name,
        "kind": span_kind(span.kind or tags.pop("span.kind", None)),
        "startTimeUnixNano": start_at,
        "endTimeUnixNano": None if span.duration is None else start_at + span.duration * 1000,
        "status": _status(tags),
        "events": [{"timeUnixNano": one.timestamp * 1000, "name": one.value} for one in span.annotations or ()],
    }
    told["attributes"] = _attributes(tags | _place(span.remote, "net.peer", "peer.service"))
    resource = _attributes(_place(span.local, "net.host", "service.name"))
    spans = [{name: value for name, value in told.items() if value}]
    inner = {"scope": {"name": scope, "version": version}, "spans": spans}
    return {"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [inner]}]}


def _status(tags: dict[str, str]) -> dict[str, Any] | None:
    code, message = tags.pop("otel.status_code", ""), tags.pop("otel.status_description", "")
    if code:
        return {"code": code, "message": message}
    error = tags.get("error")
    return None if error is None else {"code": "error", "message": "" if error == "true" else error}


def _place(endpoint: _Endpoint | None, prefix: str, service: str) -> dict[str, str | int]:
    if endpoint is None:
        return {}
    address = endpoint.ipv4 or endpoint.ipv6
    found = {service: endpoint.service, f"{prefix}.ip": address, f"{prefix}.port": endpoint.port}
    return {name: value for name, value in found.items() if value}


def _attributes(told: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [
        {"key": name, "value": {"stringValue": value} if isinstance(value, str) else {"intValue": value}}
        for name, value in told.items()
    ]
