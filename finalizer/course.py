"""The course of one partition: its road, its clock and its watermark, told what was read and what time it is.

Who runs it brings the frames, the fetch answers and the time, and writes what is decided: `shell` on Kafka, `sim` in
a made world. Everything here happens in the order in which it is called, and nothing waits.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from finalizer.changelog import Restored
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.evidence import EvidenceDecoder, decode_mark, is_mark
from finalizer.codecs.stored import Watermark
from finalizer.core.clock import PartitionClock, Reading
from finalizer.core.instances import Instances
from finalizer.core.model import Coordinates, Moment, Phase, SpanKey
from finalizer.core.remembered import Remembered
from finalizer.core.safety import Releases
from finalizer.core.sources import Sources
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.following import Following
from finalizer.pipeline import Decision, Decode, Encoding, Record, Road
from finalizer.policy.schema import Policy

WAKE_LIMIT = 500
"""Spans looked at in one wake-up: some 10 ms."""
EVICT_LIMIT = 1000
"""Spans closed at once where memory is full."""
FORGET_LIMIT = 10_000
"""Remembered spans forgotten in one tick: some 5 ms, and more a second than can finish."""

BUG = (ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What deciding raises only by a mistake of ours: the record is put aside, and many of them stop the worker."""

_NOWHERE = Coordinates("", 0, 0, 0)
PutAside = Callable[[Coordinates, BaseException], None]
"""Told where a record stands that could not be decided, before it is rejected; raises where it is one too many."""


class Decided(NamedTuple):
    """A decision, and the watermark that is true once it is durable; None: what a timer decided moves none."""

    decision: Decision
    watermark: Watermark | None
    records: int = 0


class RekeyedInput(NamedTuple):
    """The topic of re-keyed evidence, and what is known of its sources."""

    topic: str
    sources: Sources


class Course:
    """Of the partition `number`, from a watermark on: `fill` its state, say when it was `assigned`, then go on.

    `most_bytes` bounds what is remembered of closed spans; `releases` and `instances` are those of all partitions of a
    worker.
    """

    def __init__(
        self,
        policy: Policy,
        watermark: Watermark,
        *,
        decoders: Mapping[str, Decode],
        encoding: Encoding,
        most_bytes: int,
        put_aside: PutAside,
        number: int = 0,
        releases: Releases | None = None,
        rekeyed: RekeyedInput | None = None,
        instances: Instances | None = None,
    ) -> None:
        remember = policy.remember
        self.spans = Spans(Remembered(remember.presumed, remember.finished, most_bytes))
        self.evidence = None if rekeyed is None else rekeyed.topic
        self.sources = None if rekeyed is None else rekeyed.sources
        if rekeyed is not None:
            decoders = {**decoders, rekeyed.topic: EvidenceDecoder(rekeyed.sources.clocks).decode}
        self.road = Road(
            policy,
            self.spans,
            decoders=decoders,
            encoding=encoding,
            number=number,
            partitions=watermark.partitions,
            releases=releases,
            rekeyed=self.evidence,
        )
        self.watch = self.road.watch
        self.watch.instances = instances
        self.direct = tuple(topic for topic in watermark.offsets if topic != self.evidence)
        """The topics that are read as they are."""
        self.clock = PartitionClock(
            self.direct,
            settle=policy.safety.settle,
            clock=watermark.clock,
            taken_off=watermark.taken_off,
            deaf=watermark.deaf,
            sources=self.sources,
        )
        self.decided = dict(watermark.offsets)
        """Input topic -> offset of the last record that the state in memory has taken in."""
        self.reading: Reading | None = None
        self.overdue = False
        """The last tick has left some deadlines that are over."""
        self._base = watermark
        self._told: tuple[object, ...] = ()
        self._number = number
        self._put_aside = put_aside
        self._following = Following(self.decided)

    def fill(self, restored: Restored) -> None:
        """Take over a restored state, and find out again what is never stored: when to look at which span."""
        memory, watch, base = self.spans.memory, self.watch, self._base
        memory.horizon = base.horizon
        closed_at = watch.take_over(restored.states, Moment(base.clock, base.clock - base.taken_off, base.horizon))
        watch.outages.pauses = base.pauses
        watch.breaker.restore(base.tripped, closed_at)
        self._told = (base.pauses, base.tripped)
        for (window, _), data in restored.blocks.items():
            memory.load_block(window, data)

    def unsent(self, keys: Iterable[SpanKey]) -> tuple[Decision, list[tuple[SpanKey, State]]]:
        """Finals that were decided before a crash and perhaps never sent, byte for byte, and their spans."""
        decision = Decision()
        unsent = [(key, self.spans.states[key]) for key in sorted(keys)]
        for key, state in unsent:
            self.road.again(key, state, decision)
        return decision, unsent

    def assigned(self, now: int, *, ends: Mapping[str, int], asked_at: int) -> None:
        """The partition is ours from now on. `ends`: where each input's log ended at `asked_at`."""
        self.clock.assigned(now)
        for topic in self.direct:
            offset = self.decided[topic]
            self.clock.skipped(topic, position=offset + 1)
            self.clock.decided(topic, next_offset=offset + 1, timestamp=0)
            if ends[topic] <= offset + 1:
                self.clock.nothing_unread(topic, at=asked_at)

    def read_on(self) -> None:
        """Frames are read anew, from behind what is decided."""
        self._following.read_on()

    def stop_reading(self) -> None:
        """What was read and is not decided is dropped, and what comes behind it is not taken, until `read_on`."""
        self._following.stop()

    def follows(self, topic: str, *, begin: int, end: int) -> bool:
        """True if a frame (positions before and after its poll) is to be taken. Raises `Hole`: the partition must be
        restored."""
        return self._following.follows(topic, begin=begin, end=end, decided=self.decided[topic])

    def lost(self) -> None:
        """Records were deleted before they were read: the finals of what is open now are marked from now on."""
        clock = 0 if self.reading is None else self.reading.clock
        gap = max(_latest_opened(self.spans.states), clock, self._base.gap)
        self._base = msgspec.structs.replace(self._base, gap=gap)

    def hear(
        self, topic: str, records: Sequence[Record], *, end: int, stamped: bool, now: int, arrived_at: int | None = None
    ) -> Decided:
        """Decide a frame, up to position `end`. `stamped`: its timestamps are the broker's (`LogAppendTime`).

        `arrived_at`: when the frame came, if it has waited. A producer's timestamp is not believed beyond that.

        Records at or below what is decided are passed over. Raises `NewerFormat`.
        """
        decided, clock = self.decided[topic], self.clock
        if records and records[0].offset <= decided:
            records = [record for record in records if record.offset > decided]
        if topic == self.evidence:
            return self._hear_rekeyed(topic, records, end=end, now=now)
        floor, ceiling = 0, 2**63 - 1
        if not stamped:
            floor = clock.topic_time(topic)
            ceiling = max(floor, now if arrived_at is None else arrived_at)
        newest = newest_of(clock, topic, records, stamped=stamped, arrived_at=min(ceiling, now))
        clock.decided(topic, next_offset=end, timestamp=newest, word=word_before(clock.to_pass, records))
        self.reading = reading = clock.advance(now)
        moment = self._heard_at(reading)
        decision = self._decide(topic, records, moment, floor, ceiling)
        self.decided[topic] = max(decided, end - 1)
        return Decided(decision, self.watermark(), len(records))

    def _hear_rekeyed(self, topic: str, records: Sequence[Record], *, end: int, now: int) -> Decided:
        """Decide what stands before each mark by the clock before it: no mark vouches for what is heard after it."""
        whole, before, count = Decision(), list[Record](), 0
        for record in records:
            if not is_mark(record.value):
                before.append(record)
                continue
            count += self._decide_rekeyed(topic, before, whole, now)
            before = []
            self._marked(record)
        count += self._decide_rekeyed(topic, before, whole, now)
        self.reading = self.clock.advance(now)
        self.decided[topic] = max(self.decided[topic], end - 1)
        return Decided(whole, self.watermark(), count)

    def _decide_rekeyed(self, topic: str, records: Sequence[Record], whole: Decision, now: int) -> int:
        if records:
            reading = self.clock.advance(now)
            if not reading.clock:
                self.clock.begin(self._first_heard(topic, records, now))
                reading = self.clock.advance(now)
            whole.absorb(self._decide(topic, records, self._heard_at(reading), 0, 0))
        return len(records)

    def _first_heard(self, topic: str, records: Sequence[Record], now: int) -> int:
        """The earliest time at which any of this evidence was heard."""
        decode, first = self.road.decoders[topic], now
        for record in records:
            try:
                first = min(first, decode(record.value, _NOWHERE).heard_at)
            except Unusable:
                continue
        return first

    def _marked(self, record: Record) -> None:
        assert self.sources is not None and record.value is not None
        try:
            for vouched in decode_mark(record.value):
                self.sources.told(vouched)
                if vouched.lost:
                    self.lost()
        except Unusable:
            return  # not ours: ours are, until they are of a newer format

    def tick(self, now: int) -> Decided | None:
        """What the time alone brings about, a bounded piece of it; None: nothing."""
        self.reading = reading = self.clock.advance(now)
        self.overdue = False
        moment = self._moment(reading)
        self.watch.attend(moment)
        decision = self.road.forget(moment, limit=FORGET_LIMIT)
        if decision:
            return Decided(decision, self.watermark())
        if self.crowded:
            decision = self.road.evict(moment, limit=EVICT_LIMIT)
            if decision:
                return Decided(decision, None)
        if reading.may_close:
            decision = self.road.wake(moment, limit=WAKE_LIMIT)
            self.overdue = self.watch.more
            if decision:
                return Decided(decision, None)
        if self._told != (self.watch.outages.pauses, self.watch.breaker.tripped):
            return Decided(Decision(), self.watermark())
        return None

    @property
    def crowded(self) -> bool:
        """True if more is open than there may be: nothing is to be heard before a tick has made room."""
        return self.watch.crowd.over

    def watermark(self) -> Watermark:
        """What the state in memory is complete up to."""
        base, reading = self._base, self.reading
        pauses, tripped = self.watch.outages.pauses, self.watch.breaker.tripped
        self._told = (pauses, tripped)
        return Watermark(
            offsets=dict(self.decided),
            delivery=base.delivery,
            partitions=base.partitions,
            clock=base.clock if reading is None else reading.clock,
            taken_off=self.clock.taken_off,
            horizon=self.spans.memory.horizon,
            policy=self.road.policy.fingerprint,
            gap=base.gap,
            tripped=tripped,
            pauses=pauses,
            sources=base.sources,
            deaf=self.clock.deaf_ahead,
        )

    def _moment(self, reading: Reading) -> Moment:
        return Moment(
            reading.clock, reading.patience, self.spans.memory.horizon, self._base.gap, stops=self.clock.stops
        )

    def _heard_at(self, reading: Reading) -> Moment:
        """The moment for what is heard, perhaps before patience stood still the last time."""
        stops = self.clock.stops
        return self._moment(reading).but(stood=stops[-1].at if stops else 0)

    def _decide(self, topic: str, records: Sequence[Record], moment: Moment, floor: int, ceiling: int) -> Decision:
        """Decide a frame; if that fails, record by record, so that the one that cannot be decided is put aside."""
        try:
            return self.road.hear(topic, records, moment, floor=floor, ceiling=ceiling)
        except BUG as error:
            if len(records) == 1:
                return self._aside(topic, records[0], error)
            whole = Decision()
            for record in records:
                whole.absorb(self._decide(topic, [record], moment, floor, ceiling))
            return whole

    def _aside(self, topic: str, record: Record, error: BaseException) -> Decision:
        source = Coordinates(topic, self._number, record.offset, 0)
        self._put_aside(source, error)
        decision, said = Decision(), Unusable(Reason.INTERNAL_ERROR, str(error))
        self.road.reject(record, source, said, decision, exception=type(error).__name__)
        return decision


def newest_of(clock: PartitionClock, topic: str, records: Sequence[Record], *, stamped: bool, arrived_at: int) -> int:
    """The time (ns) that a frame tells, no later than its arrival; 0 without records."""
    if not records:
        return 0
    if stamped:
        return min(records[-1].timestamp * 1_000_000, arrived_at)
    return clock.believed(topic, statistics.median_low(r.timestamp for r in records) * 1_000_000, arrived_at=arrived_at)


def word_before(moment: int | None, records: Sequence[Record]) -> int | None:
    """The newest record time (ns) up to `moment`: None if there is none, or nobody asks."""
    if moment is None:
        return None
    latest = moment // 1_000_000
    times = [record.timestamp for record in records if record.timestamp <= latest]
    return max(times) * 1_000_000 if times else None


def past_gaps(
    watermark: Watermark, first: Mapping[str, int], states: Mapping[SpanKey, State]
) -> tuple[Watermark, dict[str, int]]:
    """The watermark moved past records that were deleted before they were read, and how many those were, by topic.

    `first`: where each input's log begins now. The finals of spans that were open across a gap, and of those heard
    first before the last of these was, are marked from now on.
    """
    offsets, gaps = dict(watermark.offsets), dict[str, int]()
    for topic, offset in watermark.offsets.items():
        if offset + 1 < first[topic]:
            gaps[topic] = first[topic] - offset - 1
            offsets[topic] = first[topic] - 1
    if not gaps:
        return watermark, gaps
    gap = max(_latest_opened(states), watermark.clock, watermark.gap)
    return msgspec.structs.replace(watermark, offsets=offsets, gap=gap), gaps


def _latest_opened(states: Mapping[SpanKey, State]) -> int:
    """When (heard time) the youngest open span was heard first; 0 if none is open."""
    return max((state.first_heard_at for state in states.values() if state.phase is Phase.OPEN), default=0)


def first_watermark(
    policy: Policy, offsets: Mapping[str, int], *, delivery: str, partitions: int, sources: Sequence[str] = ()
) -> Watermark:
    """The watermark of a state that has taken in nothing yet, and begins behind these offsets."""
    return Watermark(
        offsets=dict(offsets),
        delivery=delivery,
        partitions=partitions,
        clock=0,
        taken_off=0,
        horizon=0,
        policy=policy.fingerprint,
        sources=tuple(sources),
    )
