"""Trace and span ids: random ones, those of an operation, and W3C `traceparent`."""

from __future__ import annotations

import os
from collections import deque
from typing import Final, NamedTuple

from finalizer.client.attributes import text

SAMPLED: Final = 1
MAX_TRACE_STATE: Final = 512
"""Characters of a tracestate that is passed on; a longer one is left out whole (W3C Trace Context, 3.3.1.1)."""
_OPERATION: Final = b"span-finalizer/operation\0"
_HEX: Final = "0123456789abcdef"
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
WORDS: Final = 128
"""Random words of 8 bytes that are drawn together: each draw lets go of the interpreter's lock, and may lose it."""
_words: Final[deque[str]] = deque()
_drawn_by: Final = [0]


class SpanContext(NamedTuple):
    """Which span: what crosses a process boundary. Ids are lower-case hexadecimal, never all zero."""

    trace_id: str
    span_id: str
    trace_flags: int = SAMPLED
    trace_state: str = ""

    @property
    def traceparent(self) -> str:
        """The W3C header that makes another process's spans children of this one."""
        return f"00-{self.trace_id}-{self.span_id}-{self.trace_flags:02x}"


def new_ids() -> tuple[str, str]:
    """A random trace id and a random span id."""
    return new_span_id() + new_span_id(), new_span_id()


def new_span_id() -> str:
    """A random span id."""
    if os.getpid() != _drawn_by[0]:
        _words.clear()  # a fork: these are the parent's
        _drawn_by[0] = os.getpid()
    while True:
        try:
            word = _words.pop()
        except IndexError:
            drawn = os.urandom(8 * WORDS).hex()
            _words.extend(drawn[at : at + 16] for at in range(0, len(drawn), 16))
            continue
        if word != _NO_SPAN:
            return word


def operation_ids(op_id: str) -> tuple[str, str]:
    """Trace and span id of an operation: the same on every machine and in every language (PROTOCOL: operations).

    The first 24 bytes of the SHA-256 of a fixed prefix and the operation's id in UTF-8.
    """
    import hashlib  # noqa: PLC0415 - most spans have random ids

    digest = hashlib.sha256(_OPERATION + op_id.encode("utf-8", "replace")).hexdigest()
    return digest[:32], digest[32:48]


def parse_traceparent(header: object, trace_state: object = None) -> SpanContext | None:
    """The caller's span out of `traceparent` and `tracestate`; None for what is none (W3C Trace Context, 3.2)."""
    version, *fields = text(header, MAX_TRACE_STATE).strip().split("-")
    if len(fields) < 3 or not _is_hex(version, 2) or version == "ff" or (version == "00" and len(fields) != 3):
        return None
    trace_id, span_id, flags = fields[:3]
    if not (_is_hex(trace_id, 32) and _is_hex(span_id, 16) and _is_hex(flags, 2)):
        return None
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    kept = text(trace_state, MAX_TRACE_STATE + 1)
    kept = kept if len(kept) <= MAX_TRACE_STATE else ""
    return SpanContext(trace_id, span_id, int(flags, 16), kept)


def _is_hex(text: str, size: int) -> bool:
    return len(text) == size and not text.strip(_HEX)
