"""OTLP records of a load, in protobuf, as collectors and SDKs send them: made from a template, never field by field.

All that differs between two spans has a fixed length, so a record is its template with a few bytes replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from finalizer.codecs.wire import varint

_TRACE: Final = bytes(range(0xE0, 0xF0))
_SPAN: Final = bytes(range(0xF0, 0xF8))
_BEGAN: Final = 1_234_567_890_123_456_789
_ENDED: Final = 1_345_678_901_234_567_890
"""Stand-ins for what differs; they occur nowhere else in a template."""
_ATTRIBUTES: Final = {"http.request.method": "PUT", "device.model.name": "Pixel 9"}
_RESOURCE: Final = {"service.name": "mobile-app", "service.version": "4.2.0"}
_NAME: Final = "PUT /v1/photos"
_SCOPE: Final = ("mobile.tracing", "2.1.0")


class Template:
    """A record of one span."""

    def __init__(self, record: bytes) -> None:
        self._record = record

    def of(self, trace: bytes, span: bytes, *, began: int, ended: int) -> bytes:
        """The record of a span with these ids (hex) at these times (ns since 1970, nineteen digits)."""
        return (
            self._record.replace(_TRACE.hex().encode(), trace)
            .replace(_SPAN.hex().encode(), span)
            .replace(b"%d" % _BEGAN, b"%d" % began)
            .replace(b"%d" % _ENDED, b"%d" % ended)
            .replace(_TRACE, bytes.fromhex(trace.decode()))
            .replace(_SPAN, bytes.fromhex(span.decode()))
            .replace(_BEGAN.to_bytes(8, "little"), began.to_bytes(8, "little"))
            .replace(_ENDED.to_bytes(8, "little"), ended.to_bytes(8, "little"))
        )


def partial_log(event: str, interval_ms: int) -> Template:
    """A log of a partial-span processor: the whole span in JSON, in a record in protobuf."""
    about = {"partial.event": event, "partial.body.type": "json/v1"}
    if event == "heartbeat":
        about["partial.frequency"] = f"{interval_ms}ms"
    record = (
        _fixed(1, _ENDED)
        + _number(2, 9)
        + _bytes(3, b"INFO")
        + _bytes(5, _bytes(1, json.dumps(_body(ended=event == "stop"), separators=(",", ":")).encode()))
        + _attributes(6, about)
        + _bytes(9, _TRACE)
        + _bytes(10, _SPAN)
        + _fixed(11, _ENDED)
    )
    return Template(_around(_bytes(2, record)))


def finished_span() -> Template:
    """A finished span, for `batch`."""
    return Template(
        _bytes(
            2,
            _bytes(1, _TRACE)
            + _bytes(2, _SPAN)
            + _bytes(5, _NAME.encode())
            + _number(6, 3)
            + _fixed(7, _BEGAN)
            + _fixed(8, _ENDED)
            + _attributes(9, _ATTRIBUTES)
            + _bytes(15, _number(3, 1)),
        )
    )


def batch(spans: Iterable[bytes]) -> bytes:
    """A record of a collector's traces topic."""
    return _around(b"".join(spans))


def _around(inside: bytes) -> bytes:
    name, version = _SCOPE
    scope = _bytes(1, _bytes(1, name.encode()) + _bytes(2, version.encode()))
    return _bytes(1, _bytes(1, _attributes(1, _RESOURCE)) + _bytes(2, scope + inside))


def _body(*, ended: bool) -> dict[str, Any]:
    def attributes(told: dict[str, str]) -> list[dict[str, Any]]:
        return [{"key": key, "value": {"stringValue": value}} for key, value in told.items()]

    span: dict[str, Any] = {
        "traceId": _TRACE.hex(),
        "spanId": _SPAN.hex(),
        "name": _NAME,
        "kind": "SPAN_KIND_CLIENT",
        "startTimeUnixNano": str(_BEGAN),
        "attributes": attributes(_ATTRIBUTES),
        "status": {},
        "flags": 256,
    }
    if ended:
        span |= {"endTimeUnixNano": str(_ENDED), "status": {"code": "STATUS_CODE_OK"}}
    scope = {"name": _SCOPE[0], "version": _SCOPE[1]}
    spans = {"resource": {"attributes": attributes(_RESOURCE)}, "scopeSpans": [{"scope": scope, "spans": [span]}]}
    return {"resourceSpans": [spans]}


def _attributes(field: int, told: dict[str, str]) -> bytes:
    return b"".join(
        _bytes(field, _bytes(1, key.encode()) + _bytes(2, _bytes(1, value.encode()))) for key, value in told.items()
    )


def _bytes(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def _fixed(field: int, value: int) -> bytes:
    return varint(field << 3 | 1) + value.to_bytes(8, "little")


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)
