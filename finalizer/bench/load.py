"""What is measured: each load with its spans, its settings and the finals that must come of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from math import ceil
from typing import Final

PARTITIONS: Final = 4
SESSION_SECONDS: Final = 6
HALF_AN_HOUR: Final = 1800.0
SPANS_A_BATCH: Final = 20
SOON_FULL: Final = "remember: {presumed: 20s, finished: 20s}\n"
"""What is remembered grows for so long, and no longer: what grows after that leaks."""
TAKES_ALL_AT_ONCE: Final = "safety: {breaker: {max_share: 1.0}}\n"
"""Half of what is open may not be dead at once, says the breaker; here it is."""


class Shape(Enum):
    """What a record of the load is."""

    NATIVE = "native"
    PARTIAL_LOG = "partial_log"
    OTLP_SPANS = "otlp_spans"


class Scene(Enum):
    """How a load is measured."""

    READ = "everything is on the topic before the worker starts: from the first final to the last reported one"
    LIVE = "the worker runs, and records come at their times: from a deadline to the topic"
    DUE = "the worker has read all when all is due: from the deadline to the topic"
    RESTORE = "the worker is killed and started again: from its start to its first new final"


@dataclass(frozen=True, slots=True)
class Load:
    """So many spans; each ends when `open_spans` others have begun after it.

    `log_seconds`: producers' timestamps run through so long and end now (`CreateTime`), or the records take so long to
    come; 0: it does not matter. Timestamps are else the broker's (`LogAppendTime`). `standing` spans begin first and
    never say anything again. `tail`: the log goes on until the last span has ended; otherwise `open_spans` are open at
    its end. `due_in`: spans only begin, and are all due so many seconds after the log was written.
    """

    name: str
    meaning: str
    spans: int
    open_spans: int
    beats: int = 0
    dying: bool = False
    """One span in fifty never ends."""
    log_seconds: float = 0.0
    standing: int = 0
    tail: bool = True
    due_in: float = 0.0
    shape: Shape = Shape.NATIVE
    scene: Scene = Scene.READ
    workers: int = 1
    instance_id: str = ""
    """A worker that is killed comes back as this static member; none: once its session is over."""
    policy: str = ""
    """Settings beside inputs and outputs, as lines of finalizer.yaml; none: the defaults."""
    quiet_seconds: float = 3.0
    """Without output for so long, a run is over."""

    def scaled(self, scale: float, spans: int | None = None) -> Load:
        """The same load, larger or smaller; `spans` replaces its number of spans before that."""
        factor = scale * (1 if spans is None else spans / self.spans)

        def sized(count: int, least: int) -> int:
            return max(least, round(count * factor)) if count else 0

        if self.scene is Scene.LIVE:  # as dense, and so as many open, but shorter
            seconds = max(self.log_seconds * factor, 45.0)
            places = (self.spans + self.open_spans) * seconds / self.log_seconds
            return replace(self, spans=round(places) - self.open_spans, log_seconds=seconds)
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
    def interval_ms(self) -> int:
        """The time between two heartbeats, as a span tells it: whole seconds of the log, no less than they take."""
        if not self.log_seconds:
            return 30_000
        places = self.spans / PARTITIONS + (self.lag if self.tail else 0)
        return 1000 * ceil(self.log_seconds * self.lag / places / (self.beats + 1))

    def said_of(self, section: str) -> str:
        """What the settings say in a section, `safety` or `remember`; empty: nothing."""
        return self.policy.partition(f"{section}: ")[2].partition("\n")[0]


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
RESTART: Final = Load(
    "restart",
    "a small state; kill -9, start again with the same --instance-id; figures are open spans",
    spans=20_000,
    open_spans=2_000,
    scene=Scene.RESTORE,
    policy="terms: {silence: 12h}\n",
)
LOADS: Final = {
    load.name: load
    for load in (
        MIXED,
        Load("worst", "start and end, every span reaches the changelog", spans=500_000, open_spans=20_000),
        Load("short", "start and end, most spans end within a group", spans=600_000, open_spans=160),
        replace(MIXED, name="two-workers", meaning="mixed, by two workers of one group", workers=2),
        Load(
            "partial",
            "partial-span logs: the whole span in each of 4 heartbeats and a stop; re-keyed",
            spans=60_000,
            open_spans=10_000,
            beats=3,
            shape=Shape.PARTIAL_LOG,
            quiet_seconds=5.0,
        ),
        Load(
            "otlp",
            f"finished OTLP spans in protobuf, {SPANS_A_BATCH} of as many traces a record; re-keyed; figures are spans",
            spans=400_000,
            open_spans=0,
            shape=Shape.OTLP_SPANS,
            quiet_seconds=5.0,
        ),
        Load(
            "expiry",
            "spans that only begin, through half an hour (CreateTime), and are due at one moment; figures are spans",
            spans=500_000,
            open_spans=500_000,
            log_seconds=HALF_AN_HOUR,
            due_in=45.0,
            scene=Scene.DUE,
            policy=TAKES_ALL_AT_ONCE,
            quiet_seconds=8.0,
        ),
        Load(
            "restore",
            "half an hour of mixed passes through the changelog above spans that stay open; kill -9, start again with "
            "the same --instance-id; figures are open spans",
            spans=MIXED.spans,
            open_spans=MIXED.open_spans,
            beats=3,
            dying=True,
            log_seconds=HALF_AN_HOUR,
            standing=900_000,
            tail=False,
            scene=Scene.RESTORE,
            instance_id="bench",
            policy="terms: {silence: 12h}\n",
            quiet_seconds=14.0,
        ),
        replace(RESTART, instance_id="bench"),
        replace(
            RESTART, name="rejoin", meaning=f"the same without --instance-id, with a session of {SESSION_SECONDS} s"
        ),
        Load(
            "steady",
            "20,000 records a second for two minutes, as they come: start, 3 heartbeats, end after 15 s; 2 % never end",
            spans=450_000,
            open_spans=60_000,
            beats=3,
            dying=True,
            log_seconds=120.0,
            scene=Scene.LIVE,
            policy=SOON_FULL,
            quiet_seconds=20.0,
        ),
    )
}
