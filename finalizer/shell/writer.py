"""Group commit: what the road decided for one partition reaches the broker in order, whole groups at a time.

A group is: outputs, then *one* record batch to the changelog with the watermark last, then the acks. With
transactions outputs and changelog are one transaction; without, the outputs are awaited first, so that a crash can
only repeat them. What a timer decided depends on time, so it is made durable before it is sent: its group is
committed without its outputs (states marked unsent), and again with them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer

from finalizer.changelog import Change, Changelog, Write
from finalizer.codecs.stored import Watermark
from finalizer.pipeline import Decision, Header, Output, Topic
from finalizer.shell.placement import partition_of
from finalizer.shell.stop import Exit, Stop

BATCH_BYTES = 15 * 1024 * 1024
"""Of one record batch. The changelog topic takes 16 MiB, so that a group stays in one batch."""
OUTPUT_BATCH_BYTES = 900_000
"""Below the default `message.max.bytes` of a broker (1 MiB)."""
HEADERS_BYTES = 2048
"""Room for the headers and the framing of one record."""
GROUP_ITEMS = 8
GROUP_BYTES = 4 * 1024 * 1024


class Item(NamedTuple):
    """One decision in the queue of a partition."""

    decision: Decision
    watermark: Watermark | None
    """State of the inputs after an evidence frame; None for what a timer decided."""
    acks: tuple[Any, ...]
    """Faust events to acknowledge once it is durable."""
    records: int
    due_at: tuple[int, ...] = ()
    """Deadlines (heard time, ns) of the spans that a timer closed."""


class Destination(NamedTuple):
    """An output topic and its number of partitions."""

    topic: str
    partitions: int
    max_bytes: int = 1_048_588
    """The largest record batch that it takes."""


class Sendable(Protocol):
    """A record for an output topic; `timestamp` None: the broker's or the producer's."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[Header]: ...
    @property
    def timestamp(self) -> int | None: ...


class Stamp(NamedTuple):
    """The broker's timestamp of a changelog batch (ms) and when its answer came (monotonic seconds)."""

    stamp_ms: int
    answered_at: float


class Writer:
    """Writes for one partition, through a producer of its own. Not for two tasks at once."""

    def __init__(
        self,
        producer: AIOKafkaProducer,
        changelog: Changelog,
        *,
        topic: str,
        partition: int,
        outputs: Mapping[Topic, Destination],
        transactional: bool,
    ) -> None:
        self._producer = producer
        self.changelog = changelog
        self._topic = topic
        self._partition = partition
        self._outputs = outputs
        self.transactional = transactional
        self._written = -1
        """Offset of the last changelog batch."""

    async def commit(self, items: Sequence[Item]) -> Stamp | None:
        """Make a group durable: all of evidence, or all of a timer. Raises what the producer raises."""
        for item in items:
            if item.watermark is not None:
                self.changelog.watermark = item.watermark
        stamp = None
        for write in self.changelog.writes([item.decision for item in items], of_timer=items[0].watermark is None):
            stamp = await self.write(write)
        return stamp

    async def stop(self) -> None:
        """Close the producer; what is not committed is aborted."""
        await self._producer.stop()

    async def write(self, write: Write) -> Stamp | None:
        """Make one write durable."""
        outputs, changes = write
        if self.transactional:
            await self._producer.begin_transaction()
        sent = await self._send_outputs(outputs)
        if not self.transactional:
            await _all(sent)
            sent = []
        logged = await self._send_changes(changes)
        await _all(sent)  # before the commit: aiokafka commits a transaction of which a batch was refused
        metadata = await _all(logged)
        answered_at = time.monotonic()
        self._look_at_places(metadata)
        if self.transactional:
            await self._producer.commit_transaction()
        if metadata and metadata[-1].timestamp_type == 1:
            return Stamp(metadata[-1].timestamp, answered_at)
        return None

    def _look_at_places(self, metadata: list[Any]) -> None:
        """The log only grows: a batch that lies before an earlier one lies in another topic of the same name. (Of a
        batch that was sent again it may not be told where it lies: -1.)"""
        for one in metadata:
            if 0 <= one.offset < self._written:
                raise Stop(
                    Exit.SAFETY,
                    f"the changelog {self._topic} (partition {self._partition}) was re-created while it was written: "
                    "the state is lost; restore the topic, or begin anew with another --app-id",
                )
            self._written = max(self._written, one.offset)

    async def _send_outputs(self, outputs: list[Output]) -> list[asyncio.Future[Any]]:
        futures: list[asyncio.Future[Any]] = []
        for topic, destination in self._outputs.items():
            group = [output for output in outputs if output.topic is topic]
            if group:
                futures += await send_group(self._producer, destination, group)
        return futures

    async def _send_changes(self, changes: list[Change]) -> list[asyncio.Future[Any]]:
        if not changes:
            return []
        producer, name, partition = self._producer, self._topic, self._partition
        batch = producer.create_batch()
        futures: list[asyncio.Future[Any]] = []
        append = batch.append
        for key, value in changes:
            if append(key=key, value=value, timestamp=None) is None:
                futures.append(await producer.send_batch(batch, name, partition=partition))
                batch = producer.create_batch()
                append = batch.append
                append(key=key, value=value, timestamp=None)
        futures.append(await producer.send_batch(batch, name, partition=partition))
        return futures


async def _all(futures: list[asyncio.Future[Any]]) -> list[Any]:
    return [await future for future in futures]


async def send_group(
    producer: AIOKafkaProducer, destination: Destination, records: Sequence[Sendable]
) -> list[asyncio.Future[Any]]:
    """Send records to the partitions of their keys, in as few batches as the topic takes; their answers to come."""
    name, partitions, max_bytes = destination
    most = min(OUTPUT_BATCH_BYTES, max_bytes - HEADERS_BYTES)
    batches: dict[int, Any] = {}
    futures: list[asyncio.Future[Any]] = []
    for record in records:
        value, partition = record.value, partition_of(record.key, partitions)
        batch = batches.get(partition)
        if batch is None:
            batch = batches[partition] = producer.create_batch()
        elif batch.size() + len(value or b"") > most:
            futures.append(await producer.send_batch(batch, name, partition=partition))
            batch = batches[partition] = producer.create_batch()
        batch.append(key=record.key, value=value, timestamp=record.timestamp, headers=record.headers)
    for partition, batch in batches.items():
        futures.append(await producer.send_batch(batch, name, partition=partition))
    return futures
