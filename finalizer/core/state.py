"""What is known of one span, in as few bytes as it takes (RATIONALE: what a span takes).

There are millions of these, and each lives for hours. So a state is one flat object: coordinates, the latest layer and
the latest progress lie in it as plain numbers, and only what few open spans have is kept beside it (`Rest`). Who asks
for a `Coordinates`, for the layers or for what was told gets one made of these numbers.
"""

from __future__ import annotations

import typing
from typing import Self

from msgspec.structs import replace
from mypy_extensions import i32, mypyc_attr

from finalizer.core.by_value import ByValue
from finalizer.core.model import NOTHING_TOLD, Body, Closed, Coordinates, End, Layer, Phase, SpanKey, Told

NOT_TOLD: typing.Final = -(2**61)
"""`began` of a span whose start nobody told."""
_OPEN: typing.Final = Phase.OPEN


@mypyc_attr(acyclic=True)
class Rest(ByValue):
    """What few open spans have."""

    __match_args__ = ("told", "end", "closed", "below", "late_layers", "start")
    __slots__ = __match_args__

    def __init__(
        self,
        told: Told,
        end: End | None,
        closed: Closed | None,
        below: tuple[Layer, ...],
        late_layers: tuple[Layer, ...],
        start: Coordinates | None,
    ) -> None:
        self.told: typing.Final = told
        """All but the progress."""
        self.end: typing.Final = end
        self.closed: typing.Final = closed
        self.below: typing.Final = below
        """The layers under the latest one."""
        self.late_layers: typing.Final = late_layers
        self.start: typing.Final = start
        """Where the start was told, if not by the first evidence."""

    def telling(self, told: Told) -> Rest:
        """The same, but what was told."""
        return Rest(told, self.end, self.closed, self.below, self.late_layers, self.start)

    def ending(self, end: End | None) -> Rest:
        """The same with another end."""
        return Rest(self.told, end, self.closed, self.below, self.late_layers, self.start)

    def closing(self, closed: Closed | None) -> Rest:
        """The same with another close."""
        return Rest(self.told, self.end, closed, self.below, self.late_layers, self.start)


NO_REST: typing.Final = Rest(NOTHING_TOLD, None, None, (), (), None)


@mypyc_attr(acyclic=True)
class State(ByValue):
    """All that is known of one span. `State(like)` is a copy, for whoever makes the next state of it to change; a state
    that is in a table never changes."""

    __match_args__ = (
        "phase", "rule", "policy", "start_at", "last_seen", "seq", "first", "last", "start", "opened", "heard",
        "beats", "interval", "timeout", "layers", "told", "end", "closed", "late_layers", "wake_at",
    )  # fmt: skip
    __slots__ = (
        "beats", "began", "best_progress", "body", "body_at", "body_seq", "first_heard_at", "first_offset",
        "first_partition", "first_topic", "heard", "interval", "key", "last_heard_at", "last_offset", "last_partition",
        "last_seen", "last_topic", "opened", "phase", "policy", "progress", "progress_at", "progress_seq", "progressed",
        "progresses", "rest", "rule", "seq", "started", "timeout", "wake_at",
    )  # fmt: skip

    def __init__(self, like: State | None = None) -> None:
        if like is None:
            self.key: SpanKey = b""
            """The one that is in the table of spans, so that whoever keeps it keeps no copy; empty: it is in none."""
            self.phase: Phase = _OPEN
            self.rule = ""
            """Name of the rule its terms come from."""
            self.policy = ""
            """Fingerprint of the policy that rule belongs to."""
            self.began = NOT_TOLD
            """Event time of the start, or `NOT_TOLD`."""
            self.last_seen = 0
            """The latest event time of any evidence."""
            self.seq = -1
            """The highest sequence number; -1 where none."""
            self.first_topic = ""
            self.last_topic = ""
            self.first_partition: i32 = 0
            self.last_partition: i32 = 0
            self.first_offset = 0
            self.first_heard_at = 0
            self.last_offset = 0
            self.last_heard_at = 0
            self.opened = 0
            """Patience at the first evidence."""
            self.heard = 0
            """Patience at the last evidence."""
            self.interval = 0
            self.timeout = 0
            self.wake_at = 0
            """Clock time at which the timer looks at it next. Derived, never stored."""
            self.body: Body | None = None
            """That of the latest layer; with its place in the order of records."""
            self.body_at = 0
            self.body_seq = 0
            self.progress = 0.0
            """The latest that was told, if it `progresses`; with its place in the order of records."""
            self.progress_at = 0
            self.progress_seq = 0
            self.best_progress = -1.0
            self.progressed = 0
            """Patience at which `best_progress` last rose."""
            self.rest: Rest = NO_REST
            self.beats = False
            """It has beaten at least once."""
            self.progresses = False
            self.started = False
            """It is known where its start was told: by the first evidence, or as `rest` says."""
        else:
            self.key = like.key
            self.phase = like.phase
            self.rule = like.rule
            self.policy = like.policy
            self.began = like.began
            self.last_seen = like.last_seen
            self.seq = like.seq
            self.first_topic = like.first_topic
            self.last_topic = like.last_topic
            self.first_partition = like.first_partition
            self.last_partition = like.last_partition
            self.first_offset = like.first_offset
            self.first_heard_at = like.first_heard_at
            self.last_offset = like.last_offset
            self.last_heard_at = like.last_heard_at
            self.opened = like.opened
            self.heard = like.heard
            self.interval = like.interval
            self.timeout = like.timeout
            self.wake_at = like.wake_at
            self.body = like.body
            self.body_at = like.body_at
            self.body_seq = like.body_seq
            self.progress = like.progress
            self.progress_at = like.progress_at
            self.progress_seq = like.progress_seq
            self.best_progress = like.best_progress
            self.progressed = like.progressed
            self.rest = like.rest
            self.beats = like.beats
            self.progresses = like.progresses
            self.started = like.started

    def but(self, **changes: typing.Any) -> Self:
        """A copy with other values in some fields. Raises `TypeError` for a field that there is not."""
        copy = type(self)(self)
        for name, value in changes.items():
            if name not in self.__match_args__:
                raise TypeError(f"a state has no {name}")
            setattr(copy, name, value)
        return copy

    @property
    def start_at(self) -> int | None:
        """Event time of the start, where somebody told it."""
        return None if self.began == NOT_TOLD else self.began

    @start_at.setter
    def start_at(self, at: int | None) -> None:
        self.began = NOT_TOLD if at is None else at

    @property
    def first(self) -> Coordinates:
        """Where it was heard of first."""
        return Coordinates(self.first_topic, self.first_partition, self.first_offset, self.first_heard_at)

    @first.setter
    def first(self, source: Coordinates) -> None:
        self.first_topic, self.first_partition = source.topic, source.partition
        self.first_offset, self.first_heard_at = source.offset, source.heard_at

    @property
    def last(self) -> Coordinates:
        """Where it was heard of last."""
        return Coordinates(self.last_topic, self.last_partition, self.last_offset, self.last_heard_at)

    @last.setter
    def last(self, source: Coordinates) -> None:
        self.last_topic, self.last_partition = source.topic, source.partition
        self.last_offset, self.last_heard_at = source.offset, source.heard_at

    @property
    def heard_once(self) -> bool:
        """The first evidence is the last one."""
        return (
            self.first_offset == self.last_offset
            and self.first_heard_at == self.last_heard_at
            and self.first_partition == self.last_partition
            and self.first_topic == self.last_topic
        )

    @property
    def start(self) -> Coordinates | None:
        """Where its start was told."""
        if not self.started:
            return None
        return self.first if self.rest.start is None else self.rest.start

    @start.setter
    def start(self, source: Coordinates | None) -> None:
        self.started = source is not None
        self.rest = self.rest.but(start=None if source == self.first else source)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The bodies of its records, in their order."""
        if self.body is None:
            return ()
        return (*self.rest.below, Layer(self.body_at, self.body_seq, self.body))

    @layers.setter
    def layers(self, layers: tuple[Layer, ...]) -> None:
        self.body, below = None, layers[:-1]
        if layers:
            latest = layers[-1]
            self.body, self.body_at, self.body_seq = latest.body, latest.at, latest.seq
        if below != self.rest.below:
            self.rest = self.rest.but(below=below)

    def same_bodies(self, other: State) -> bool:
        """True if the other one has the same bodies, the latest of them wherever in the order of records."""
        return self.body is other.body and (self.rest is other.rest or self.rest.below is other.rest.below)

    def same_layers(self, other: State) -> bool:
        """True if the other one has the same layers."""
        return self.same_bodies(other) and self.body_at == other.body_at and self.body_seq == other.body_seq

    def same_told(self, other: State) -> bool:
        """True if the other one has been told the same."""
        return (self.rest is other.rest or self.rest.told is other.rest.told) and (
            (not self.progresses and not other.progresses)
            or (
                self.progress_at == other.progress_at
                and self.progress_seq == other.progress_seq
                and self.progress == other.progress
                and self.best_progress == other.best_progress
                and self.progressed == other.progressed
                and self.progresses == other.progresses
            )
        )

    @property
    def told(self) -> Told:
        """What only some spans tell."""
        told = self.rest.told
        if not self.progresses:
            return told
        progress = (self.progress_at, self.progress_seq, self.progress)
        return replace(told, progress=progress, best_progress=self.best_progress, progressed=self.progressed)

    @told.setter
    def told(self, told: Told) -> None:
        self.progresses = told.progress is not None
        if told.progress is not None:
            self.progress_at, self.progress_seq, self.progress = told.progress
            self.best_progress, self.progressed = told.best_progress, told.progressed
            told = replace(told, progress=None, best_progress=-1.0, progressed=0)
        if told != self.rest.told:
            self.rest = self.rest.telling(NOTHING_TOLD if told == NOTHING_TOLD else told)

    @property
    def end(self) -> End | None:
        """The best one that was reported."""
        return self.rest.end

    @end.setter
    def end(self, end: End | None) -> None:
        self.rest = self.rest.ending(end)

    @property
    def closed(self) -> Closed | None:
        """The last word on it."""
        return self.rest.closed

    @closed.setter
    def closed(self, closed: Closed | None) -> None:
        self.rest = self.rest.closing(closed)

    @property
    def late_layers(self) -> tuple[Layer, ...]:
        """Bodies heard after a presumed close: they count for a revision, never for the final that was decided."""
        return self.rest.late_layers

    @late_layers.setter
    def late_layers(self, layers: tuple[Layer, ...]) -> None:
        self.rest = self.rest.but(late_layers=layers)
