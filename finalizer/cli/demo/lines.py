"""What the demo and its apps say to each other, a line of JSON at a time. Times are nanoseconds of the wall clock."""

from __future__ import annotations

from enum import Enum

import msgspec


class Close(Enum):
    """How an app closes a span by itself, when its life is over."""

    END = "end"
    PARTIAL = "partial"
    LEAVE = "leave"
    """Not at all."""


class Part(msgspec.Struct, frozen=True):
    """One span in an app's orders: it begins ``birth`` seconds after the crowd sets out, and lives for ``life``."""

    number: int
    name: str
    span_type: str
    attributes: dict[str, str]
    birth: float
    life: float = 0.0
    close: Close = Close.LEAVE
    heartbeat: float | None = None
    """Seconds between heartbeats; None: it does not beat."""


class Orders(msgspec.Struct, frozen=True):
    """What an app is told first. ``pause_at``: when it goes to the background, in seconds after the crowd set out."""

    broker: str
    topic: str
    resource: dict[str, str]
    parts: tuple[Part, ...] = ()
    spool: str = ""
    ttl: float = 0.0
    """Seconds that the spool keeps what it has; 0: as long as it does by itself."""
    pause_at: float | None = None


class Command(Enum):
    """What an app is told later."""

    BEGIN = "begin"
    """The crowd sets out."""
    HOLD = "hold"
    """Send nothing more, and say when nothing is under way."""
    END = "end"
    """Send again, and end all that is open."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The app has read its orders."""


class Begun(msgspec.Struct, frozen=True, tag=True):
    """It has begun a span; ``key`` is its trace id and span id as one text."""

    number: int
    key: str
    start_at: int


class Closed(msgspec.Struct, frozen=True, tag=True):
    """It has closed a span, between two moments."""

    number: int
    since: int
    until: int


class Paused(msgspec.Struct, frozen=True, tag=True):
    """It went to the background, between two moments."""

    since: int
    until: int


class Arrived(msgspec.Struct, frozen=True, tag=True):
    """The broker has acknowledged these events: kind, key and time of each."""

    events: list[tuple[str, str, int]]


class Holding(msgspec.Struct, frozen=True, tag=True):
    """Nothing is under way, and nothing will be sent."""


class Recovered(msgspec.Struct, frozen=True, tag=True):
    """What an earlier run had left is closed, and that has arrived."""


Entry = Ready | Begun | Closed | Paused | Arrived | Holding | Recovered
"""What an app says."""
