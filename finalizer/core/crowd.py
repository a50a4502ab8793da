"""Who has been silent for longest, where more is open than memory has room for (RATIONALE: safety).

Nothing is kept in order while there is room. When there is none, the most silent spans are found in one pass over all
of them; since a span is never heard *less* lately than before, those of them that have not been heard since are the
most silent ones until they are used up. So a pass serves some thousands of evictions. (Silent by the broker's time:
patience, where it stands still, says the same of many, and of those heard in one piece not always in their order.)
"""

from __future__ import annotations

from collections.abc import Container
from operator import itemgetter

from finalizer.core.lifecycle import weight
from finalizer.core.model import Phase, SpanKey
from finalizer.core.spans import Spans

BYTES_AT_ONCE = 8 * 2**20
"""Closed in one decision, by the weight of the spans: their finals, letters and changes are all in memory at once."""
_SERVED = 16
"""One open span in so many is made ready for eviction by one pass."""
_LOOKED_AT = 1024
_FOREVER = 2**63 - 1
_OPEN = Phase.OPEN
_heard = itemgetter(0)


class Crowd:
    """The bound of one partition's open spans: their number and their bytes, None where there is none."""

    __slots__ = ("_max_bytes", "_max_spans", "_ready", "_spans")

    def __init__(self, spans: Spans, *, max_spans: int | None, max_bytes: int | None) -> None:
        self._spans = spans
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._ready: list[tuple[int, SpanKey]] = []

    @property
    def over(self) -> bool:
        """True if there is more than there may be."""
        spans = self._spans
        return self._exceeds(spans.open, spans.bytes)

    def to_evict(self, limit: int) -> list[SpanKey]:
        """Those who must go for the bound to hold, the one silent for longest first.

        No more than `limit`, nor than `BYTES_AT_ONCE`.
        """
        spans = self._spans
        open_spans, size = spans.open, spans.bytes
        least = size - BYTES_AT_ONCE
        going: dict[SpanKey, None] = {}
        while size > least and self._exceeds(open_spans, size) and len(going) < limit:
            key = self._most_silent(going)
            if key is None:
                break
            going[key] = None
            open_spans -= 1
            size -= weight(spans.states[key])
        return list(going)

    def _exceeds(self, open_spans: int, size: int) -> bool:
        return (self._max_spans is not None and open_spans > self._max_spans) or (
            self._max_bytes is not None and size > self._max_bytes
        )

    def _most_silent(self, going: Container[SpanKey]) -> SpanKey | None:
        states = self._spans.states
        for _ in range(2):
            while self._ready:
                heard, key = self._ready.pop()
                state = states.get(key)
                if state is not None and state.phase is _OPEN and state.last_heard_at == heard and key not in going:
                    return key
            self._make_ready(going)
        return None

    def _make_ready(self, going: Container[SpanKey]) -> None:
        states = self._spans.states
        heard = [state.last_heard_at for key, state in states.items() if state.phase is _OPEN and key not in going]
        latest = _FOREVER
        if len(heard) > _SERVED * _LOOKED_AT:
            looked_at = sorted(heard[:: len(heard) // _LOOKED_AT])
            latest = looked_at[len(looked_at) // _SERVED]
        self._ready = [
            (state.last_heard_at, key)
            for key, state in states.items()
            if state.last_heard_at <= latest and state.phase is _OPEN and key not in going
        ]
        self._ready.sort(key=_heard)  # stable: of those heard together the one opened first goes first
        self._ready.reverse()
