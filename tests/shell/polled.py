"""Frames as the transport hands them out."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from finalizer.shell.frames import Frame
from tests.core.making import EPOCH
from tests.course.running import event


def frame(place: TP, begin: int, end: int, *, generation: int = 1) -> Frame:
    """Starts of as many spans as there are offsets, as one poll returned them."""
    stamp = EPOCH // 1_000_000
    records: list[Any] = [
        SimpleNamespace(
            offset=offset,
            timestamp=stamp,
            timestamp_type=1,
            key=None,
            value=event("start", 0, span=offset + 1),
            headers=(),
        )
        for offset in range(begin, end)
    ]
    return Frame(place, records, begin=begin, end=end, generation=generation, arrived_at=time.monotonic())
