"""One partition's spans under a watch, for the tests of the safeties. Seconds after `EPOCH`, spans by number."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from finalizer.core.crowd import Crowd
from finalizer.core.due import wake_at
from finalizer.core.lifecycle import armed, hear, weight
from finalizer.core.model import Evidence, Kind, Moment, Phase, SpanKey
from finalizer.core.remembered import Remembered
from finalizer.core.safety import Breaker, Outages, Releases
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.core.terms import HOUR, MINUTE, SECOND, Heartbeat, Terms
from finalizer.core.watch import Closing, Watch
from tests.core.making import at, evidence

INTERVAL = 5
TERMS = Terms(heartbeat=Heartbeat(interval=INTERVAL * SECOND, required=True))
TICK = 0.1


def key(number: int) -> SpanKey:
    """The key of the span with this number."""
    return (number + 1).to_bytes(24, "big")


class Watched:
    """Spans, their watch and a clock. `group_of` names the group of a span by its number."""

    def __init__(
        self,
        *,
        terms: Terms = TERMS,
        group_of: Callable[[int], str] = lambda _: "app",
        outage_least: int = 10,
        breaker_least: int = 10**9,
        max_spans: int | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.terms = terms
        self.now = 0.0
        self.spans = Spans(Remembered(HOUR, HOUR, 2**30))
        self.releases = Releases()
        self._numbers: dict[SpanKey, int] = {}
        self.watch = Watch(
            self.spans,
            outages=Outages(
                window=30 * SECOND,
                least=outage_least,
                below=0.2,
                until=0.5,
                max_pause=15 * MINUTE,
                releases=self.releases,
            ),
            breaker=Breaker(window=MINUTE, least=breaker_least, max_share=0.5, releases=self.releases),
            crowd=Crowd(self.spans, max_spans=max_spans, max_bytes=max_bytes),
            terms_of=lambda _: self.terms,
            group_of=lambda state: group_of(state.first.offset),
        )
        self.closed: dict[int, Closing] = {}

    @property
    def moment(self) -> Moment:
        """The reading of the clocks: nobody was ever deaf here."""
        return Moment(at(self.now), at(self.now))

    def start(self, *numbers: int) -> None:
        """These spans begin."""
        for number in numbers:
            self._hear(number, evidence(Kind.START, self.now, start=self.now, key=key(number)))

    def beat(self, *numbers: int) -> None:
        """These spans beat."""
        for number in numbers:
            self._hear(number, evidence(Kind.HEARTBEAT, self.now, key=key(number)))

    def run(self, seconds: float, *, beating: Iterable[int] = (), limit: int = 10**6) -> list[int]:
        """Let the time go on, the timer looking ten times a second; each of `beating` beats at a phase of its own.

        Returns the numbers of the spans that were closed meanwhile.
        """
        beating = list(beating)
        before = set(self.closed)
        for _ in range(round(seconds / TICK)):
            self.now = round(self.now + TICK, 1)
            slot = round(self.now / TICK)
            self.beat(*(n for n in beating if (slot + 7 * n) % round(INTERVAL / TICK) == 0 and n not in self.closed))
            self.look(limit=limit)
        return sorted(set(self.closed) - before)

    def look(self, *, limit: int = 10**6) -> list[int]:
        """The timer looks; returns who was closed."""
        self.watch.attend(self.moment)
        return self.take(self.watch.due(self.moment, limit=limit))

    def take(self, closings: Iterable[Closing]) -> list[int]:
        """Book closed spans; returns their numbers, in order."""
        numbers = []
        for closing in closings:
            number = self._numbers[closing.key]
            assert number not in self.closed, "closed twice"
            self.closed[number] = closing
            self.spans.open -= 1
            self.spans.bytes -= weight(closing.before)
            numbers.append(number)
        return numbers

    def open(self) -> set[int]:
        """The numbers of the open spans."""
        return {self._numbers[key] for key, state in self.spans.states.items() if state.phase is Phase.OPEN}

    def heard(self, number: int) -> int:
        """When (patience, ns) a span was heard last."""
        return self.spans.states[key(number)].heard

    def adopt(self, number: int, state: State) -> None:
        """Take over a span as a restore does: when to look at it is found out again."""
        self._numbers[key(number)] = number
        state = armed(state, wake_at(state, self.terms, self.moment))
        self.spans.states[key(number)] = state
        self._opened(key(number), state)

    def _hear(self, number: int, told: Evidence) -> None:
        self._numbers[told.key] = number
        source = told.source.__class__(told.source.topic, 0, number, told.heard_at)
        told = told.but(source=source)
        before = self.spans.states.get(told.key)
        after, _ = hear(before, told, self.terms, self.moment)
        assert after is not None
        self.spans.states[told.key] = after
        if before is None:
            self._opened(told.key, after)
        elif after.wake_at != before.wake_at:
            self.spans.windows.insert(told.key, after.wake_at)

    def _opened(self, span: SpanKey, state: State) -> None:
        self.spans.open += 1
        self.spans.bytes += weight(state)
        self.spans.opened.append(span)
        self.spans.windows.insert(span, state.wake_at)
