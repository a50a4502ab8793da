"""What the tests of the law are made of: spans, evidence and moments, in seconds after `EPOCH`."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from finalizer.core.causes import Cause, StatusCode
from finalizer.core.effects import DeadLetter, Effect, Emit
from finalizer.core.lifecycle import hear, wake
from finalizer.core.model import (
    Body,
    Coordinates,
    End,
    Evidence,
    Final,
    Kind,
    Lifecycle,
    Moment,
    Phase,
    SpanKey,
    Status,
)
from finalizer.core.state import State
from finalizer.core.terms import SECOND, Terms

KEY: SpanKey = bytes(range(1, 25))
EPOCH = 1_747_648_800 * SECOND
"""A moment in 2025, so that a clock that starts at 0 shows."""
TERMS = Terms()


class Words(msgspec.Struct, frozen=True):
    """A body for the tests: its bytes, and the names it gives a value to."""

    data: bytes
    names: frozenset[str] = frozenset()
    format: int = 0

    def covers(self, older: Body, /) -> bool:
        """True if every name of `older` is here too."""
        return isinstance(older, Words) and older.names <= self.names


def words(data: str, *names: str) -> Words:
    """A body of these bytes and names."""
    return Words(data.encode(), frozenset(names))


def at(seconds: float) -> int:
    """Nanoseconds of a moment that many seconds after `EPOCH`."""
    return EPOCH + round(seconds * SECOND)


def evidence(
    kind: Kind,
    seconds: float,
    *,
    heard: float | None = None,
    start: float | None = None,
    ended: End | None = None,
    seq: int = -1,
    body: Words | None = None,
    status: Status | None = None,
    progress: float | None = None,
    interval: float = 0,
    timeout: float = 0,
    session: float | None = None,
    lifecycle: Lifecycle | None = None,
    key: SpanKey = KEY,
) -> Evidence:
    """Evidence of event time `seconds`, heard at `heard` (the same where it is not given)."""
    heard_at = at(seconds if heard is None else heard)
    return Evidence(
        kind,
        key,
        at(seconds),
        Coordinates("spans.events", 0, heard_at - EPOCH, heard_at),
        seq=seq,
        start_at=None if start is None else at(start),
        body=body,
        end=ended,
        status=status,
        progress=progress,
        interval=round(interval * SECOND),
        timeout=round(timeout * SECOND),
        session_expires_at=0 if session is None else at(session),
        lifecycle=lifecycle,
    )


def start(
    seconds: float = 0,
    *,
    heard: float | None = None,
    body: Words | None = None,
    interval: float = 0,
    timeout: float = 0,
    session: float | None = None,
) -> Evidence:
    """A start record."""
    return evidence(
        Kind.START, seconds, heard=heard, start=seconds, body=body, interval=interval, timeout=timeout, session=session
    )


def heartbeat(
    seconds: float,
    *,
    heard: float | None = None,
    start: float | None = None,
    seq: int = -1,
    body: Words | None = None,
    progress: float | None = None,
    interval: float = 0,
    status: Status | None = None,
) -> Evidence:
    """A heartbeat; with `start` it carries the start of its span."""
    return evidence(
        Kind.HEARTBEAT,
        seconds,
        heard=heard,
        start=start,
        seq=seq,
        body=body,
        progress=progress,
        interval=interval,
        status=status,
    )


def end(
    seconds: float,
    cause: Cause = Cause.COMPLETED,
    *,
    heard: float | None = None,
    start: float | None = None,
    ends: float | None = None,
    code: StatusCode | None = None,
    reason: str = "",
    body: Words | None = None,
) -> Evidence:
    """An end record; the end it tells is at `ends`, or when it was written."""
    status = None if code is None else Status(code)
    ended = End(cause, at(seconds if ends is None else ends), status, reason)
    return evidence(Kind.END, seconds, heard=heard, start=start, ended=ended, body=body)


def lifecycle(seconds: float, state: Lifecycle) -> Evidence:
    """A lifecycle record."""
    return evidence(Kind.LIFECYCLE, seconds, lifecycle=state)


class Story:
    """One span through time: what is heard, and the timer that looks whenever the span asked for it.

    The clock goes to the heard time of each piece of evidence; patience is the clock without `taken_off`.
    """

    def __init__(self, terms: Terms = TERMS, *, horizon: int = 0) -> None:
        self.terms = terms
        self.horizon = horizon
        self.state: State | None = None
        self.effects: list[Effect] = []
        self.taken_off = 0
        self.clock = 0

    def tell(self, *told: Evidence) -> list[Effect]:
        """Hear these, the timer going on in between; returns the effects of it all."""
        before = len(self.effects)
        for one in told:
            self.wait_until_ns(one.heard_at)
            self.hear(one)
        return self.effects[before:]

    def hear(self, one: Evidence) -> None:
        """Hear this, however late the timer is."""
        self.clock = max(self.clock, one.heard_at)
        self.state, effects = hear(self.state, one, self.terms, self.now)
        self.effects += effects

    def look(self) -> None:
        """Have the timer look at the span now."""
        if self.state is not None:
            self.state, effects = wake(KEY, self.state, self.terms, self.now)
            self.effects += effects

    def wait(self, seconds: float) -> list[Effect]:
        """Let the clock go on to that many seconds after `EPOCH`; returns the effects of the timer."""
        return self.wait_until_ns(at(seconds))

    def wait_until_ns(self, moment: int) -> list[Effect]:
        """Let the clock go on to `moment`, looking at the span at each of its wake-ups."""
        before = len(self.effects)
        while self.state is not None and self.state.phase is Phase.OPEN and self.state.wake_at <= moment:
            asked = self.state.wake_at
            self.clock = max(self.clock, asked)
            self.state, effects = wake(KEY, self.state, self.terms, self.now)
            self.effects += effects
            assert self.state.phase is not Phase.OPEN or self.state.wake_at > asked, "a wake-up must get somewhere"
        self.clock = max(self.clock, moment)
        return self.effects[before:]

    def hold(self, seconds: float) -> None:
        """The clock goes on, patience does not: nobody could hear."""
        self.clock += round(seconds * SECOND)
        self.taken_off += round(seconds * SECOND)

    @property
    def now(self) -> Moment:
        """The reading of the clocks."""
        return Moment(self.clock, self.clock - self.taken_off, self.horizon)

    @property
    def phase(self) -> Phase:
        """Where the span stands."""
        return Phase.UNSEEN if self.state is None else self.state.phase

    @property
    def finals(self) -> list[Final]:
        """Every final that was written, in order."""
        return finals(self.effects)

    @property
    def last(self) -> Final:
        """The last final that was written."""
        return self.finals[-1]


def finals(effects: Iterable[Effect]) -> list[Final]:
    """The finals among effects."""
    return [effect.final for effect in effects if isinstance(effect, Emit)]


def letters(effects: Iterable[Effect]) -> list[DeadLetter]:
    """The dead letters among effects that are not the copy of a final."""
    return [effect for effect in effects if isinstance(effect, DeadLetter)]
