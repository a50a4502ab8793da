"""Attributes by which a span that looks finished says that it is not (RATIONALE: formats in).

- Logfire sends a *pending span* as each span starts: an extra span, with an id of its own and no length. Its parent is
  the real span, and `logfire.pending_parent_id` (16 hexadecimal characters, zeros for a root) the real span's parent.
- Datadog's tracers send a span that runs long as it is by then, with `_dd.partial_version` above 0.

The marks are taken off, so that what remains describes the real span, and does not pass for a part of it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.otlp_ids import parent_of_text
from finalizer.codecs.values import Attributes

SPAN_TYPE: Final = "logfire.span_type"
PENDING_PARENT: Final = "logfire.pending_parent_id"
PARTIAL_VERSION: Final = "_dd.partial_version"
REAL: Final = "span"
"""What `logfire.span_type` says of the real span."""
NAME_SUFFIX: Final = " (pending)"
"""What earlier releases of Logfire put behind the name."""
_PENDING, _VERSION = b"pending_span", PARTIAL_VERSION.encode()


class Mark(Enum):
    """What such a span is."""

    PENDING = "pending"
    """The start of its parent."""
    SNAPSHOT = "snapshot"
    """A heartbeat: the span as it is now."""


DROPPED: Final = {
    Mark.PENDING: frozenset((SPAN_TYPE, PENDING_PARENT)),
    Mark.SNAPSHOT: frozenset((PARTIAL_VERSION,)),
}
"""The attributes that are taken off."""


def may_be_marked(span: bytes) -> bool:
    """False if nothing in the bytes of the span, in JSON or protobuf, can be a mark."""
    return _PENDING in span or _VERSION in span


def mark_of(attributes: Attributes) -> Mark | None:
    """The mark that these attributes are."""
    if attributes.get(SPAN_TYPE) == "pending_span":
        return Mark.PENDING
    version = attributes.get(PARTIAL_VERSION)
    if isinstance(version, int | float) and version is not True and version > 0:
        return Mark.SNAPSHOT
    return None


def real_parent(attributes: Attributes) -> str:
    """The parent of the span that a pending span stands for, in hexadecimal; empty for a root."""
    parent = attributes.get(PENDING_PARENT, "")
    if not isinstance(parent, str):
        raise Unusable(Reason.BAD_ID, f"{PENDING_PARENT} is no text")
    return parent_of_text(parent)


def no_real_span() -> Unusable:
    """What is wrong with a pending span without a parent."""
    return Unusable(Reason.MISSING_FIELD, "a pending span names no parent, which is the span that it stands for")
