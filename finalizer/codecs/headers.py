"""Kafka headers of a final: what a reader may want before it parses, and what may not stand in the payload.

The moment of detection and the place of the last evidence depend on when and where we were told; the payload does not.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b

from finalizer.codecs.verdict import cause_word, facts_of
from finalizer.core.causes import Cause
from finalizer.core.model import Final

Header = tuple[str, bytes]


def final_id(final: Final) -> str:
    """32 hexadecimal characters, from (span key, presumed or reported, revision): a repeated final has the same."""
    closed = final.closed
    kind = b"reported" if facts_of(closed.cause).reported else b"presumed"
    return blake2b(b"%b%b%d" % (final.key, kind, closed.revision), digest_size=16).hexdigest()


def final_headers(final: Final, content_type: str) -> list[Header]:
    """The headers of a final."""
    closed = final.closed
    last, ids = closed.last, final.key.hex()
    kind, cause, revision, topic, partition = _constant(
        content_type, closed.cause, closed.revision, last.topic, last.partition
    )
    return [
        kind,
        ("span-finalizer-id", final_id(final).encode()),
        cause,
        revision,
        ("span-finalizer-detected-at", b"%d" % closed.detected_at),
        topic,
        partition,
        ("span-finalizer-source-offset", b"%d" % last.offset),
        ("traceparent", f"00-{ids[:32]}-{ids[32:]}-01".encode()),
    ]


@lru_cache(maxsize=4096)
def _constant(content_type: str, cause: Cause | None, revision: int, topic: str, partition: int) -> tuple[Header, ...]:
    """Those headers that are the same for very many finals."""
    return (
        ("content-type", content_type.encode()),
        ("span-finalizer-cause", cause_word(cause).encode()),
        ("span-finalizer-revision", b"%d" % revision),
        ("span-finalizer-source-topic", topic.encode()),
        ("span-finalizer-source-partition", b"%d" % partition),
    )
