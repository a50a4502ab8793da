"""Ids as OTLP clients write them: hexadecimal (the rule of OTLP/JSON) or base64 (what protobuf's JSON mapping makes).

The length tells which: 32 and 16 characters are hexadecimal, 24 and 12 are base64. Python's partial spans have both in
one record: its spans' ids are hexadecimal, those of links are base64.
"""

from __future__ import annotations

from binascii import a2b_base64
from typing import Final

from finalizer.codecs.errors import Reason, Unusable
from finalizer.core.model import SpanKey

TRACE_BYTES: Final = 16
SPAN_BYTES: Final = 8
_ZEROS: Final = bytes(TRACE_BYTES)
_SPAN_ZEROS: Final = bytes(SPAN_BYTES)
_from_hex = bytes.fromhex
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


def key_of_text(trace_id: str | None, span_id: str | None) -> SpanKey:
    """The span key of two ids in text. Raises `Unusable`: missing_field, bad_id, zero_id."""
    if trace_id and span_id and len(trace_id) == 32 and len(span_id) == 16:
        try:
            key = _from_hex(trace_id + span_id)
        except ValueError:
            key = b""
        if len(key) == 24 and trace_id != _NO_TRACE and span_id != _NO_SPAN:
            return key
    return key_of_bytes(_id(trace_id, TRACE_BYTES, "traceId"), _id(span_id, SPAN_BYTES, "spanId"))


def key_of_bytes(trace_id: bytes, span_id: bytes) -> SpanKey:
    """The span key of two ids in bytes. Raises `Unusable`: missing_field, bad_id, zero_id."""
    if len(trace_id) == TRACE_BYTES and len(span_id) == SPAN_BYTES and trace_id != _ZEROS and span_id != _SPAN_ZEROS:
        return trace_id + span_id
    for name, value, size in (("traceId", trace_id, TRACE_BYTES), ("spanId", span_id, SPAN_BYTES)):
        if not value:
            raise Unusable(Reason.MISSING_FIELD, f"{name} is missing")
        if len(value) != size:
            raise Unusable(Reason.BAD_ID, f"{name} has {len(value)} bytes, not {size}")
        if not any(value):
            raise Unusable(Reason.ZERO_ID, f"{name} is zero")
    raise AssertionError("one of the two ids is bad")


def check_parent(parent: str) -> None:
    """Refuse what `parent_of_text` cannot read. Raises `Unusable`: bad_id."""
    try:
        if len(parent) == 16 and len(_from_hex(parent)) == SPAN_BYTES:
            return
    except ValueError:
        pass
    parent_of_text(parent)


def parent_of_text(parent: str | None) -> str:
    """A parent's span id in lower-case hexadecimal; empty where there is none (absent, empty, zero)."""
    if not parent or parent == _NO_SPAN:
        return ""
    return parent_of_bytes(_id(parent, SPAN_BYTES, "parentSpanId"))


def parent_of_bytes(parent: bytes) -> str:
    """The same of an id in bytes. Raises `Unusable`: bad_id."""
    if len(parent) not in (0, SPAN_BYTES):
        raise Unusable(Reason.BAD_ID, f"parentSpanId has {len(parent)} bytes, not {SPAN_BYTES}")
    return parent.hex() if any(parent) else ""


def linked_of_text(text: str | None, size: int) -> str:
    """An id in a link, in lower-case hexadecimal. Zero or empty ids are what a link without a target has."""
    return linked_of_bytes(_id(text, size, "an id in links"), size)


def linked_of_bytes(value: bytes, size: int) -> str:
    """The same of an id in bytes. Raises `Unusable`: bad_id."""
    if len(value) not in (0, size):
        raise Unusable(Reason.BAD_ID, f"an id in links has {len(value)} bytes, not {size}")
    return value.hex()


def _id(text: str | None, size: int, name: str) -> bytes:
    """The bytes of an id, hexadecimal or base64 by its length; none where there is none."""
    if not text:
        return b""
    try:
        value = bytes.fromhex(text) if len(text) == 2 * size else a2b_base64(text, strict_mode=True)
    except ValueError:
        value = b""
    if len(value) != size:
        raise Unusable(Reason.BAD_ID, f"{name} is neither {2 * size} hexadecimal characters nor base64: {text[:40]!r}")
    return value
