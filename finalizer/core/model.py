"""Keys, evidence, state, final: the nouns of the law (RATIONALE: vocabulary).

Two times, never mixed. *Event time* (`at`, `start_at`, `last_seen`, `end_at`) comes from the client and is data.
*Heard time* (`heard_at`) is the broker's, and deadlines run on it; `patience` is heard time without the time in
which we could not hear. All are integer nanoseconds since the Unix epoch.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from mypy_extensions import mypyc_attr

from finalizer.core.by_value import ByValue
from finalizer.core.causes import Cause
from finalizer.core.told import NOTHING_TOLD, End, Status, Told

__all__ = [
    "NOTHING_TOLD", "Body", "Closed", "Coordinates", "End", "Evidence", "Final", "Kind", "Layer", "Lifecycle", "Moment",
    "Phase", "SpanKey", "Status", "Subject", "Told",
]  # fmt: skip

SpanKey = bytes
"""16-byte trace id + 8-byte span id; neither part is ever all zero."""


class Phase(IntEnum):
    """Where a span stands. The numbers are stored (changelog) and never change their meaning."""

    UNSEEN = 0
    OPEN = 1
    PRESUMED = 2
    """We closed it."""
    FINISHED = 3
    """It told us."""


class Kind(IntEnum):
    """What a piece of evidence says; `DUE` is the timer's, every other one comes from a record."""

    START = 0
    HEARTBEAT = 1
    LIFECYCLE = 2
    END = 3
    DUE = 4


class Lifecycle(IntEnum):
    """State of the app that a `lifecycle` record tells for one span."""

    FOREGROUND = 0
    BACKGROUND = 1
    TERMINATE = 2


@mypyc_attr(acyclic=True)
class Coordinates(ByValue):
    """Where a piece of evidence stands in Kafka, and the broker's time for it."""

    __match_args__ = ("topic", "partition", "offset", "heard_at")
    __slots__ = __match_args__

    def __init__(self, topic: str, partition: int, offset: int, heard_at: int) -> None:
        self.topic: typing.Final = topic
        self.partition: typing.Final = partition
        self.offset: typing.Final = offset
        self.heard_at: typing.Final = heard_at


class Body(Protocol):
    """What a record says of its span beyond ids and times (name, attributes, ...). Opaque to the law."""

    @property
    def format(self) -> int:
        """Number of the format that `data` is in; stored, so its meaning never changes."""

    @property
    def data(self) -> bytes:
        """The record's own bytes: the last word in the order of records (event time, seq, bytes)."""

    def covers(self, older: Body, /) -> bool:
        """True if every name that `older` gives a value to has one here too, so that `older` adds nothing."""


class Subject(Protocol):
    """What policy rules look at in a piece of evidence or in a whole span."""

    @property
    def name(self) -> str | None: ...
    @property
    def span_type(self) -> str | None: ...
    @property
    def kind(self) -> str | None:
        """OpenTelemetry span kind in lower case: internal, server, client, producer, consumer."""

    @property
    def resource(self) -> Mapping[str, object] | None: ...
    @property
    def attributes(self) -> Mapping[str, object] | None: ...


@mypyc_attr(acyclic=True)
class Evidence(ByValue):
    """One decoded fact about a span, from any input format."""

    __match_args__ = (
        "kind", "key", "at", "source", "seq", "start_at", "body", "subject", "end", "status", "progress",
        "interval", "timeout", "session_expires_at", "lifecycle", "instance",
    )  # fmt: skip
    __slots__ = __match_args__

    def __init__(
        self,
        kind: Kind,
        key: SpanKey,
        at: int,
        source: Coordinates,
        seq: int = -1,
        start_at: int | None = None,
        body: Body | None = None,
        subject: Subject | None = None,
        end: End | None = None,
        status: Status | None = None,
        progress: float | None = None,
        interval: int = 0,
        timeout: int = 0,
        session_expires_at: int = 0,
        lifecycle: Lifecycle | None = None,
        instance: tuple[str, str] | None = None,
    ) -> None:
        self.kind: typing.Final = kind
        self.key: typing.Final = key
        self.at: typing.Final = at
        """Event time of the record."""
        self.source: typing.Final = source
        self.seq: typing.Final = seq
        """The client's sequence number; -1 where it gave none."""
        self.start_at: typing.Final = start_at
        """Event time of the span's start, where the record tells it."""
        self.body: typing.Final = body
        self.subject: typing.Final = subject
        """What rules may look at; present wherever `body` is."""
        self.end: typing.Final = end
        """On `END` evidence, always."""
        self.status: typing.Final = status
        """Status set before the end."""
        self.progress: typing.Final = progress
        self.interval: typing.Final = interval
        """Declared heartbeat interval; 0 where none."""
        self.timeout: typing.Final = timeout
        """Declared timeout; 0 where none."""
        self.session_expires_at: typing.Final = session_expires_at
        self.lifecycle: typing.Final = lifecycle
        self.instance: typing.Final = instance
        """The process it lives in, whose heartbeats count for it: instance id and boot id."""

    @property
    def heard_at(self) -> int:
        return self.source.heard_at


@mypyc_attr(acyclic=True)
class Layer(ByValue):
    """The body of one record, with its place in the order of records."""

    __match_args__ = ("at", "seq", "body")
    __slots__ = __match_args__

    def __init__(self, at: int, seq: int, body: Body) -> None:
        self.at: typing.Final = at
        self.seq: typing.Final = seq
        self.body: typing.Final = body

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.at, self.seq, self.body.data)


@mypyc_attr(acyclic=True)
class Closed(ByValue):
    """What the last word on a span was. Frozen here so that a repeat of its final has the same bytes."""

    __match_args__ = (
        "cause", "end_at", "status", "reason", "revision", "detected_at", "last_seen", "seq", "progress",
        "deadline_at", "last", "history_unknown", "outage_suspected", "evidence_gap",
    )  # fmt: skip
    __slots__ = __match_args__

    def __init__(
        self,
        cause: Cause | None,
        end_at: int,
        status: Status,
        reason: str,
        revision: int,
        detected_at: int,
        last_seen: int,
        seq: int,
        progress: float | None,
        deadline_at: int,
        last: Coordinates,
        history_unknown: bool = False,
        outage_suspected: bool = False,
        evidence_gap: bool = False,
    ) -> None:
        self.cause: typing.Final = cause
        """None: dead-lettered as `missing_start`, no final was written."""
        self.end_at: typing.Final = end_at
        self.status: typing.Final = status
        self.reason: typing.Final = reason
        self.revision: typing.Final = revision
        self.detected_at: typing.Final = detected_at
        """Partition clock at the decision; a Kafka header, never part of the payload."""
        self.last_seen: typing.Final = last_seen
        self.seq: typing.Final = seq
        self.progress: typing.Final = progress
        self.deadline_at: typing.Final = deadline_at
        """The deadline that fired, in heard time; 0 for a reported end."""
        self.last: typing.Final = last
        self.history_unknown: typing.Final = history_unknown
        """True: the end came from before the memory horizon, so we may have forgotten an earlier final."""
        self.outage_suspected: typing.Final = outage_suspected
        """True: it was closed though its group's silence may have been an outage."""
        self.evidence_gap: typing.Final = evidence_gap
        """True: retention deleted unread records while it was open, and some of them may have been its own."""


@mypyc_attr(acyclic=True)
class Final(ByValue):
    """The last word on a span: `closed` says how it ended, `layers` what it was, in the order of its records."""

    __match_args__ = ("key", "start_at", "closed", "rule", "policy", "layers", "first", "start")
    __slots__ = __match_args__

    def __init__(
        self,
        key: SpanKey,
        start_at: int | None,
        closed: Closed,
        rule: str,
        policy: str,
        layers: tuple[Layer, ...],
        first: Coordinates,
        start: Coordinates | None,
    ) -> None:
        self.key: typing.Final = key
        self.start_at: typing.Final = start_at
        """None only in dead letters: nobody told us the start."""
        self.closed: typing.Final = closed
        self.rule: typing.Final = rule
        self.policy: typing.Final = policy
        self.layers: typing.Final = layers
        self.first: typing.Final = first
        self.start: typing.Final = start


class Stop(NamedTuple):
    """Patience stood still at `at` while the clock went on by `lost`."""

    at: int
    lost: int


@mypyc_attr(acyclic=True)
class Moment(ByValue):
    """A reading of the partition's clocks, taken by whoever calls the law."""

    __match_args__ = (
        "clock", "patience", "horizon", "gap", "outage_suspected", "held", "stops", "stood",
    )  # fmt: skip
    __slots__ = __match_args__

    def __init__(
        self,
        clock: int,
        patience: int,
        horizon: int = 0,
        gap: int = 0,
        outage_suspected: bool = False,
        held: bool = False,
        stops: Sequence[Stop] = (),
        stood: int = 0,
    ) -> None:
        self.clock: typing.Final = clock
        self.patience: typing.Final = patience
        self.horizon: typing.Final = horizon
        """Event time up to which closed spans may have been forgotten; 0: nothing was ever forgotten."""
        self.gap: typing.Final = gap
        """Heard time up to which records may have been lost unread; 0: none were."""
        self.outage_suspected: typing.Final = outage_suspected
        """The span's group is suspected to be cut off, or was until somebody overruled it."""
        self.held: typing.Final = held
        """The patience of the span's group stands still."""
        self.stops: typing.Final = stops
        """Where patience stood still lately, in order."""
        self.stood: typing.Final = stood
        """The last of them: what was heard at less patience than this was heard before it."""

    def patience_at(self, heard_at: int) -> int:
        """What patience was at this moment on the clock."""
        patience = heard_at - self.clock + self.patience
        for at, lost in reversed(self.stops):
            if patience >= at:
                break
            patience = min(patience + lost, at)
        return patience

    def heard_time(self, patience: int) -> int:
        """The moment on the clock at which patience had come so far."""
        since = sum(lost for at, lost in self.stops if at >= patience)
        return patience + self.clock - self.patience - since
