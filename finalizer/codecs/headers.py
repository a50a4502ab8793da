"""Kafka headers of a final: what a reader may want before it parses, and what may not stand in the payload.

The moment of detection and the place of the last evidence depend on when and where we were told; the payload does not.
"""

from __future__ import annotations

from binascii import hexlify
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from finalizer.codecs.record_headers import Rendered, content, header, number
from finalizer.codecs.verdict import cause_word, facts_of
from finalizer.core import model
from finalizer.core.causes import Cause

_ID: Final = header("span-finalizer-id", b"0" * 32).removesuffix(b"0" * 32)
_TRACEPARENT: Final = header("traceparent", b"0" * 55).removesuffix(b"0" * 55)
"""Headers up to their values, which are all of one length."""
_OFFSET: Final = content(b"span-finalizer-source-offset")


def final_id(final: model.Final) -> str:
    """32 hexadecimal characters, from (span key, presumed or reported, revision): a repeated final has the same."""
    return _id(final).decode()


def final_headers(final: model.Final, content_type: str) -> Rendered:
    """The headers of a final."""
    closed = final.closed
    last, ids = closed.last, hexlify(final.key)
    what, verdict, source, kind = _constant(content_type, closed.cause, closed.revision, last.topic, last.partition)
    offset = str(last.offset).encode()
    pieces = [what, _id_of(final, kind), verdict, _detected(closed.detected_at), source, number(len(offset)), offset]
    pieces += [_TRACEPARENT, b"00-", ids[:32], b"-", ids[32:], b"-01"]
    return Rendered(9, b"".join(pieces))


def letter_headers(final: model.Final, *, kind: str) -> Rendered:
    """The headers of a dead letter."""
    what, cause = _letter_constant(kind, final.closed.cause)
    return Rendered(4, b"".join([what, _id(final), cause]))


_blank: Final = blake2b(digest_size=16)


class _Latest:
    """The final whose id was made last, and that: the final, its letter and that one's headers have the same."""

    __slots__ = ("final", "made")

    def __init__(self) -> None:
        self.final: model.Final | None = None
        self.made = b""


_latest: Final = _Latest()


def _id(final: model.Final) -> bytes:
    if final is _latest.final:
        return _latest.made
    return _id_of(final, _kind(final.closed.cause, final.closed.revision))


def _id_of(final: model.Final, kind: bytes) -> bytes:
    hashing = _blank.copy()  # cheaper than a new one, which looks at a dozen settings
    hashing.update(final.key + kind)
    _latest.final, _latest.made = final, hexlify(hashing.digest())
    return _latest.made


@lru_cache(maxsize=64)
def _kind_of(cause: Cause | None, revision: int) -> bytes:
    return b"%b%d" % (b"reported" if facts_of(cause).reported else b"presumed", revision)


@lru_cache(maxsize=64)
def _detected_at(moment: int) -> bytes:
    """All finals that are decided together are detected together."""
    return header("span-finalizer-detected-at", b"%d" % moment)


_detected: Final = _detected_at
_kind: Final = _kind_of


@lru_cache(maxsize=4096)
def _constant(
    content_type: str, cause: Cause | None, revision: int, topic: str, partition: int
) -> tuple[bytes, bytes, bytes, bytes]:
    """Those headers that are the same for very many finals, up to the next that is not; and what their ids have in
    common."""
    return (
        header("content-type", content_type.encode()) + _ID,
        header("span-finalizer-cause", cause_word(cause).encode())
        + header("span-finalizer-revision", b"%d" % revision),
        header("span-finalizer-source-topic", topic.encode())
        + header("span-finalizer-source-partition", b"%d" % partition)
        + _OFFSET,
        _kind(cause, revision),
    )


@lru_cache(maxsize=64)
def _letter_headers(kind: str, cause: Cause | None) -> tuple[bytes, bytes]:
    return (
        header("content-type", b"application/json") + header("dlq.kind", kind.encode()) + _ID,
        header("span-finalizer-cause", cause_word(cause).encode()),
    )


_letter_constant: Final = _letter_headers
