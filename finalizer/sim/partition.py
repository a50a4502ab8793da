"""One partition of a simulated worker: what it polls, what it decides, and how that becomes durable, effect by effect.

The order is that of `shell`: room first, then decide; groups of evidence or of a timer; outputs and changelog in one
transaction, or the outputs first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from finalizer.changelog import Change, Changelog
from finalizer.core.model import SpanKey
from finalizer.core.state import State
from finalizer.core.terms import SECOND
from finalizer.course import Course, Decided
from finalizer.decision import Decision, Output, united
from finalizer.following import Hole
from finalizer.sim.broker import Broker, Fenced, Record
from finalizer.sim.kernel import Process
from finalizer.sim.plan import Where
from finalizer.sim.shadow import Shadow

QUEUE_ITEMS = 8
INBOX_FRAMES = 3
TOUCH = 10 * SECOND

T = TypeVar("T")
Calling = Generator[int, None, T]


class Unanswered(Exception):
    """The broker did not answer in time: nobody knows what became of the request."""


class Host(Protocol):
    """The worker, as its partitions see it."""

    broker: Broker
    stamped: Mapping[str, bool]
    """Input topic -> its timestamps are the broker's."""
    most_records: int

    def time(self) -> int:
        """What it takes for the broker's time."""

    def reachable(self) -> bool:
        """True while it can talk to the broker."""

    def reach(self, where: Where) -> bool:
        """To be told between two effects: may kill. True if it is frozen here."""

    def call(self, act: Callable[[int], T], *, repeats: bool = False) -> Calling[T]:
        """Ask the broker; `repeats`: what is sent again is there twice. Raises `Unanswered`, and what `act` raises."""

    def doubt(self, partition: Partition, error: Exception) -> None:
        """It is not certain any more what this partition has written, or read."""

    def acked(self, partition: Partition) -> None:
        """The group may know how far it is."""

    def loses_frame(self) -> bool:
        """True if what was polled just now is lost."""


class Frame(NamedTuple):
    """What one poll returned of one topic: records, and the positions before and after it.

    Without records: what lay between was deleted.
    """

    topic: str
    begin: int
    end: int
    records: Sequence[Record]
    arrived_at: int
    lost: bool = False


class Partition:
    """From its restore on; polls and decides while it is `running`."""

    def __init__(
        self, host: Host, number: int, course: Course, *, changelog: Changelog, epoch: int | None, shadow: Shadow
    ) -> None:
        self.number = number
        self.course = course
        self.running = False
        self.durable = dict(course.decided)
        self._host = host
        self._changelog = changelog
        self._epoch = epoch
        self._shadow = shadow
        self._queue: deque[Decided] = deque()
        self._inbox: deque[Frame] = deque()
        self._positions: dict[str, int] = {}
        self._unsought: set[str] = set()
        self._goes_on: set[str] = set()
        """Topics of which a frame was taken since the start: from here on a hole is seen."""
        self._fetched: dict[str, int] = {}
        self._touched_at = host.time()
        self._owed = Decision()
        """What the timer decided last, if its outputs are not sent."""

    @property
    def clean(self) -> bool:
        """All that was decided is durable."""
        return not self._queue

    @property
    def positions(self) -> Mapping[str, int]:
        """Where the consumer stands."""
        return self._positions

    def start(self, positions: Mapping[str, int]) -> None:
        """Begin, or go on. `positions`: from where the consumer polls until it has sought what comes next."""
        self.running = True
        self.course.read_on()
        self._fetched.clear()
        self._positions = {topic: positions.get(topic, offset + 1) for topic, offset in self.course.decided.items()}
        self._unsought = set(self._positions)
        self._goes_on.clear()

    def pause(self) -> None:
        """Decide nothing more; what was polled and not decided, and whatever still comes, will be read again."""
        self.running = False
        self.course.stop_reading()
        self._inbox.clear()

    def beat(self) -> bool:
        """What happens between two polls, while it is given up as well. True if there is something to commit.

        What was polled waits until the next one before it is decided.
        """
        if self.running:
            self._decide()
        for topic in self._positions:
            self._poll(topic)
        return bool(self._queue)

    def commit(self) -> Process:
        """Make durable what is decided, group by group."""
        while self._queue:
            group = self._group()
            try:
                yield from self._commit(group)
                if self._changelog.owes and len(self._queue) == len(group):
                    yield from self._settle()
            except (Fenced, Unanswered) as error:
                self._host.doubt(self, error)
                return
            for _ in group:
                self._queue.popleft()

    def write(
        self, changes: list[Change], outputs: Sequence[Output], durable: Callable[[], None], *, of_timer: bool = False
    ) -> Process:
        """Make changes and outputs durable; `durable` is told when they are, whether or not we hear of it. `of_timer`:
        what a timer decided is among the outputs."""
        host, number, epoch = self._host, self.number, self._epoch
        broker, again, durable = host.broker, epoch is None, _once(durable)
        if epoch is not None:
            if host.reach(Where.BEFORE_BEGIN):
                yield 0
            yield from host.call(lambda now: broker.begin(number, epoch, now=now))
        if outputs:
            if host.reach(Where.BEFORE_OUTPUTS):
                yield 0
            yield from host.call(lambda now: broker.send(number, epoch, outputs, now=now), repeats=again)
            if host.reach(Where.PRESUMED_SENT if of_timer else Where.BETWEEN_SENDS):
                yield 0
        yield from host.call(lambda now: broker.log(number, epoch, changes, now=now, durable=durable), repeats=again)
        if epoch is not None:
            if host.reach(Where.BEFORE_COMMIT):
                yield 0
            yield from host.call(lambda now: broker.commit(number, epoch, now=now))
        if host.reach(Where.BEFORE_ACK):
            yield 0

    def again(self, decision: Decision, unsent: Iterable[tuple[SpanKey, State]]) -> Process:
        """Write finals that were decided before a crash and not marked as sent."""
        unsent = list(unsent)
        changes = self._changelog.again(unsent)
        yield from self.write(changes, decision.outputs, lambda: self._shadow.sent(key for key, _ in unsent))

    def touch(self) -> Process:
        """Write the watermark alone."""
        yield from self.write(self._changelog.touch(), (), lambda: None)

    def _poll(self, topic: str) -> None:
        """Take the answer to the last request, and make the next: what is answered is as old as the last answer."""
        course, host = self.course, self._host
        log, position = host.broker.inputs[topic][self.number], self._positions[topic]
        until = self._fetched.get(topic)
        if until is None or len(self._inbox) >= INBOX_FRAMES:
            if self.running and topic != course.evidence:
                course.clock.moved(topic, position=position)
        else:
            del self._fetched[topic]
            if position < log.first:
                self._accept(Frame(topic, position, log.first, (), host.time(), lost=True))
                self._positions[topic] = position = log.first
            records, end = log.read(position, host.most_records, until)
            if end > position and not (topic in self._goes_on and host.loses_frame()):
                self._accept(Frame(topic, position, end, records, host.time()))
            if self.running and topic != course.evidence:
                course.clock.answered(topic, arrived_at=host.time(), position=end, highwater=until)
            if topic in self._unsought:
                self._unsought.discard(topic)
                end = course.decided[topic] + 1
            self._positions[topic] = end
        if topic not in self._fetched and host.reachable():
            self._fetched[topic] = log.end

    def _accept(self, frame: Frame) -> None:
        try:
            if self.course.follows(frame.topic, begin=frame.begin, end=frame.end):
                self._inbox.append(frame)
                self._goes_on.add(frame.topic)
        except Hole as hole:
            self._host.doubt(self, hole)

    def _decide(self) -> None:
        course, host = self.course, self._host
        self._tick()
        while self._inbox and len(self._queue) < QUEUE_ITEMS:
            topic, _, end, records, arrived_at, lost = self._inbox.popleft()
            if lost:
                course.lost()
            stamped, now = host.stamped[topic], host.time()
            self._queue.append(course.hear(topic, records, end=end, stamped=stamped, now=now, arrived_at=arrived_at))
            self._tick()

    def _tick(self) -> None:
        now = self._host.time()
        while len(self._queue) < QUEUE_ITEMS and (decided := self.course.tick(now)) is not None:
            self._queue.append(decided)
        if now - self._touched_at > TOUCH and not self._queue:
            self._touched_at = now
            self._queue.append(Decided(Decision(), self.course.watermark()))

    def _group(self) -> list[Decided]:
        of_timer = self._queue[0].watermark is None
        group = []
        for decided in self._queue:
            if (decided.watermark is None) is not of_timer:
                break
            group.append(decided)
        return group

    def _commit(self, group: Sequence[Decided]) -> Process:
        decisions = [decided.decision for decided in group]
        for decided in group:
            if decided.watermark is not None:
                self._changelog.watermark = decided.watermark
        whole = united(decisions)
        of_timer = group[0].watermark is None
        write = self._changelog.write(whole, of_timer=of_timer, sends=bool(whole.outputs))
        owed, self._owed = self._owed, whole if self._changelog.owes else Decision()
        outputs = [*owed.outputs, *whole.outputs] if write.sends else owed.outputs
        noted = self._noted(owed, decisions, write.changes, unsent=self._changelog.owes)
        yield from self.write(write.changes, outputs, noted, of_timer=of_timer or bool(owed.outputs))
        self._touched_at = self._host.time()
        for decided in group:
            if decided.watermark is not None:
                self.durable = decided.watermark.offsets
        self._host.acked(self)

    def _settle(self) -> Process:
        owed, self._owed = self._owed, Decision()
        noted = partial(self._shadow.sent, owed.changes)
        yield from self.write(self._changelog.settle().changes, owed.outputs, noted, of_timer=True)

    def _noted(
        self, owed: Decision, decisions: Sequence[Decision], changes: list[Change], *, unsent: bool
    ) -> Callable[[], None]:
        """What is to be noted when these changes are durable: `owed` is sent, these are decided; `unsent`: without the
        outputs that there are."""
        if not any(decision.outputs for decision in decisions) and len(changes) == 1:
            return lambda: None  # the watermark alone

        def note() -> None:
            self._shadow.sent(owed.changes)
            self._shadow.decided(decisions, unsent=unsent)

        return note


def _once(tell: Callable[[], None]) -> Callable[[], None]:
    """What is written twice, since its answer was lost, became durable when it was written first."""
    left = [tell]
    return lambda: left.pop()() if left else None
