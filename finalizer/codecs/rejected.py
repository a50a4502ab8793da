"""Unusable input on its way to the rejected topic: the record byte for byte, and why, in headers.

The error headers are those of Kafka Connect's dead-letter queues (KIP-298), as text, so that tools made for these work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from finalizer.codecs.errors import Reason
from finalizer.codecs.record_headers import Header
from finalizer.core.model import Evidence

_CONNECT: Final = "__connect.errors."


class Original:
    """Re-keyed evidence as the record that it came in: what is left of it."""

    __slots__ = ("headers", "key", "offset", "timestamp", "value")

    def __init__(self, evidence: Evidence, key: bytes | None, value: bytes | None) -> None:
        source, body = evidence.source, evidence.body
        self.offset = source.offset
        self.timestamp = source.heard_at // 1_000_000
        self.key = key
        self.value = value if body is None else body.data
        self.headers: list[Header] = []


def rejected_headers(
    original: Iterable[Header],
    *,
    topic: str,
    partition: int,
    offset: int,
    reason: Reason,
    detail: str,
    stage: str,
    exception_class: str,
) -> list[Header]:
    """The original headers, byte for byte, then ours. A header that the record brought along is never said again.

    `topic`, `partition` and `offset` are where the record was read; `stage` is what we were doing with it.
    """
    headers = list(original)
    known = {name for name, _ in headers}
    ours = {
        "dlq.reason": reason.value,
        "dlq.detail": detail,
        f"{_CONNECT}topic": topic,
        f"{_CONNECT}partition": str(partition),
        f"{_CONNECT}offset": str(offset),
        f"{_CONNECT}stage": stage,
        f"{_CONNECT}exception.class.name": exception_class,
        f"{_CONNECT}exception.message": f"{reason.value}: {detail}",
    }
    headers += [(name, text.encode(errors="backslashreplace")) for name, text in ours.items() if name not in known]
    return headers


def fit(value: bytes | None, max_bytes: int) -> tuple[bytes | None, list[Header]]:
    """The value, or its first `max_bytes` bytes and a header that says how large it was."""
    if value is None or len(value) <= max_bytes:
        return value, []
    return value[:max_bytes], [("dlq.truncated", b"%d" % len(value))]
