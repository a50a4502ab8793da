"""Keys, evidence, state, final: the nouns of the law (RATIONALE: vocabulary).

Two times, never mixed. *Event time* (`at`, `start_at`, `last_seen`, `end_at`) comes from the client and is data.
*Heard time* (`heard_at`) is the broker's, and deadlines run on it; `patience` is heard time without the time in
which we could not hear. All are integer nanoseconds since the Unix epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

import msgspec

from finalizer.core.causes import FACTS, Cause, StatusCode

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


class Coordinates(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where a piece of evidence stands in Kafka, and the broker's time for it."""

    topic: str
    partition: int
    offset: int
    heard_at: int


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


class Status(NamedTuple):
    """OTel status as the client set it."""

    code: StatusCode
    message: str = ""


class End(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One reported end. Of two, the one with the greater `order` stands."""

    cause: Cause
    """One of the reported causes: completed, partial, restarted, abandoned."""
    at: int
    status: Status | None = None
    reason: str = ""
    """The client's own word (`cancelled`, `timeout`, ...), or empty."""

    @property
    def order(self) -> tuple[int, int, int, str, str]:
        """Rank first, then the later moment; the rest only makes the order total."""
        code, message = self.status or (StatusCode.UNSET, "")
        return (FACTS[self.cause].rank, self.at, int(code), message, self.reason)

    def same_as(self, other: End) -> bool:
        """True if both tell the same end: same rank, time and status code."""
        return self.order[:3] == other.order[:3]


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One decoded fact about a span, from any input format."""

    kind: Kind
    key: SpanKey
    at: int
    """Event time of the record."""
    source: Coordinates
    seq: int = -1
    """The client's sequence number; -1 where it gave none."""
    start_at: int | None = None
    """Event time of the span's start, where the record tells it."""
    body: Body | None = None
    subject: Subject | None = None
    """What rules may look at; present wherever `body` is."""
    end: End | None = None
    """On `END` evidence, always."""
    status: Status | None = None
    """Status set before the end."""
    progress: float | None = None
    interval: int = 0
    """Declared heartbeat interval; 0 where none."""
    timeout: int = 0
    """Declared timeout; 0 where none."""
    session_expires_at: int = 0
    lifecycle: Lifecycle | None = None

    @property
    def heard_at(self) -> int:
        return self.source.heard_at


class Layer(msgspec.Struct, frozen=True, gc=False):
    """The body of one record, with its place in the order of records."""

    at: int
    seq: int
    body: Body

    @property
    def order(self) -> tuple[int, int, bytes]:
        return (self.at, self.seq, self.body.data)


class Told(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What only some spans tell, each joined by its own order. Kept apart so that a plain span stays small."""

    status: tuple[int, int, int, str] | None = None
    """(event time, seq, code, message) of the latest status set before the end."""
    progress: tuple[int, int, float] | None = None
    """(event time, seq, value) of the latest progress."""
    best_progress: float = -1.0
    progressed: int = 0
    """Patience at which `best_progress` last rose."""
    lifecycle: tuple[int, int, int] | None = None
    """(event time, seq, Lifecycle) of the latest lifecycle record."""
    paused: int = 0
    """Patience at which the latest lifecycle record was heard."""
    session_expires_at: int = 0


NOTHING_TOLD = Told()


class Closed(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the last word on a span was. Frozen here so that a repeat of its final has the same bytes."""

    cause: Cause | None
    """None: dead-lettered as `missing_start`, no final was written."""
    end_at: int
    status: Status
    reason: str
    revision: int
    detected_at: int
    """Partition clock at the decision; a Kafka header, never part of the payload."""
    last_seen: int
    seq: int
    progress: float | None
    deadline_at: int
    """The deadline that fired, in heard time; 0 for a reported end."""
    last: Coordinates
    history_unknown: bool = False
    """True: the end came from before the memory horizon, so we may have forgotten an earlier final."""
    outage_suspected: bool = False
    """True: it was closed though its group's silence may have been an outage."""
    evidence_gap: bool = False
    """True: retention deleted unread records while it was open, and some of them may have been its own."""


class State(msgspec.Struct, frozen=True, gc=False):
    """All that is known of one span."""

    phase: Phase
    rule: str
    """Name of the rule its terms come from."""
    policy: str
    """Fingerprint of the policy that rule belongs to."""
    start_at: int | None
    last_seen: int
    """The latest event time of any evidence."""
    seq: int
    """The highest sequence number; -1 where none."""
    first: Coordinates
    last: Coordinates
    start: Coordinates | None
    opened: int
    """Patience at the first evidence."""
    heard: int
    """Patience at the last evidence."""
    beats: bool
    """It has beaten at least once."""
    interval: int
    timeout: int
    layers: tuple[Layer, ...]
    told: Told
    end: End | None
    closed: Closed | None
    late_layers: tuple[Layer, ...]
    """Bodies heard after a presumed close: they count for a revision, never for the final that was decided."""
    wake_at: int
    """Clock time at which the timer looks at it next. Derived, never stored."""


class Final(msgspec.Struct, frozen=True, gc=False):
    """The last word on a span: `closed` says how it ended, `layers` what it was, in the order of its records."""

    key: SpanKey
    start_at: int | None
    """None only in dead letters: nobody told us the start."""
    closed: Closed
    rule: str
    policy: str
    layers: tuple[Layer, ...]
    first: Coordinates
    start: Coordinates | None


class Stop(NamedTuple):
    """Patience stood still at `at` while the clock went on by `lost`."""

    at: int
    lost: int


class Moment(msgspec.Struct, frozen=True, gc=False):
    """A reading of the partition's clocks, taken by whoever calls the law."""

    clock: int
    patience: int
    horizon: int = 0
    """Event time up to which closed spans may have been forgotten; 0: nothing was ever forgotten."""
    gap: int = 0
    """Heard time up to which records may have been lost unread; 0: none were."""
    outage_suspected: bool = False
    """The span's group is suspected to be cut off, or was until somebody overruled it."""
    held: bool = False
    """The patience of the span's group stands still."""
    stops: Sequence[Stop] = ()
    """Where patience stood still lately, in order."""
    stood: int = 0
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
