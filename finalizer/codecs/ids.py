"""Trace and span ids: hexadecimal text in any case to bytes. What `bytes.fromhex` forgives (blanks) is refused."""

from __future__ import annotations

from finalizer.codecs.errors import Reason, Unusable
from finalizer.core.model import SpanKey

NO_TRACE = "0" * 32
NO_SPAN = "0" * 16


def span_key(trace_id: str | None, span_id: str | None) -> SpanKey:
    """The span key of 32 and 16 hexadecimal characters. Raises `Unusable`: missing_field, bad_id, zero_id."""
    if trace_id and span_id:
        ids = trace_id + span_id
        try:
            key = bytes.fromhex(ids)
        except ValueError:
            key = b""
        if len(key) * 2 == len(ids) == 48 and len(trace_id) == 32 and trace_id != NO_TRACE and span_id != NO_SPAN:
            return key
    _check("trace_id", trace_id, 32)
    _check("span_id", span_id, 16)
    raise AssertionError("one of the two ids is bad")


def parent_id(parent: str | None) -> str:
    """A parent's span id in lower case; empty where there is none (absent, empty, zero). Raises `Unusable`: bad_id."""
    if not parent or parent == NO_SPAN:
        return ""
    if len(parent) != 16 or not _is_hex(parent):
        raise Unusable(Reason.BAD_ID, f"parent_span_id is not 16 hexadecimal characters: {parent[:40]!r}")
    return parent.lower()


def _check(name: str, value: str | None, size: int) -> None:
    if value is None:
        raise Unusable(Reason.MISSING_FIELD, f"{name} is missing")
    if len(value) != size or not _is_hex(value):
        raise Unusable(Reason.BAD_ID, f"{name} is not {size} hexadecimal characters: {value[:40]!r}")
    if value == "0" * size:
        raise Unusable(Reason.ZERO_ID, f"{name} is zero")


def _is_hex(text: str) -> bool:
    """True for hexadecimal characters and nothing else, an even number of them."""
    try:
        return len(bytes.fromhex(text)) * 2 == len(text)
    except ValueError:
        return False
