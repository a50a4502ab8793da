"""Records that nobody should send, in each format that comes in: one finished span each, one thing wrong or strange.

A value stands in the place of the span's attribute `a`.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.codecs.spans import SPAN, T0, TRACE

LATER = T0 + 9_000_000_000
MEGABYTE = 2**20


class Given(NamedTuple):
    """What the record says. Times in ns."""

    value: bytes = b'"x"'
    trace: bytes = TRACE.encode()
    span: bytes = SPAN.encode()
    start_at: int = T0
    end_at: int = LATER
    more: bytes = b""
    """Attributes beside `a`, as the format writes them."""


def native(given: Given) -> bytes:
    """An end that carries its start."""
    return (
        b'{"type":"end","trace_id":"%b","span_id":"%b","name":"upload","start_time_unix_nano":"%d",'
        b'"time_unix_nano":"%d","attributes":{"a":%b%b}}'
    ) % (given.trace, given.span, given.start_at, given.end_at, given.value, given.more)


def otlp_spans(given: Given) -> bytes:
    """A finished span."""
    return (
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"%b","spanId":"%b","name":"upload",'
        b'"startTimeUnixNano":"%d","endTimeUnixNano":"%d","attributes":[{"key":"a","value":%b}%b]}]}]}]}'
    ) % (given.trace, given.span, given.start_at, given.end_at, _any_value(given.value), given.more)


def partial_log(given: Given) -> bytes:
    """A `stop`, with the finished span in its body."""
    body = otlp_spans(given).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return (
        b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"%d","body":{"stringValue":"%b"},'
        b'"attributes":[{"key":"partial.event","value":{"stringValue":"stop"}},'
        b'{"key":"partial.body.type","value":{"stringValue":"json/v1"}}]}]}]}]}'
    ) % (LATER, body)


def zipkin(given: Given) -> bytes:
    """A span with its duration."""
    return b'[{"traceId":"%b","id":"%b","name":"upload","timestamp":%d,"duration":%d,"tags":{"a":%b%b}}]' % (
        given.trace,
        given.span,
        given.start_at // 1000,
        (given.end_at - given.start_at) // 1000,
        given.value,
        given.more,
    )


FORMATS = {"native": native, "otlp_spans": otlp_spans, "partial_log": partial_log, "zipkin": zipkin}


def _any_value(value: bytes) -> bytes:
    kind = {b'"': b"stringValue", b"[": b"arrayValue", b"{": b"kvlistValue"}.get(value[:1], b"intValue")
    return b'{"%b":%b}' % (kind, value)


def many(count: int, form: str) -> bytes:
    """So many attributes more, as this format writes them."""
    if form in {"native", "zipkin"}:
        return b"".join(b',"n%d":"v"' % number for number in range(count))
    return b"".join(b',{"key":"n%d","value":{"stringValue":"v"}}' % number for number in range(count))
