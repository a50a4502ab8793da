"""Re-keying in a small world: whoever re-keys, lags, dies or comes back, nothing is closed that may still be unread."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from finalizer.core.clock import Interval, PartitionClock, Reading
from finalizer.core.sources import Place, Sources, Vouched, Voucher

PLACES: tuple[Place, ...] = (("logs", 0), ("logs", 1))
TASKS = (0, 1)
SETTLE, BLIND_AFTER, BEHIND_AFTER = 30, 20, 25
START = 1000
places = st.sampled_from(PLACES)
tasks = st.sampled_from(TASKS)


@dataclass
class Log:
    """A source partition."""

    appended: list[int] = field(default_factory=list)
    """Append time by offset."""
    committed: int = 0


class Evidence(NamedTuple):
    """A record of a source, re-keyed."""

    place: Place
    offset: int


class Snapshot(NamedTuple):
    """What is durable of the reader: its position, what it had heard, the deaf ticks it was told, and its clock."""

    position: int
    heard: set[Evidence]
    deaf: set[int]
    clock: int
    taken_off: int
    ahead: tuple[Interval, ...]


class Task:
    """Somebody who re-keys a source: its owner, or one who was and does not know it yet."""

    def __init__(self, place: Place, position: int, now: int) -> None:
        self.topic = place[0]
        self.clock = PartitionClock([self.topic], settle=SETTLE, blind_after=BLIND_AFTER, behind_after=BEHIND_AFTER)
        self.voucher = Voucher(place, self.clock)
        self.position = self.written = position
        self.clock.assigned(now)
        self.clock.skipped(self.topic, position=position)
        self.clock.decided(self.topic, next_offset=position, timestamp=0)
        self.assigned = now
        self.arrivals = [now]

    def deaf(self) -> set[int]:
        """Ticks in which it could not hear, or not for long enough."""
        deaf = set(range(self.assigned, self.assigned + SETTLE))
        for last, following in pairwise(self.arrivals):
            if following - last > BLIND_AFTER:
                deaf |= set(range(last, following + SETTLE))
        return deaf


class Mark(NamedTuple):
    """A mark, and the ticks before its clock in which its writer could not hear, or says so."""

    vouched: Vouched
    deaf: set[int]


class World(RuleBasedStateMachine):
    """Two sources, two workers that may re-key each of them, one log of evidence, and one who reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.logs = {place: Log() for place in PLACES}
        self.tasks: dict[tuple[Place, int], Task] = {}
        self.evidence: list[Evidence | Mark] = []

    @initialize(backlog=st.lists(st.integers(900, START), max_size=4))
    def begin(self, backlog: list[int]) -> None:
        """Some records wait in a source; the reader begins with the log of evidence."""
        self.logs[PLACES[0]].appended += sorted(backlog)
        self.snapshot = Snapshot(0, set(), set(), 800, 0, ())
        self.restart()

    @rule()
    def restart(self) -> None:
        """The reader dies, and another one goes on from what was durable."""
        self.position, heard, deaf, clock, taken_off, ahead = self.snapshot
        self.heard, self.deaf = set(heard), set(deaf)
        self.sources = Sources(PLACES)
        self.clock = PartitionClock(
            (),
            settle=SETTLE,
            blind_after=BLIND_AFTER,
            behind_after=BEHIND_AFTER,
            clock=clock,
            taken_off=taken_off,
            deaf=ahead,
            sources=self.sources,
        )
        self.clock.assigned(self.now)
        self.before: Reading | None = None

    @rule()
    def commit(self) -> None:
        """What the reader knows becomes durable."""
        reading = self.clock.advance(self.now)
        self.snapshot = Snapshot(
            self.position, set(self.heard), set(self.deaf), reading.clock, self.clock.taken_off, self.clock.deaf_ahead
        )

    @rule(ticks=st.integers(1, 40))
    def time_passes(self, ticks: int) -> None:
        """Nothing happens for a while: to who re-keys and sees no answer, that is a gap."""
        self.now += ticks

    @rule(place=places)
    def append(self, place: Place) -> None:
        """A client's record."""
        self.logs[place].appended.append(self.now)

    @rule(place=places, number=tasks)
    def assign(self, place: Place, number: int) -> None:
        """A worker is given the source, from the group's offset on. The other one may still go on for a while."""
        self.tasks[place, number] = Task(place, self.logs[place].committed, self.now)

    @rule(place=places, number=tasks)
    def dies(self, place: Place, number: int) -> None:
        """It is gone, with whatever it had read and not written."""
        self.tasks.pop((place, number), None)

    @rule(place=places, number=tasks, most=st.integers(0, 3))
    def polls(self, place: Place, number: int, most: int) -> None:
        """An answer arrives, and some of its records are handed out."""
        task, log = self.tasks.get((place, number)), self.logs[place]
        if task is not None:
            task.position = max(task.position, min(len(log.appended), task.position + most))
            end = len(log.appended)
            task.arrivals.append(self.now)
            task.clock.answered(task.topic, arrived_at=self.now, position=task.position, highwater=end)

    @rule(place=places, number=tasks, commits=st.booleans())
    def writes(self, place: Place, number: int, commits: bool) -> None:
        """What was handed out is written and answered for; perhaps the group learns of it."""
        task, log = self.tasks.get((place, number)), self.logs[place]
        if task is None:
            return
        self.evidence += [Evidence(place, offset) for offset in range(task.written, task.position)]
        if task.position > task.written:
            task.written = task.position
            task.clock.decided(task.topic, next_offset=task.written, timestamp=log.appended[task.written - 1])
        if commits:
            log.committed = max(log.committed, task.written)

    @rule(place=places, number=tasks, answered=st.booleans())
    def marks(self, place: Place, number: int, answered: bool) -> None:
        """A mark is written. Whether its writer hears of it is another matter."""
        task = self.tasks.get((place, number))
        if task is not None:
            vouched = task.voucher.vouch(self.now, paused=False)
            deaf = {tick for tick in task.deaf() if tick < vouched.clock}
            told = {tick for since, until in vouched.deaf for tick in range(max(since, 800), until)}
            self.evidence.append(Mark(vouched, deaf | told))
            if answered:
                task.voucher.told(vouched)

    @rule(most=st.integers(1, 10))
    def reads(self, most: int) -> None:
        """The reader goes on in the log of evidence."""
        for entry in self.evidence[self.position : self.position + most]:
            if isinstance(entry, Mark):
                self.sources.told(entry.vouched)
                self.deaf |= entry.deaf
            else:
                self.heard.add(entry)
        self.position = min(len(self.evidence), self.position + most)

    @rule(rounds=st.integers(1, 12), well=st.sampled_from([PLACES, PLACES[:1], PLACES[1:]]))
    def all_is_well(self, rounds: int, well: tuple[Place, ...]) -> None:
        """Every source (or one) has somebody who re-keys it, and the reader keeps up."""
        for place in well:
            if (place, 0) not in self.tasks:
                self.assign(place, 0)
        for _ in range(rounds):
            self.now += 5
            for place in well:
                self.polls(place, 0, 3)
                self.writes(place, 0, True)
                self.marks(place, 0, True)
            self.reads(100)
            self.the_reader_is_right()

    @invariant()
    def the_reader_is_right(self) -> None:
        """Looked at after each step."""
        reading, before = self.clock.advance(self.now), self.before
        self.before = reading
        assert reading.clock <= self.now
        self.nothing_unread_is_older(reading)
        if before is not None:
            assert reading.clock >= before.clock
            assert reading.patience - before.patience >= 0
            heard = sum(tick not in self.deaf for tick in range(before.clock, reading.clock))
            assert reading.patience - before.patience <= heard
        if reading.may_close:
            assert self.now - reading.clock <= BEHIND_AFTER
            assert not self.sources.unmarked

    def nothing_unread_is_older(self, reading: Reading) -> None:
        """Each record that a source took before the clock has been read: no end can be waiting for us."""
        for place, log in self.logs.items():
            for offset, stamp in enumerate(log.appended):
                assert stamp >= reading.clock or Evidence(place, offset) in self.heard


World.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestRekeyingInAWorld = World.TestCase
