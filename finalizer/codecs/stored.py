"""What lies in the changelog, as msgspec reads it: the shape of a state, and the watermark.

Not compiled: a compiled class does not keep its hints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from finalizer.core.causes import Cause
from finalizer.core.model import End, Status, Told
from finalizer.core.pause import Pause

Place = tuple[str, int, int, int]
"""Coordinates: topic, partition, offset, heard_at."""


class StoredClosed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the last word on a span was (`core.model.Closed`). New fields come last, with a default."""

    cause: Cause | None
    end_at: int
    status: Status
    reason: str
    revision: int
    detected_at: int
    last_seen: int
    seq: int
    progress: float | None
    deadline_at: int
    last: Place
    history_unknown: bool = False
    outage_suspected: bool = False
    evidence_gap: bool = False


StoredLayer = tuple[int, int, int, bytes]
_Stored = tuple[
    Annotated[int, msgspec.Meta(ge=1, le=3)],  # phase; what is unseen is not stored
    str,  # rule
    str,  # policy
    int | None,  # start_at
    int,  # last_seen
    int,  # seq
    Place,  # first
    Place | None,  # last, None where it is the first
    Place | bool,  # start: False unknown, True the first
    int,  # opened
    int,  # heard
    bool,  # beats
    int,  # interval
    int,  # timeout
    list[StoredLayer],
    Told | None,
    End | None,
    StoredClosed | None,
    list[StoredLayer],  # late layers
]
decode_state: Final[Callable[[memoryview], _Stored]] = msgspec.msgpack.Decoder(type=_Stored).decode
"""Raises `ValidationError`."""


class Watermark(msgspec.Struct, frozen=True, kw_only=True):
    """What a restored state is complete up to, and what it was made with."""

    offsets: dict[str, int]
    """Input topic -> offset of the last record whose effects are in the state; -1: none yet."""
    delivery: str
    partitions: int
    clock: int
    taken_off: int
    horizon: int
    policy: str
    gap: int = 0
    """Heard time up to which records may have been lost unread; 0: none were."""
    tripped: int = 0
    """Partition clock at which the mass-close breaker tripped; 0: it has not."""
    pauses: tuple[Pause, ...] = ()
    """Suspected outages, those among them that are over and still count."""
    sources: tuple[str, ...] = ()
    """Input topics that were re-keyed for it."""
    deaf: tuple[tuple[int, int], ...] = ()
    """Time (since, until) that is yet to be taken off, once the clock passes it."""
