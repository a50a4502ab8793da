"""Transactions that a broker forgot to end.

Kafka that loads its transactions while a partition has no leader takes that partition for a deleted one: it writes no
marker there, and calls the transaction complete. So it may go to a group that was being committed when a single node
was killed, or all nodes that had the partition. What was written stays unseen, the changelog cannot be read beyond it,
and whatever becomes of the *next* transaction of this producer, partition by partition, becomes of this one: a worker
that knows nothing of it restores the state without the group, writes it again, and then both are seen.

So whoever makes a partition ready looks before the fence where transactions are open, and what the coordinator had
decided; those that are open in the same place after the fence hang, and get their marker from a transaction of their
producer that has no records.

Sources: Kafka 4.3, `TransactionMarkerChannelManager.addTxnMarkersToBrokerQueue` ("these partitions are likely deleted
already and hence can be skipped") and `KRaftMetadataCache.getPartitionLeaderEndpoint`; KIP-664 (hanging transactions).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from finalizer.shell import logs
from finalizer.shell.fates import Fate, fates_of
from finalizer.shell.offsets import open_transactions
from finalizer.shell.outbox import Destination
from finalizer.shell.producer import Producer
from finalizer.shell.settings import Settings
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended

log = logs.get("hanging")

MARKED_SECONDS = 30.0
PAUSE_SECONDS = 0.05
LOOK_AGAIN_SECONDS = 1.0
"""A transaction that is under way has ended by then, or begun elsewhere."""


class Hanging:
    """What hangs of the last transactions of these partitions' producers: `look` before they are fenced, then `end`."""

    def __init__(self, settings: Settings, numbers: Collection[int], outputs: Iterable[Destination]) -> None:
        self._settings = settings
        self._logs = {number: TopicPartition(settings.changelog, number) for number in numbers}
        self._outputs = places_of(outputs)
        self._open: Mapping[TopicPartition, int] = {}
        self._fates: Mapping[int, Fate] = {}

    async def look(self) -> None:
        """Where transactions are open now, and what has been decided about those of our producers."""
        self._open = await open_transactions(self._settings, [*self._logs.values(), *self._outputs])
        if self._open:
            ids = {self._settings.transactional_id(number): number for number in self._logs}
            fates = await fates_of(self._settings, ids)
            self._fates = {ids[name]: fate for name, fate in fates.items()}

    async def end(self, producers: Mapping[int, Producer]) -> None:
        """Give those that are still open their markers. Raises `Stop` where one cannot be ended."""
        if not self._open:
            return
        now = await open_transactions(self._settings, self._open)
        left = {place: offset for place, offset in now.items() if self._open[place] == offset}
        outputs = [place for place in left if place in self._outputs]
        await asyncio.gather(*(self._end(number, producers[number], left, outputs) for number in self._logs))
        await self._marked({place: offset for place, offset in left.items() if place in self._logs.values()})

    async def _end(
        self, number: int, producer: Producer, left: Mapping[TopicPartition, int], outputs: list[TopicPartition]
    ) -> None:
        log_place, fate = self._logs[number], self._fates[number]
        places = [*outputs, log_place] if log_place in left else outputs
        if not places or (fate is Fate.UNKNOWN and log_place not in left):
            return  # an output that is open belongs to another producer: another worker's, most often
        if fate is Fate.UNKNOWN:
            log.error(
                "aborted",
                "the broker left a transaction open and does not tell whether it was committed: it is aborted, and "
                "what it held is decided again; spans of it may come twice if a part of it was seen",
                partition=number,
                offset=left[log_place],
            )
        elif log_place in left:
            log.warning(
                "ended",
                "the broker was restarted before it had ended a transaction, and forgot to: it is ended now",
                partition=number,
                offset=left[log_place],
                fate=fate.value,
            )
        await producer.mark(places, commit=fate is Fate.COMMITTED)

    async def _marked(self, left: Mapping[TopicPartition, int]) -> None:
        """Wait for the markers in the changelog: a commit is answered before they are written."""
        give_up = time.monotonic() + MARKED_SECONDS
        while left:
            now = await open_transactions(self._settings, left)
            left = {place: offset for place, offset in now.items() if left[place] == offset}
            if left and time.monotonic() > give_up:
                place, offset = next(iter(left.items()))
                raise Stop(
                    Exit.SAFETY,
                    f"a transaction in the changelog {place.topic} (partition {place.partition}, from offset {offset}) "
                    "was never ended, and what lies behind it cannot be read: end it with kafka-transactions.sh "
                    f"abort --topic {place.topic} --partition {place.partition} --start-offset {offset}",
                )
            await asyncio.sleep(PAUSE_SECONDS)


class WatchedProducer(Producer):
    """A partition's producer that goes on after its coordinator was lost and found again: it looks, in the background,
    for what hangs of its transactions. Its next one marks that, and is committed, as all were that it has outlived.
    """

    def __init__(self, settings: Settings, number: int, outputs: Iterable[Destination], **arguments: Any) -> None:
        super().__init__(transactional_id=settings.transactional_id(number), **arguments)
        self._settings, self._number = settings, number
        self._places = [TopicPartition(settings.changelog, number), *places_of(outputs)]
        self._connection: object | None = None
        self._looking: asyncio.Task[list[TopicPartition]] | None = None

    async def begin_transaction(self) -> None:
        await super().begin_transaction()
        if self._looking is not None and self._looking.done():
            looked, self._looking = self._looking, None
            self._mark_what_hangs(looked.result())
        connection = self.coordinator
        if connection is not None and connection is not self._connection and self._looking is None:
            if self._connection is not None:
                self._looking = asyncio.create_task(self._look())
            self._connection = connection

    def _mark_what_hangs(self, left: list[TopicPartition]) -> None:
        self.mark_too(left)
        if left:
            log.warning(
                "marked",
                "the broker was restarted and may have forgotten to end a transaction: it is ended with this one",
                partition=self._number,
                places=len(left),
            )

    async def stop(self) -> None:
        await ended([] if self._looking is None else [self._looking])
        await super().stop()

    async def _look(self) -> list[TopicPartition]:
        while True:
            try:
                before = await open_transactions(self._settings, self._places)
                if not before:
                    return []
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                now = await open_transactions(self._settings, before)
            except KafkaError as error:
                if not error.retriable:
                    raise
            else:
                return [place for place, offset in now.items() if before[place] == offset]


def places_of(outputs: Iterable[Destination]) -> frozenset[TopicPartition]:
    """All partitions of these topics."""
    return frozenset(TopicPartition(to.topic, number) for to in outputs for number in range(to.partitions))
