"""The sources of this worker: who re-keys which partition in which generation, and the marks that vouch for them.

A worker writes one mark for all its sources, to every partition of the evidence, four times a second. What a mark
vouches for was answered for before it is written, so it stands in front of it, whichever producer wrote it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.types import TP

from finalizer.codecs.evidence import encode_mark
from finalizer.codecs.parts import DecodeBatch
from finalizer.core.sources import Place
from finalizer.following import Hole
from finalizer.rekeying import Limits, Rekeying
from finalizer.shell import logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.evidence import EvidenceWriter
from finalizer.shell.frames import Frame, FrameConsumer
from finalizer.shell.metrics import Metrics
from finalizer.shell.offsets import Log, committed_of, logs_of
from finalizer.shell.outbox import Destination
from finalizer.shell.partition import Undecided
from finalizer.shell.settings import Settings, StartFrom
from finalizer.shell.source import Polling, Source
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended
from finalizer.shell.topics import Facts

log = logs.get("rekey")

MARK_SECONDS = 0.25
AWAY_SECONDS = 1.0
"""Between two attempts to reach a broker that is away."""
DOUBT_SECONDS = 60.0


class Rekey:
    """The source partitions of this worker, whose evidence goes to `to`. `fail` ends the worker."""

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        to: Destination,
        *,
        decoders: Mapping[str, DecodeBatch],
        rejected_bytes: int | None,
        broker_time: BrokerTime,
        metrics: Metrics,
        polling: Polling,
        fail: Callable[[BaseException], None],
    ) -> None:
        self.settings = settings
        self.sources: dict[TP, Source] = {}
        self._facts = facts
        self.places: set[Place] = {(topic, n) for topic, count in facts.sources.items() for n in range(count)}
        """All source partitions that there are, whoever has them."""
        self._decoders = decoders
        self._time = broker_time
        self._metrics = metrics
        self._polling = polling
        self._fail = fail
        self._writer = EvidenceWriter(settings, facts, to, broker_time)
        self._limits = Limits(self._writer.most_bytes, rejected_bytes)
        self._kept_in: dict[TP, int] = {}
        self._marking: asyncio.Task[None] | None = None
        self._cures: set[asyncio.Task[None]] = set()
        self._doubted: dict[TP, float] = {}

    def reads(self, topic: str) -> bool:
        return topic in self._decoders

    def accept(self, event: Any, frame: Frame) -> None:
        """Take a frame of a source."""
        source = self.sources.get(TP(frame.topic, frame.partition))
        if source is not None:
            source.accept(event, frame)

    def start_positions(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where to read on."""
        return {tp: self.sources[tp].rekeying.decided + 1 for tp in tps if tp in self.sources}

    def durable(self, tp: TP) -> int | None:
        """The last offset that was answered for: what the group may commit, and is the truth."""
        source = self.sources.get(tp)
        return None if source is None else source.rekeying.decided

    async def revoked(self, limit: float) -> None:
        """Before the join: take nothing more, and let the groups in hand be written."""
        await ended(self._cures)
        running = [source for source in self.sources.values() if source.running]
        await asyncio.gather(*(source.quiesce(limit) for source in running))
        for source in running:
            self._kept_in[TP(source.topic, source.number)] = source.generation

    def look(self, consumer: FrameConsumer) -> set[Place]:
        """All source partitions that there are. (One may have got more of them: that begins a generation.)"""
        for topic in self._decoders:
            self.places |= {(topic, number) for number in range(consumer.topic_partitions(topic) or 0)}
        return self.places

    async def recover(self, tps: Iterable[TP], generation: int, consumer: FrameConsumer) -> None:
        """Go on with the sources that were kept in this generation, begin with the others. Raises `KafkaError`."""
        wanted = {tp for tp in tps if tp.topic in self._decoders}
        lost = [tp for tp in self.sources if tp not in wanted or self._kept_in.get(tp) != generation - 1]
        await asyncio.gather(*(self.sources.pop(tp).stop() for tp in lost))
        made = await self._made(sorted(wanted - set(self.sources)))
        if generation != consumer.app.consumer_generation_id:
            return
        for source in made:
            self.sources[TP(source.topic, source.number)] = source
        for tp, source in self.sources.items():
            source.start(generation)
            self._kept_in[tp] = generation
        if self._marking is None and self._decoders:
            self._marking = asyncio.create_task(self._mark_all())
            self._marking.add_done_callback(self._ended)

    async def close(self) -> None:
        """Leave no task and no producer."""
        await ended(self._cures if self._marking is None else {*self._cures, self._marking})
        await asyncio.gather(*(source.stop() for source in self.sources.values()))
        await self._writer.stop()

    async def _made(self, tps: list[TP]) -> list[Source]:
        """While the broker is away it is asked again: nothing can be read meanwhile."""
        while tps:
            try:
                asked_at = time.monotonic()
                places = [TopicPartition(tp.topic, tp.partition) for tp in tps]
                found = await logs_of(self.settings, places)
                committed = await committed_of(self.settings, [TopicPartition(*place) for place in self.places])
                return [self._begun(place, found[place], committed, asked_at) for place in places]
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("away", "the broker does not answer; trying again", reason=repr(error))
            await asyncio.sleep(AWAY_SECONDS)
        return []

    def _begun(
        self, place: TopicPartition, found: Log, committed: Mapping[TopicPartition, int], asked_at: float
    ) -> Source:
        position, gap = self._position(place, found, committed)
        rekeying = Rekeying(
            (place.topic, place.partition),
            self.settings.policy,
            position=position,
            decode=self._decoders[place.topic],
            limits=self._limits,
            put_aside=Undecided(),
        )
        rekeying.lost(gap)
        rekeying.assigned(self._time.now(), log_end=found.next, asked_at=self._time.at(asked_at))
        return Source(
            rekeying,
            self._writer,
            polling=self._polling,
            doubt=self._doubt,
            broker_time=self._time,
            metrics=self._metrics,
            gap=gap,
        )

    def _position(self, place: TopicPartition, found: Log, known: Mapping[TopicPartition, int]) -> tuple[int, int]:
        """Where to read on, and how many records retention deleted before that."""
        topic, partition = place
        committed = known.get(place)
        if committed is None:
            added = any(other.topic == topic for other in known)  # to a topic that was read before
            latest = self.settings.start_from is StartFrom.LATEST and not added
            return found.next if latest else found.first, 0
        if committed < found.first:
            gap = found.first - committed
            said = "retention deleted records that were never read: their spans may be closed without their ends"
            log.error("input_gap", said, topic=topic, partition=partition, records=gap)
            return found.first, gap
        if committed > found.next and self._facts.transactional:  # one broker without them tells a wrong end
            said = f"read up to {committed} and ends at {found.next}, so it was re-created: read from its beginning"
            log.warning("re_created", said, topic=topic, partition=partition)
            return found.first, 0
        return committed, 0

    async def _mark_all(self) -> None:
        while True:
            await asyncio.sleep(MARK_SECONDS)
            vouched = [(one, one.vouch()) for one in self.sources.values() if one.running]
            if vouched:
                await self._writer.mark(encode_mark([said for _, said in vouched]))
                for one, said in vouched:
                    one.told(said)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._fail(error)

    def _doubt(self, source: Source, error: BaseException) -> None:
        if self.sources.get(TP(source.topic, source.number)) is not source:
            return
        if not isinstance(error, Hole):
            self._fail(error)
            return
        task = asyncio.ensure_future(self._again(source, error))
        self._cures.add(task)
        task.add_done_callback(self._cures.discard)
        task.add_done_callback(self._ended)

    async def _again(self, source: Source, error: Hole) -> None:
        """Read on from what is decided: a frame is missing."""
        tp, generation, now = TP(source.topic, source.number), source.generation, time.monotonic()
        if now - self._doubted.get(tp, -DOUBT_SECONDS) < DOUBT_SECONDS:
            raise Stop(Exit.FAULT, f"{tp.topic} (partition {tp.partition}) was in doubt twice within a minute: {error}")
        self._doubted[tp] = now
        log.warning("doubt", "the source is read again", topic=tp.topic, partition=tp.partition, reason=str(error))
        await source.stop()
        source.start(generation)
        await self._polling.read_again({tp: source.rekeying.decided + 1})
