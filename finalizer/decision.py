"""What deciding brings about: records to write, and what has changed. Data; who commits it carries it out."""

from __future__ import annotations

import typing
from collections import Counter
from collections.abc import Iterable
from enum import IntEnum

from mypy_extensions import mypyc_attr

from finalizer.core.by_value import ByValue
from finalizer.core.model import SpanKey
from finalizer.core.remembered import Entry
from finalizer.core.state import State

Header = tuple[str, typing.Any]
"""Name and value of a Kafka header: bytes, and of a stranger's record a null as well."""


class Topic(IntEnum):
    """Where an output goes."""

    FINALIZED = 0
    DLQ = 1
    REJECTED = 2


@mypyc_attr(acyclic=True)
class Output(ByValue):
    """One record to write. `timestamp` in milliseconds; None: the writer's time."""

    __match_args__ = ("topic", "key", "value", "headers", "timestamp")
    __slots__ = __match_args__

    def __init__(
        self,
        topic: Topic,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[Header],
        timestamp: int | None = None,
    ) -> None:
        self.topic: typing.Final = topic
        self.key: typing.Final = key
        self.value: typing.Final = value
        self.headers: typing.Final = headers
        self.timestamp: typing.Final = timestamp


class Decision:
    """What one frame, or one look at the deadlines, brings about."""

    __slots__ = ("changes", "deadlines", "finals", "finished", "forgotten_windows", "letters", "outputs", "tally")

    def __init__(self) -> None:
        self.outputs: list[Output] = []
        self.changes: dict[SpanKey, tuple[State | None, State | None]] = {}
        """Span key -> (state before, state after); None where there is none."""
        self.finished: dict[int, list[Entry]] = {}
        """Memory window -> fingerprints of the spans finished, of which nothing else is kept."""
        self.forgotten_windows: list[int] = []
        """Memory windows that are over."""
        self.deadlines: list[int] = []
        """The deadlines (heard time, ns) of the spans that the timer closed."""
        self.finals: list[tuple[str, str]] = []
        """Cause and rule of each final, until it is settled: counting them together is cheaper."""
        self.letters: list[str] = []
        """Cause of each dead letter, until then."""
        self.tally: Counter[tuple[str, ...]] = Counter()
        """Metric name and label values -> count."""

    def absorb(self, later: Decision) -> None:
        """Take in what was decided right after this."""
        self.outputs += later.outputs
        changes = self.changes
        for key, (before, after) in later.changes.items():
            known = changes.get(key)
            changes[key] = (before if known is None else known[0], after)
        for window in later.forgotten_windows:
            self.finished.pop(window, None)  # nobody would take back from the changelog what nobody remembers
        for window, entries in later.finished.items():
            self.finished.setdefault(window, []).extend(entries)
        self.forgotten_windows += later.forgotten_windows
        self.deadlines += later.deadlines
        self.tally.update(later.tally)

    def __bool__(self) -> bool:
        return bool(self.outputs or self.changes or self.finished or self.forgotten_windows)


def united(decisions: Iterable[Decision]) -> Decision:
    """Decisions that follow each other as one: what was born and ended within them never appears."""
    whole = Decision()
    for decision in decisions:
        whole.absorb(decision)
    return whole
