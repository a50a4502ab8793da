"""All the spans of one partition: open and remembered states, deadline windows, and the memory of finished ones."""

from __future__ import annotations

from finalizer.core.deadlines import DeadlineWindows
from finalizer.core.model import Phase, SpanKey
from finalizer.core.remembered import Remembered
from finalizer.core.state import State

ENTRIES_TO_SPARE = 50_000
"""Entries of deadline windows beyond those of the open spans: some 4 MB."""
_OPEN = Phase.OPEN


class Spans:
    """Owned by one partition; only its road changes it, and a failed decision is undone from the states it touched."""

    def __init__(self, memory: Remembered) -> None:
        self.states: dict[SpanKey, State] = {}
        """Open spans, and closed ones that are remembered whole."""
        self.windows = DeadlineWindows()
        self.memory = memory
        self.open = 0
        """How many of `states` are open."""
        self.bytes = 0
        """What the open ones weigh."""
        self.opened: list[SpanKey] = []
        """Keys of spans that were opened since the timer looked last."""

    def tidy(self, *, limit: int) -> None:
        """Have the deadline windows hold little more than what is open: no more than `limit` entries a time."""
        if len(self.windows) > 2 * self.open + ENTRIES_TO_SPARE:
            self.windows.tidy(self._due_at, limit)

    def _due_at(self, key: SpanKey) -> int:
        state = self.states.get(key)
        return state.wake_at if state is not None and state.phase is _OPEN else -1

    def restore(self, touched: dict[SpanKey, State | None]) -> None:
        """Put back the states as they were before a decision that failed."""
        for key, state in touched.items():
            if state is None:
                self.states.pop(key, None)
            else:
                self.states[key] = state
