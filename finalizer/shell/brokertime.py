"""The broker's wall clock, learned: monotonic time plus an offset from the broker's own timestamps.

A worker whose clock is an hour off, or is set back, closes nothing wrongly: its own wall clock is used only until the
broker has stamped a first record of ours, and for good where the broker does not stamp records (`CreateTime`).
"""

from __future__ import annotations

import time
from collections import deque

_SAMPLES = 16
_NS = 1_000_000_000


class BrokerTime:
    """Tells the broker's wall time in ns. Errs to the early side: a span is rather closed late than wrongly."""

    def __init__(self) -> None:
        self._samples: deque[int] = deque(maxlen=_SAMPLES)
        self._own = time.time_ns() - time.monotonic_ns()
        self._offset = self._own

    def learned(self, stamp_ms: int, *, answered_at: float) -> None:
        """The broker stamped a record with `stamp_ms`; its answer came at `answered_at` (monotonic seconds).

        The stamp was made before the answer, so stamp - answer is at most the true offset, and the greatest such
        difference is the nearest to it.
        """
        self._samples.append(stamp_ms * 1_000_000 - int(answered_at * _NS))
        self._offset = max(self._samples)

    def now(self) -> int:
        """The broker's wall time, in ns."""
        return time.monotonic_ns() + self._offset

    def at(self, monotonic: float) -> int:
        """The broker's wall time at a monotonic moment (seconds), in ns."""
        return int(monotonic * _NS) + self._offset

    def offset_seconds(self) -> float:
        """How far the broker's clock is ahead of this worker's own wall clock."""
        return (self.now() - time.time_ns()) / _NS
