"""Unusable input on its way to the rejected topic: the record byte for byte, and why, in headers.

The error headers are those of Kafka Connect's dead-letter queues (KIP-298), as text, so that tools made for these work.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from finalizer.codecs.errors import Reason

Header = tuple[str, bytes]
_CONNECT: Final = "__connect.errors."


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
