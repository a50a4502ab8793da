"""The frame transport: one Faust event per polled batch and partition, instead of one per record.

Faust's cost is per event that it delivers (75 us; a frame of 2,000 records costs the same). `FrameTransport` is a
driver of our own, installed with the public `app.transport = ...`. It wraps each list that `_getmany` returns into
one message whose value is the `Frame` and whose offset is the last position that the frame covers. Acks, the commit
timer, rebalances and flow control stay Faust's; what is committed is what is durable, whichever frames were dropped on
the way. Four of its underscore methods are overridden (`_getmany`, `_add_gap`, `_new_offset`, `_fetch_records`), which
is why its version is pinned exactly.

It also samples what the partition clock needs (position, high water mark, arrival of the latest fetch answer)
together, on the consumer's thread, and holds back partitions whose queue is full.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import faust
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from finalizer.shell.reading import Read, read_batches
from finalizer.shell.stop import Exit, Stop

POLL_SECONDS = 0.05
"""How long a poll waits for records: the resolution at which fetch answers are seen."""
FETCH_MAX_WAIT_MS = 250
"""Faust fixes 1,500: on a quiet partition the clock would lag by two such answers."""

Positions = Callable[[set[TP]], Mapping[TP, int]]


class Frame:
    """The records of one partition that one poll returned; empty where only markers or holes were passed over."""

    __slots__ = (
        "arrived_at",
        "begin",
        "checksum",
        "end",
        "generation",
        "headers",
        "key",
        "lost",
        "offset",
        "partition",
        "records",
        "serialized_key_size",
        "serialized_value_size",
        "timestamp",
        "timestamp_type",
        "topic",
    )

    def __init__(
        self,
        tp: TP,
        records: Sequence[Read],
        *,
        begin: int,
        end: int,
        generation: int,
        arrived_at: float,
        lost: int = 0,
    ) -> None:
        self.topic, self.partition = tp
        self.records = records
        self.begin = begin
        """The position at which the poll began."""
        self.end = end
        """The position after it: everything below is in this frame or was passed over."""
        self.generation = generation
        self.arrived_at = arrived_at
        """Monotonic seconds, at the end of the poll."""
        self.lost = lost
        """So many records were deleted before they were read: all of an empty frame."""
        self.offset = end - 1
        self.timestamp = records[-1].timestamp if records else 0
        self.timestamp_type = records[-1].timestamp_type if records else 0
        self.key = self.headers = self.checksum = None
        self.serialized_key_size = self.serialized_value_size = 0

    @property
    def value(self) -> Frame:
        """What Faust hands to the agent."""
        return self


class Answer(NamedTuple):
    """The latest fetch answer of a partition, as seen after a poll."""

    stamp: int
    """The client's own mark of it (wall clock, ms): tells one answer from the next."""
    arrived_at: float
    """Monotonic seconds."""
    position: int
    highwater: int


class FrameThread(driver.AIOKafkaConsumerThread):
    """Polls on the consumer's own thread, where position and answers cannot change while they are read."""

    consumer: FrameConsumer

    async def on_start(self) -> None:
        await super().on_start()
        read_batches(self._ensure_consumer())

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS
        return consumer

    async def _seek_wait(self, consumer: Any, partitions: Mapping[TP, int]) -> None:
        self.consumer.handed_out.update(partitions)
        await super()._seek_wait(consumer, partitions)

    async def _fetch_records(
        self, consumer: Any, active_partitions: set[TP], timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        generation = self.app.consumer_generation_id
        try:
            fetched = await super()._fetch_records(consumer, active_partitions, timeout, max_records)
        except OffsetOutOfRangeError as error:
            ((raw, position),) = error.args[0].items()
            return await self._out_of_range(consumer, raw, position, generation)
        except NoOffsetForPartitionError:
            return {}  # asked for before the seek: where to read on is ours to say
        return self._frames(consumer, fetched, generation)

    async def _out_of_range(self, consumer: Any, raw: Any, position: int, generation: int) -> dict[TP, list[Any]]:
        """The log has no such position: its beginning was deleted, or it is another log. Raises `Stop`."""
        tp, owner = TP(raw.topic, raw.partition), self.consumer
        if tp.topic not in owner.framed or tp not in consumer.assignment():
            return {}
        try:
            first = (await consumer.beginning_offsets([raw]))[raw]
            end = (await consumer.end_offsets([raw]))[raw]
        except KafkaError:
            return {}  # it is told again
        if not _stands_at(consumer, raw, position):
            return {}
        if position > end:
            raise Stop(
                Exit.SAFETY,
                f"{tp.topic} (partition {tp.partition}) ends at {end}, but was read up to {position - 1}: it was "
                "re-created or mirrored while it was read; use a new --app-id",
            )
        if position >= first:
            return {}
        consumer.seek(raw, first)
        begin, owner.handed_out[tp] = owner.handed_out.get(tp, position), first
        lost, now = first - position, time.monotonic()
        return {tp: [Frame(tp, (), begin=begin, end=first, generation=generation, arrived_at=now, lost=lost)]}

    def _frames(self, consumer: Any, fetched: Mapping[Any, Any], generation: int) -> dict[TP, list[Any]]:
        owner = self.consumer
        now = time.monotonic()
        result: dict[TP, list[Any]] = {}
        subscription = consumer._subscription.subscription
        if subscription is None or subscription.assignment is None:
            return result
        assignment = subscription.assignment
        for raw in assignment.tps:
            tp = TP(raw.topic, raw.partition)
            records = fetched.get(raw, ())
            state = assignment.state_value(raw)
            if not state.has_valid_position:
                continue
            begin, end = owner.handed_out.get(tp), state.position
            if begin is None:
                if not records:
                    continue
                begin = records[0].offset
            if records or end > begin:
                owner.handed_out[tp] = end
                result[tp] = [Frame(tp, records, begin=begin, end=end, generation=generation, arrived_at=now)]
            if state.timestamp is not None and state.highwater is not None:
                owner.saw_answer(tp, state.timestamp, now, end, state.highwater)
        owner.polled_at = now
        return result


def _stands_at(consumer: Any, raw: Any, position: int) -> bool:
    """Whether this is still where a partition is read, or it was sought elsewhere, or taken away."""
    subscription = consumer._subscription.subscription
    if subscription is None or subscription.assignment is None or raw not in subscription.assignment.tps:
        return False
    state = subscription.assignment.state_value(raw)
    return bool(state.has_valid_position and state.position == position)


class FrameConsumer(driver.Consumer):
    """Delivers frames of `app.framed_topics`; offsets are committed per frame, in the order of delivery."""

    _thread: FrameThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.handed_out: dict[TP, int] = {}
        self.answers: dict[TP, Answer] = {}
        self.held: set[TP] = set()
        """Partitions that are not polled because their queue is full. (Faust's own pausing drops polled records.)"""
        self.polled_at = 0.0
        super().__init__(*args, **kwargs)
        app: Any = self.app
        self.framed: frozenset[str] = app.framed_topics
        self.fixed: frozenset[str] = app.fixed_topics
        """Topics whose partitions the state was made with."""
        self.positions: Positions = app.start_positions
        self.durable: Callable[[TP], int | None] = app.durable
        self.fail: Callable[[Stop], None] = app.fail

    def _new_consumer_thread(self) -> FrameThread:
        return FrameThread(self, loop=self.loop, beacon=self.beacon)

    def saw_answer(self, tp: TP, stamp: int, now: float, position: int, highwater: int) -> None:
        """Note the latest answer, which the client stamped with the wall clock. That clock may have been set since:
        an arrival outside the time since the last poll is pulled back to it, to the early side."""
        before = self.answers.get(tp)
        if before is not None and before.stamp == stamp:
            arrived_at = before.arrived_at
        else:
            arrived_at = now - (time.time() - stamp / 1000)
            if not self.polled_at <= arrived_at <= now:
                arrived_at = self.polled_at
        self.answers[tp] = Answer(stamp, arrived_at, position, highwater)

    def silence(self) -> float:
        """Seconds since the broker last answered for any partition that is polled; 0 where none is."""
        heard = [answer.arrived_at for tp, answer in self.answers.items() if tp not in self.held]
        return time.monotonic() - max(heard) if heard else 0.0

    def give_up_membership(self) -> None:
        """Leave the group when stopped, though the membership is static."""
        self._thread._ensure_consumer()._coordinator._group_instance_id = None

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        active = (active_partitions or set()) - self.held
        if not active:
            # an empty set would mean "all" to the fetcher
            await asyncio.sleep(POLL_SECONDS)
            return {}
        try:
            return await super()._getmany(active, POLL_SECONDS)
        except Stop as stop:
            self.fail(stop)
            return {}

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.framed:
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self.framed:
            return super()._new_offset(tp)
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        offset = self.durable(tp)
        return None if offset is None else offset + 1

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """High water marks; None for our own changelog: Faust finds nothing to recover, the restore is ours."""
        framed = self.framed
        others = [tp for tp in partitions if tp.topic not in framed]
        known: dict[TP, Any] = dict(await super().highwaters(*others)) if others else {}
        return known | dict.fromkeys((tp for tp in partitions if tp.topic in framed), None)

    async def perform_seek(self) -> None:
        """Read on after what is durable, never from the group's committed offset, which may have been moved."""
        await super().perform_seek()
        positions = self.positions({tp for tp in self.assignment() if tp.topic in self.framed})
        for tp, position in positions.items():
            if self._committed_offset[tp] != position:
                self._committed_offset[tp] = None
                self._acked[tp].clear()  # known now, and so looked at by the next commit
        await self.seek_wait(positions)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        most = self.app.conf.topic_partitions
        for topic in sorted({tp.topic for tp in assigned if tp.topic in self.fixed and tp.partition >= most}):
            self.fail(
                Stop(
                    Exit.SAFETY,
                    f"{topic} has more partitions than the {most} that the state was made with: they were added while "
                    "it was read, and partitions cannot be changed under a running state; use a new --app-id",
                )
            )
        await super().on_partitions_assigned(assigned, generation_id)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        for tp in revoked:
            self.answers.pop(tp, None)
            self.handed_out.pop(tp, None)
        self.held -= revoked
        await super().on_partitions_revoked(revoked)


class FrameTransport(driver.Transport):
    """Faust's aiokafka transport with frames."""

    Consumer = FrameConsumer


class FrameSchema(faust.Schema[Any, Any]):
    """Hands a frame through untouched: decoding is the road's."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Any:
        return message.value
