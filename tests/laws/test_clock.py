"""The partition clock in a small world with a broker in it: what it may never do, whatever is slow, frozen or gone."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from finalizer.core.clock import PartitionClock, Reading

TOPICS = ("a", "b")
SETTLE, BLIND_AFTER, BEHIND_AFTER = 50, 20, 25
topics = st.sampled_from(TOPICS)


@dataclass
class Log:
    """One topic's partition: on the broker, on the way, and here."""

    appended: list[int | None] = field(default_factory=list)
    """Append time by offset; None: a transaction marker."""
    answering: tuple[int, int] | None = None
    """High water mark and end of the data in the answer that is on its way, once the broker has made it."""
    fetched: int = 0
    handed_out: int = 0
    decided: int = 0
    arrivals: list[int] = field(default_factory=list)


class World(RuleBasedStateMachine):
    """Records are appended, fetched, handed out and decided at any pace, while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.logs = {topic: Log() for topic in TOPICS}
        self.now = 1000
        self.assigned_at = 0
        self.clock = PartitionClock(
            TOPICS, settle=SETTLE, blind_after=BLIND_AFTER, behind_after=BEHIND_AFTER, clock=900, taken_off=100
        )
        self.before: Reading | None = None

    @initialize(backlog=st.lists(st.integers(900, 1000), max_size=5))
    def assign(self, backlog: list[int]) -> None:
        """Some records may wait already when the partition is assigned."""
        self.logs["a"].appended += sorted(backlog)
        self.assigned_at = self.now
        self.clock.assigned(self.now)

    @rule(ticks=st.integers(1, 30))
    def time_passes(self, ticks: int) -> None:
        """Nothing happens for a while."""
        self.now += ticks

    @rule(topic=topics, marker=st.booleans())
    def append(self, topic: str, marker: bool) -> None:
        """A client's record, or the marker of its transaction."""
        self.logs[topic].appended.append(None if marker else self.now)

    @rule(topic=topics, batch=st.integers(1, 3))
    def broker_answers(self, topic: str, batch: int) -> None:
        """The broker makes the answer to the one request on its way; it may arrive much later."""
        log = self.logs[topic]
        if log.answering is None:
            end = len(log.appended)
            log.answering = end, min(end, log.fetched + batch)

    @rule(topic=topics)
    def answer_arrives(self, topic: str) -> None:
        """It arrives, and the next request is sent. Data may be handed out later."""
        log = self.logs[topic]
        if log.answering is not None:
            highwater, log.fetched = log.answering
            log.answering = None
            log.arrivals.append(self.now)
            self.clock.answered(topic, arrived_at=self.now, position=log.handed_out, highwater=highwater)

    @rule(topic=topics)
    def hand_out(self, topic: str) -> None:
        """What was fetched is handed out as one frame; markers are passed over."""
        log = self.logs[topic]
        records = [offset for offset in range(log.handed_out, log.fetched) if log.appended[offset] is not None]
        if records:
            self.clock.moved(topic, position=records[-1] + 1)
        if log.fetched > log.handed_out:
            self.clock.skipped(topic, position=log.fetched)
        log.handed_out = log.fetched

    @rule(topic=topics, share=st.integers(1, 3))
    def decide(self, topic: str, share: int) -> None:
        """Some of the records that were handed out are decided, in their order."""
        log = self.logs[topic]
        records = [
            (offset, stamp)
            for offset, stamp in enumerate(log.appended[: log.handed_out])
            if offset >= log.decided and stamp is not None
        ][:share]
        if records:
            log.decided = records[-1][0] + 1
            self.clock.decided(topic, next_offset=log.decided, timestamp=records[-1][1])

    @rule(topic=topics)
    def whole_round(self, topic: str) -> None:
        """A partition in good order: asked, answered, handed out, decided."""
        self.broker_answers(topic, 3)
        self.answer_arrives(topic)
        self.hand_out(topic)
        self.decide(topic, 3)

    @rule(rounds=st.integers(1, 30))
    def all_is_well(self, rounds: int) -> None:
        """For a while every topic answers every few ticks."""
        for _ in range(rounds):
            self.now += 5
            for topic in TOPICS:
                self.whole_round(topic)
            self.the_clock_is_right()

    @rule(topic=topics, rounds=st.integers(1, 10))
    def nothing_is_handed_out(self, topic: str, rounds: int) -> None:
        """Answers come on every topic, but the records of one lie where they are."""
        for _ in range(rounds):
            self.now += 5
            for other in TOPICS:
                self.broker_answers(other, 3)
                self.answer_arrives(other)
                if other != topic:
                    self.hand_out(other)
                    self.decide(other, 3)
            self.the_clock_is_right()

    @invariant()
    def the_clock_is_right(self) -> None:
        """Looked at after each step."""
        reading, before = self.clock.advance(self.now), self.before
        self.before = reading
        assert reading.clock <= self.now
        self.nothing_undecided_is_older(reading)
        if before is not None:
            assert reading.clock >= before.clock
            assert reading.patience >= before.patience
            assert reading.patience - before.patience <= self.heard(before.clock, reading.clock)
        assert reading.patience <= reading.clock
        if reading.may_close:
            assert self.now - reading.clock <= BEHIND_AFTER
            assert self.now not in self.deaf()
            assert all(self.now - log.arrivals[-1] <= BLIND_AFTER for log in self.logs.values())

    def nothing_undecided_is_older(self, reading: Reading) -> None:
        """No record that was appended before the clock is unread or undecided: no end can be waiting for us."""
        for log in self.logs.values():
            undecided = [stamp for stamp in log.appended[log.decided :] if stamp is not None]
            assert not undecided or undecided[0] >= reading.clock

    def heard(self, since: int, until: int) -> int:
        """Ticks between two moments in which every topic could be heard."""
        deaf = self.deaf()
        return sum(tick not in deaf for tick in range(since, until))

    def deaf(self) -> set[int]:
        """Ticks in which some topic could not be heard, or not for long enough."""
        deaf = set(range(self.assigned_at, self.assigned_at + SETTLE))
        for log in self.logs.values():
            arrivals = [self.assigned_at, *log.arrivals]
            for last, following in pairwise(arrivals):
                if following - last > BLIND_AFTER:
                    deaf |= set(range(last, following + SETTLE))
        return deaf


World.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestTheClockInAWorld = World.TestCase
