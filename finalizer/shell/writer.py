"""Group commit: what the road decided for one partition reaches the broker in order, whole groups at a time.

A group is: outputs, then *one* record batch to the changelog with the watermark last, then the acks. With
transactions outputs and changelog are one transaction; without, the outputs are awaited first, so that a crash can
only repeat them. What a timer decided depends on time, so it is made durable before it is sent: its group is
committed without its outputs, and these are owed. They go with the next group, or alone where none follows, and with
them the word that they are sent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka import TopicPartition

from finalizer.changelog import Change, Changelog
from finalizer.codecs.record_batch import Packing
from finalizer.decision import Output, Topic
from finalizer.shell.batches import send
from finalizer.shell.outbox import Batch, Destination, Outbox
from finalizer.shell.pending import Group
from finalizer.shell.stop import Exit, Stop

BATCH_BYTES = 15 * 1024 * 1024
"""Of one record batch. The changelog topic takes 16 MiB, so that a group stays in one batch."""


class Stamp(NamedTuple):
    """The broker's timestamp of a changelog batch (ms) and when its answer came (monotonic seconds)."""

    stamp_ms: int
    answered_at: float


class Producing(Protocol):
    """What a writer asks of its producer; `mark_too`: which partitions the transaction that was begun writes to."""

    async def begin_transaction(self) -> None: ...
    def mark_too(self, places: Iterable[TopicPartition]) -> None: ...
    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> Any: ...
    async def commit_transaction(self) -> None: ...
    async def stop(self) -> None: ...


class Writer:
    """Writes for one partition, through a producer of its own. Not for two tasks at once."""

    def __init__(
        self,
        producer: Producing,
        changelog: Changelog,
        *,
        topic: str,
        partition: int,
        outputs: Mapping[Topic, Destination],
        transactional: bool,
        packing: Packing | None,
    ) -> None:
        self._producer = producer
        self.changelog = changelog
        self._topic = topic
        self._partition = partition
        self._outputs = outputs
        self.transactional = transactional
        self._packing = packing
        """Of outputs; the changelog's is the broker's work."""
        self._owed: list[Batch] = []
        self._written = -1
        """Offset of the last changelog batch."""

    def group(self, *, of_timer: bool) -> Group:
        """A group to be committed here."""
        return Group(Outbox(transactional=self.transactional), self._outputs, of_timer=of_timer)

    @property
    def owes(self) -> bool:
        """The outputs of the last group, a timer's, are still to be sent."""
        return self.changelog.owes

    async def commit(self, group: Group) -> Stamp | None:
        """Make a group durable, and send what is owed. Raises what the producer raises."""
        if group.watermark is not None:
            self.changelog.watermark = group.watermark
        batches = group.outbox.batches
        write = self.changelog.write(group.whole, of_timer=group.of_timer, sends=bool(batches))
        owed, self._owed = self._owed, batches if self.owes else []
        return await self._write([*owed, *batches] if write.sends else owed, write.changes)

    async def settle(self) -> Stamp | None:
        """Send what is owed, alone. Raises what the producer raises."""
        owed, self._owed = self._owed, []
        return await self._write(owed, self.changelog.settle().changes)

    async def write(self, changes: list[Change], outputs: Sequence[Output] = ()) -> Stamp | None:
        """Make changes and outputs durable together. Raises what the producer raises."""
        outbox = Outbox(transactional=self.transactional)
        outbox.carry(outputs, self._outputs)
        return await self._write(outbox.batches, changes)

    async def stop(self) -> None:
        """Close the producer; what is not committed is aborted."""
        await self._producer.stop()

    async def _write(self, batches: Sequence[Batch], changes: list[Change]) -> Stamp | None:
        if self.transactional:
            await self._producer.begin_transaction()
            places = {TopicPartition(topic, partition) for topic, partition, _ in batches}
            self._producer.mark_too([*places, TopicPartition(self._topic, self._partition)])  # one request for all
        sent = await send(self._producer, batches, self._packing)
        if not self.transactional:
            await _all(sent)
            sent = []
        log = Outbox(transactional=self.transactional)
        log.log(self._topic, self._partition, changes, most=BATCH_BYTES)
        logged = await send(self._producer, log.batches)
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


async def _all(futures: list[asyncio.Future[Any]]) -> list[Any]:
    return [await future for future in futures]
