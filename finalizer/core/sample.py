"""Some of the open spans, chosen by their ids, from which is judged how a partition's spans are doing.

All of them while they are few; a share that is halved whenever there are too many. So a judgement costs the same
however many spans are open, nothing is counted when a record comes, and a restart loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zlib import crc32

from finalizer.core.model import Phase, SpanKey
from finalizer.core.state import State

MOST = 2048
"""Spans in the sample: a share of them is known to a percent or two, and they are looked at in some 2 ms."""
_OPEN = Phase.OPEN


class Sample:
    """Span keys, and the group of each as soon as somebody has asked for it (None until then)."""

    __slots__ = ("_drawn", "groups", "scale")

    def __init__(self) -> None:
        self.groups: dict[SpanKey, str | None] = {}
        self.scale = 1
        """How many open spans one in the sample stands for; a power of two."""
        self._drawn = False

    def take_in(self, opened: Iterable[SpanKey], states: Mapping[SpanKey, State]) -> None:
        """Spans that were opened since the last time. Those that are closed may stay until somebody looks at them."""
        if not self._drawn:
            return
        groups, mask = self.groups, self.scale - 1
        for key in opened:
            if not crc32(key) & mask and key not in groups:
                groups[key] = None
                if len(groups) > 2 * MOST:
                    self._thin_out(states)
                    mask = self.scale - 1

    def fit(self, states: Mapping[SpanKey, State], count: int) -> None:
        """To be called before looking: draws from all `states`, of which `count` are open, what is not drawn yet, or
        stands for more spans than it must."""
        if self._drawn and (self.scale == 1 or count * 4 >= MOST * self.scale):
            return
        self._drawn = True
        self.groups.clear()
        self.scale = 1
        while count > MOST * self.scale:
            self.scale *= 2
        self.take_in([key for key, state in states.items() if state.phase is _OPEN], states)

    def _thin_out(self, states: Mapping[SpanKey, State]) -> None:
        """Drop what is closed, and as often as needed half of the rest."""
        self.groups = {key: group for key, group in self.groups.items() if _is_open(states.get(key))}
        while len(self.groups) > MOST:
            self.scale *= 2
            mask = self.scale - 1
            self.groups = {key: group for key, group in self.groups.items() if not crc32(key) & mask}


def _is_open(state: State | None) -> bool:
    return state is not None and state.phase is _OPEN
