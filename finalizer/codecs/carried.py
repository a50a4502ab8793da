"""What one OTLP span in a record says of itself, whichever encoding it came in: ids, times, status, body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import msgspec

from finalizer.codecs.description import Describing
from finalizer.codecs.marks import Mark
from finalizer.core.model import Evidence, SpanKey, Status


class LogResource(NamedTuple):
    """The resource of the log that a span came in, as its bytes stand there; `is_json` says in which encoding."""

    is_json: bool
    data: bytes


NO_RESOURCE: Final = LogResource(is_json=True, data=b"")


class Carried(msgspec.Struct, frozen=True, gc=False):
    """A span as a record carries it; a moment of 0 was not told. Of a marked one this is the real span."""

    key: SpanKey
    start_at: int
    end_at: int
    status: Status | None
    body: Describing | None
    """None where the record names its span and says no more of it."""
    mark: Mark | None = None


TellSpan: TypeAlias = Callable[[Carried], Evidence]
"""The evidence that a span is. Raises `Unusable` where it is none."""
