"""What is measured: each load with its spans, its settings and the finals that must come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Final

PARTITIONS: Final = 4
HALF_AN_HOUR: Final = 1800.0
DEAD_EVERY: Final = 50
"""One span in so many never ends, where any does."""
DEAD_AFTER: Final = 2
"""Heartbeats that such a span sends before it falls silent."""
MARGIN_SECONDS: Final = 60.0
"""A span that dies is due so long before its log ends: its topic's clock goes by medians, and lags by half a frame."""
MISSES: Final = 3
ALLOWANCE_SECONDS: Final = 2.0
SPANS_A_BATCH: Final = 20


class Shape(Enum):
    """What a record of the load is."""

    NATIVE = "native"
    PARTIAL_LOG = "partial_log"
    OTLP_SPANS = "otlp_spans"


class Want(Enum):
    """What must have been said of a span once everything is read."""

    NOTHING = ""
    COMPLETED = "completed"
    LOST = "heartbeat_lost"
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Load:
    """So many spans; each ends when `open_spans` others have begun after it.

    `log_seconds`: producers' timestamps run through so long and end now (`CreateTime`); 0: the broker's
    (`LogAppendTime`). `standing` spans begin first and never say anything again. `tail`: the log goes on until the last
    span has ended; otherwise `open_spans` are open at its end. `due_in`: spans only begin, and are all due so many
    seconds after the log was written.
    """

    name: str
    meaning: str
    spans: int
    open_spans: int
    beats: int = 0
    dying: bool = False
    log_seconds: float = 0.0
    standing: int = 0
    tail: bool = True
    due_in: float = 0.0
    shape: Shape = Shape.NATIVE
    workers: int = 1
    policy: str = ""
    """Settings beside inputs and outputs, as lines of finalizer.yaml; none: the defaults."""
    quiet_seconds: float = 3.0
    """Without output for so long, a run is over."""

    def scaled(self, scale: float, spans: int | None = None) -> Load:
        """The same load, larger or smaller; `spans` replaces its number of spans before that."""
        factor = scale * (1 if spans is None else spans / self.spans)

        def sized(count: int, least: int) -> int:
            return max(least, round(count * factor)) if count else 0

        kept = self.open_spans if self.open_spans < 1000 else sized(self.open_spans, 4 * PARTITIONS)
        return replace(
            self,
            spans=sized(self.spans, 200 * PARTITIONS),
            open_spans=kept,
            standing=sized(self.standing, PARTITIONS),
        )

    @property
    def lag(self) -> int:
        """Spans of a partition that begin between the start and the end of one."""
        return max(1, self.open_spans // PARTITIONS)

    @property
    def beat_seconds(self) -> float:
        """Log time between two heartbeats of a span."""
        if not self.log_seconds:
            return 30.0
        return self.log_seconds * self.lag / (self.spans / PARTITIONS) / (self.beats + 1)

    @property
    def interval_ms(self) -> int:
        """What a span says that it is."""
        return max(1000, 1000 * -int(-self.beat_seconds))

    @property
    def remember(self) -> str:
        """What the settings say of remembering."""
        return "presumed 24h, finished 15m, 512MiB (default)"

    @property
    def safety(self) -> str:
        """What the settings say of safety."""
        return "default" if "safety:" not in self.policy else self.policy.partition("safety: ")[2].partition("\n")[0]


MIXED: Final = Load(
    "mixed",
    "start, 3 heartbeats, end; 2 % never end; CreateTime through half an hour, deadlines fall due in the backlog",
    spans=500_000,
    open_spans=100_000,
    beats=3,
    dying=True,
    log_seconds=HALF_AN_HOUR,
    tail=False,
    quiet_seconds=14.0,
)
LOADS: Final = {
    load.name: load
    for load in (
        MIXED,
        Load("worst", "start and end, every span reaches the changelog", spans=500_000, open_spans=20_000),
        Load("short", "start and end, most spans end within a group", spans=600_000, open_spans=160),
        Load(
            "partial",
            "partial-span logs: the whole span in each heartbeat, 3 of them, and a stop; re-keyed",
            spans=60_000,
            open_spans=10_000,
            beats=3,
            shape=Shape.PARTIAL_LOG,
            quiet_seconds=5.0,
        ),
        Load(
            "otlp",
            f"finished OTLP spans, {SPANS_A_BATCH} of different traces a record, JSON; re-keyed; figures per span",
            spans=400_000,
            open_spans=0,
            shape=Shape.OTLP_SPANS,
            quiet_seconds=5.0,
        ),
        replace(MIXED, name="two-workers", meaning="mixed, by two workers of one group", workers=2),
    )
}
