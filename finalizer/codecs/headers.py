"""Kafka headers of a final: what a reader may want before it parses, and what may not stand in the payload.

The moment of detection and the place of the last evidence depend on when and where we were told; the payload does not.
"""

from __future__ import annotations

from binascii import hexlify
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

from finalizer.codecs.verdict import cause_word, facts_of
from finalizer.core import model
from finalizer.core.causes import Cause

Header = tuple[str, Any]
"""Name and value of a Kafka header: bytes, and of a stranger's record a null as well."""


def final_id(final: model.Final) -> str:
    """32 hexadecimal characters, from (span key, presumed or reported, revision): a repeated final has the same."""
    return _id(final).decode()


def final_headers(final: model.Final, content_type: str) -> list[Header]:
    """The headers of a final."""
    closed, key = final.closed, final.key
    ids = hexlify(key)
    last = closed.last
    content, cause, revision, topic, partition, kind = _constant(
        content_type, closed.cause, closed.revision, last.topic, last.partition
    )
    return [
        content,
        ("span-finalizer-id", _id_of(final, kind)),
        cause,
        revision,
        _detected(closed.detected_at),
        topic,
        partition,
        ("span-finalizer-source-offset", str(last.offset).encode()),
        ("traceparent", b"00-" + ids[:32] + b"-" + ids[32:] + b"-01"),
    ]


def letter_headers(final: model.Final, *, kind: str) -> list[Header]:
    """The headers of a dead letter."""
    content, what, cause = _letter_constant(kind, final.closed.cause)
    return [content, what, ("span-finalizer-id", _id(final)), cause]


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
def _detected_at(moment: int) -> Header:
    """All finals that are decided together are detected together."""
    return ("span-finalizer-detected-at", b"%d" % moment)


_detected: Final = _detected_at
_kind: Final = _kind_of


@lru_cache(maxsize=4096)
def _constant(
    content_type: str, cause: Cause | None, revision: int, topic: str, partition: int
) -> tuple[Header, Header, Header, Header, Header, bytes]:
    """Those headers that are the same for very many finals, and what their ids have in common."""
    return (
        ("content-type", content_type.encode()),
        ("span-finalizer-cause", cause_word(cause).encode()),
        ("span-finalizer-revision", b"%d" % revision),
        ("span-finalizer-source-topic", topic.encode()),
        ("span-finalizer-source-partition", b"%d" % partition),
        _kind(cause, revision),
    )


@lru_cache(maxsize=64)
def _letter_headers(kind: str, cause: Cause | None) -> tuple[Header, Header, Header]:
    return (
        ("content-type", b"application/json"),
        ("dlq.kind", kind.encode()),
        ("span-finalizer-cause", cause_word(cause).encode()),
    )


_letter_constant: Final = _letter_headers
