"""One partition: its inbox of frames, its course, its two watermarks, and what is pending for its writer.

*Decided* is how far the state in memory goes, *durable* how far the changelog does. One task decides (slices of frames
and timer, one after the other), another commits. Room first, then decide: the deciding task waits for room among what
is pending, then decides and adds with no await between, so that decisions and commits have one order.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from finalizer.codecs.evidence import NewerFormat
from finalizer.codecs.stored import Watermark
from finalizer.core.clock import Reading
from finalizer.core.model import Coordinates
from finalizer.core.refusals import Refusals
from finalizer.course import Course
from finalizer.following import Hole
from finalizer.pipeline import Decision, Record
from finalizer.shell import alarms, logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.frames import Answer, Frame
from finalizer.shell.metrics import Metrics
from finalizer.shell.pending import Group, Item, Pending
from finalizer.shell.routing import Routing
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended
from finalizer.shell.writer import Stamp, Writer

log = logs.get("partition")

TICK_SECONDS = 0.05
INBOX_FRAMES = 3
SLICE_RECORDS = 256
"""Records decided at once: some 2 ms, and no more than the processor keeps at hand until they are in a batch."""
TOUCH_SECONDS = 10.0
INTERNAL_ERRORS_A_MINUTE = 10


class Keeper(Protocol):
    """Who owns the partitions: holds back polling, and takes over when a partition is in doubt."""

    def hold(self, number: int, topic: str) -> None: ...
    def release(self, number: int, topic: str) -> None: ...
    def answer(self, number: int, topic: str) -> Answer | None: ...
    def doubt(self, partition: Partition, error: BaseException) -> None: ...


class Undecided:
    """Tells of each record of a partition that could not be decided; more than ten in a minute stop the worker."""

    def __init__(self) -> None:
        self._errors: deque[float] = deque(maxlen=INTERNAL_ERRORS_A_MINUTE)

    def __call__(self, source: Coordinates, error: BaseException) -> None:
        log.error(
            "internal_error",
            "a record could not be decided; it is on the rejected topic, please report this",
            topic=source.topic,
            partition=source.partition,
            offset=source.offset,
            exc=error,
        )
        now = time.monotonic()
        if len(self._errors) == INTERNAL_ERRORS_A_MINUTE and now - self._errors[0] < 60:
            raise Stop(
                Exit.SAFETY, "more than ten records in a minute could not be decided: a bug, see the log"
            ) from error
        self._errors.append(now)


class Partition:
    """Runs from `start` until `quiesce` or `stop`. Everything here happens on the worker's one event loop."""

    def __init__(
        self,
        number: int,
        course: Course,
        writer: Writer,
        *,
        keeper: Keeper,
        broker_time: BrokerTime,
        metrics: Metrics,
        routing: Routing,
        gaps: dict[str, int],
        app_id: str,
    ) -> None:
        self.number = number
        self.course = course
        self.road = course.road
        self.clock = course.clock
        self.writer = writer
        self.generation = -1
        self.decided = course.decided
        self.durable = dict(course.decided)
        self._app_id = app_id
        self._policy = course.road.policy
        self.gaps = gaps
        """Input topic -> records that retention deleted before they were read."""
        self.paused_inputs: set[str] = set()
        self._keeper = keeper
        self._time = broker_time
        self._metrics = metrics
        self._routing = routing
        self._inbox: deque[tuple[Any, Frame]] = deque()
        self._arrived = asyncio.Event()
        self._slices: deque[_Slice] = deque()
        """What is left of the frame in hand."""
        self._pending = Pending(writer.group)
        self._tasks: list[asyncio.Task[None]] = []
        self._seen_stamp: dict[str, int] = {}
        self._next_tick = 0.0
        self._touched_at = time.monotonic()
        self._refusals: dict[str, Refusals] = {}
        self._unacked: list[Any] = []
        """Events to acknowledge with the next item."""
        self.progressed_at = self.started_at = time.monotonic()
        self.committing = False
        """A group is on its way: the broker has the word, and its client's own limits apply."""

    def start(self, generation: int) -> None:
        """Begin (or go on) in this generation, reading after what is decided."""
        self.generation = generation
        self._pending = Pending(self.writer.group)
        self._slices = deque()
        self.course.read_on()
        self.started_at = time.monotonic()
        self._unacked = []
        self._tasks = [asyncio.create_task(self._decide_all()), asyncio.create_task(self._commit_all())]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    @property
    def running(self) -> bool:
        return bool(self._tasks)

    @property
    def reading(self) -> Reading | None:
        """What the clock said when last something was decided."""
        return self.course.reading

    def accept(self, event: Any, frame: Frame) -> None:
        """Take a frame from the agent; never blocks. A stale one is dropped: it will be read again."""
        topic = frame.topic
        if frame.generation != self.generation:
            return
        try:
            if not self.course.follows(topic, begin=frame.begin, end=frame.end):
                return
        except Hole as hole:
            self._keeper.doubt(self, hole)
            return
        self._inbox.append((event, frame))
        self._arrived.set()
        if len(self._inbox) >= INBOX_FRAMES:
            self._keeper.hold(self.number, topic)

    async def quiesce(self, limit: float) -> bool:
        """Decide nothing more and commit what was decided, within `limit` seconds.

        True: memory and changelog agree, the partition may go on later. False: it must be restored.
        """
        deciding, committing = self._tasks or (None, None)
        if deciding is None or committing is None:
            return False
        self.course.stop_reading()
        await ended([deciding])
        self._inbox.clear()
        emptied = asyncio.ensure_future(self._pending.emptied())
        await asyncio.wait([emptied, committing], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        clean = emptied.done()  # a timer's group in hand is seen by this alone: it moves no offset
        await ended([emptied, committing])
        self._tasks = []
        return clean

    async def ask(self, limit: float) -> BaseException | None:
        """What our producer is told if it writes now: None if we are still the owner. For after `quiesce`."""
        if not self.writer.transactional:
            return None
        asking = asyncio.ensure_future(self.writer.write(self.writer.changelog.touch()))
        done, _ = await asyncio.wait([asking], timeout=limit)
        if not done:
            await ended([asking])
            return TimeoutError()
        return asking.exception()

    async def stop(self) -> None:
        """Drop everything that is not durable, and close the producer."""
        self.course.stop_reading()
        await ended(self._tasks)
        self._tasks = []
        await self.writer.stop()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that ends by itself has failed: the owner decides what is to be done."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._keeper.doubt(self, error)

    async def _decide_all(self) -> None:
        while True:
            await self._pending.room()
            if self._slices or self._inbox or time.monotonic() >= self._next_tick:
                await asyncio.sleep(0)
            else:
                self._arrived.clear()
                await self._wait_for_work()
            item = self._next()
            self.progressed_at = time.monotonic()
            if item is not None:
                self._pending.add(item)
            if self.course.overdue and (item is None or self._pending.of_timer or not (self._slices or self._inbox)):
                self._next_tick = 0.0  # evidence waits until a timer's group is full, never until all is closed

    def _next(self) -> Item | None:
        item = self._tick() if time.monotonic() >= self._next_tick or self.course.crowded else None
        if item is not None:
            return item
        if not self._slices and self._inbox:
            self._slices = self._begin(*self._inbox.popleft())
        return self._hear(self._slices.popleft()) if self._slices else None

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._next_tick - time.monotonic())):
                await self._arrived.wait()
        except TimeoutError:
            pass

    def _begin(self, event: Any, frame: Frame) -> deque[_Slice]:
        """Take a frame in hand."""
        topic, records = frame.topic, frame.records
        if frame.lost:
            self.gaps[topic] = self.gaps.get(topic, 0) + frame.lost
            tell_of_gap(topic, self.number, frame.lost)
            self.course.lost()
        if len(self._inbox) < INBOX_FRAMES and topic not in self.paused_inputs:
            self._keeper.release(self.number, topic)
        if topic != self.course.evidence:
            self._routing.look((topic, self.number), records, self.road.decoders[topic])
        frame.records = ()  # the frame lives until it is acknowledged; its records are freed while they are warm
        return deque(_slices(event, frame, records))

    def _hear(self, part: _Slice) -> Item | None:
        topic = part.topic
        try:
            decision, watermark, count = self.course.hear(
                topic,
                part.records,
                end=part.end,
                stamped=part.stamped,
                now=self._time.now(),
                arrived_at=self._time.at(part.arrived_at),
            )
        except NewerFormat as error:
            told = f"{topic} (partition {self.number}, before offset {part.end}) holds {error}"
            raise Stop(Exit.SAFETY, f"{told}: deploy a release that reads it") from error
        if part.event is not None:
            self._unacked.append(part.event)
        if topic != self.course.evidence:
            self._judge_input(topic, count, decision)
        elif part.records and not count:
            return None  # marks alone, four times a second: not worth a group
        return self._item(decision, watermark, count)

    def _item(self, decision: Decision, watermark: Watermark | None, records: int) -> Item:
        """An item of evidence, with the acknowledgements that wait for one."""
        acks, self._unacked = tuple(self._unacked), []
        return Item(decision, watermark, acks, records)

    def _judge_input(self, topic: str, records: int, decision: Decision) -> None:
        """Pause an input of which too much is unusable."""
        rule = self.road.policy.outputs.rejected
        refusals = self._refusals.setdefault(topic, Refusals(rule.max_ratio, rule.over))
        too_many = refusals.count(records, sum(n for key, n in decision.tally.items() if key[0] == "rejected_total"))
        if too_many is not None:
            self.paused_inputs.add(topic)
            self._keeper.hold(self.number, topic)
            log.error("input_paused", too_many.told(rule.topic), topic=topic, partition=self.number)

    def _tick(self) -> Item | None:
        now = time.monotonic()
        self._next_tick = now + TICK_SECONDS
        for topic in self.course.direct:
            answer = self._keeper.answer(self.number, topic)
            if answer is None:
                continue
            if answer.stamp != self._seen_stamp.get(topic):
                self._seen_stamp[topic] = answer.stamp
                self.clock.answered(
                    topic,
                    arrived_at=self._time.at(answer.arrived_at),
                    position=answer.position,
                    highwater=answer.highwater,
                )
            else:
                self.clock.moved(topic, position=answer.position)
        decided = self.course.tick(self._time.now())
        alarms.tell(self.course.watch.news, partition=self.number, app_id=self._app_id, safety=self._policy.safety)
        if decided is not None:
            decision, watermark, _ = decided
            if watermark is not None:
                self._next_tick = now  # something was forgotten; the deadlines are looked at right after this
            return Item(decision, watermark, (), 0)
        if now - self._touched_at > TOUCH_SECONDS:
            self._touched_at = now
            return self._item(Decision(), self.course.watermark(), 0)
        return None

    async def _commit_all(self) -> None:
        untold: deque[Group] = deque()
        while True:
            group = await self._pending.take()
            untold.append(group)
            await self._commit(group)
            if self.writer.owes and not self._pending.waits:
                await self._written(self.writer.settle())
            while untold and not (untold[0] is group and self.writer.owes):
                self._tell(untold.popleft())
            self._pending.done()

    async def _commit(self, group: Group) -> None:
        began = time.monotonic()
        await self._written(self.writer.commit(group))
        if group.watermark is not None:
            self.durable = group.watermark.offsets
        for event in group.acks:
            event.ack()
        self._metrics.group_committed(time.monotonic() - began, group.records)

    async def _written(self, writing: Awaitable[Stamp | None]) -> None:
        self.committing = True
        stamp = await writing
        self.committing = False
        self._touched_at = self.progressed_at = time.monotonic()
        if stamp is not None:
            self._time.learned(stamp.stamp_ms, answered_at=stamp.answered_at)

    def _tell(self, group: Group) -> None:
        """Count what became of a group that is durable, and sent."""
        self._metrics.apply(group.whole.tally)
        now = self._time.at(self.progressed_at)
        for due_at, count in Counter(group.whole.deadlines if group.of_timer else ()).items():
            self._metrics.observe_closing_delay(max(0.0, (now - due_at) / 1e9), count)


class _Slice(NamedTuple):
    """Some records of a frame, decided at once."""

    topic: str
    records: Sequence[Record]
    end: int
    """Everything below is decided with it."""
    stamped: bool
    arrived_at: float
    """Of the frame, in monotonic seconds."""
    event: Any
    """What is to be acknowledged with it: of the last one only."""


def _slices(event: Any, frame: Frame, records: Sequence[Record]) -> Iterator[_Slice]:
    stamped, last = frame.timestamp_type == 1, max(len(records) - SLICE_RECORDS, 0)
    begin = 0
    while begin < last:
        until = begin + SLICE_RECORDS
        yield _Slice(frame.topic, records[begin:until], records[until].offset, stamped, frame.arrived_at, None)
        begin = until
    yield _Slice(frame.topic, records[begin:], frame.end, stamped, frame.arrived_at, event)


def tell_of_gap(topic: str, partition: int, records: int) -> None:
    """Say that evidence is lost for good."""
    log.error(
        "input_gap",
        "retention deleted records that were never read: spans may be closed without their ends, and their finals "
        "carry span_finalizer.evidence_gap",
        topic=topic,
        partition=partition,
        records=records,
    )
