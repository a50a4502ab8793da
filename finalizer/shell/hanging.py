"""Transactions that a broker forgot to end.

Kafka that loads its transactions while a partition has no leader takes that partition for a deleted one: it writes no
marker there, and calls the transaction complete. So it may go to a group that was being committed when a single node
was killed, or all nodes that had the partition. What was written stays unseen, the changelog cannot be read beyond it,
and whatever becomes of the *next* transaction of this producer, partition by partition, becomes of this one: a worker
that knows nothing of it restores the state without the group, writes it again, and then both are seen.

So a partition's producer asks, before it fences whoever had the partition, what the coordinator has decided; and what
is open after the fence hangs, and gets its marker from a transaction that has no records.

Sources: Kafka 4.3, `TransactionMarkerChannelManager.addTxnMarkersToBrokerQueue` ("these partitions are likely deleted
already and hence can be skipped") and `KRaftMetadataCache.getPartitionLeaderEndpoint`; KIP-664 (hanging transactions).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.client import CoordinationType
from aiokafka.errors import KafkaError

from finalizer.shell import logs
from finalizer.shell.fates import Fate, fate_of
from finalizer.shell.offsets import open_transactions
from finalizer.shell.outbox import Destination
from finalizer.shell.produce import InPieces
from finalizer.shell.producer import Producer
from finalizer.shell.settings import Settings
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended

log = logs.get("hanging")

MARKED_SECONDS = 30.0
PAUSE_SECONDS = 0.05
LOOK_AGAIN_SECONDS = 0.3
"""A transaction that is under way has ended by then, or begun elsewhere."""


class _Asking(InPieces):
    """A sender that asks for the fate of the last transaction before it gets an epoch, which makes that unknown."""

    told: Callable[[Fate], None]

    async def start(self) -> None:
        self.told(await self._asked(self._txn_manager.transactional_id))
        await super().start()

    async def _asked(self, transactional_id: str) -> Fate:
        while True:
            coordinator = await self._find_coordinator(CoordinationType.TRANSACTION, transactional_id)
            try:
                return await fate_of(self.client, coordinator, transactional_id)
            except KafkaError as error:
                if not error.retriable:
                    raise
            self._coordinator_dead(CoordinationType.TRANSACTION)
            await asyncio.sleep(self._retry_backoff)


class WatchedProducer(Producer):
    """A partition's producer. Where it goes on after its coordinator was lost and found again, it looks, in the
    background, for what hangs of its transactions. Its next one marks that, and is committed, as all were that it has
    outlived.
    """

    SENDER = _Asking

    def __init__(
        self, settings: Settings, number: int, outputs: Iterable[Destination], fates: dict[int, Fate], **arguments: Any
    ) -> None:
        super().__init__(transactional_id=settings.transactional_id(number), **arguments)
        self._sender.told = self._told
        self._fates = fates
        self._settings, self.number = settings, number
        self._places = [TopicPartition(settings.changelog, number), *_places_of(outputs)]
        self._connection: object | None = None
        self._looking: asyncio.Task[list[TopicPartition]] | None = None

    @property
    def fate(self) -> Fate:
        """Of the last transaction before it was started."""
        return self._fates.get(self.number, Fate.UNKNOWN)

    def _told(self, fate: Fate) -> None:
        if fate is not Fate.UNKNOWN:  # else it may be known from a restore that was broken off after the fence
            self._fates[self.number] = fate

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
                partition=self.number,
                places=len(left),
            )

    async def stop(self) -> None:
        await ended([] if self._looking is None else [self._looking])
        await super().stop()

    async def _look(self) -> list[TopicPartition]:
        while True:
            try:
                return list(await _still_open(self._settings, self._places))
            except KafkaError as error:
                if not error.retriable:
                    raise
            await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def end_what_hangs(
    settings: Settings, producers: Collection[WatchedProducer], outputs: Iterable[Destination]
) -> None:
    """What hangs of the transactions before these producers, which were just started, is ended. Raises `KafkaError`,
    and `Stop` where it cannot be ended.
    """
    changelogs = {TopicPartition(settings.changelog, one.number): one for one in producers}
    left = await _still_open(settings, [*changelogs, *_places_of(outputs)])
    hanging = {place: offset for place, offset in left.items() if place in changelogs}
    also = [place for place in left if place not in changelogs]
    await asyncio.gather(*(_end(producer, place, hanging.get(place), also) for place, producer in changelogs.items()))
    await _marked(settings, hanging)


async def _end(
    producer: WatchedProducer, changelog: TopicPartition, offset: int | None, also: list[TopicPartition]
) -> None:
    """End what this producer may have left in `also`, and in its changelog from `offset` on."""
    fate, places = producer.fate, also if offset is None else [*also, changelog]
    if not places or (fate is Fate.UNKNOWN and offset is None):
        return
    if fate is Fate.UNKNOWN:
        log.error(
            "aborted",
            "the broker left a transaction open and does not tell whether it was committed: it is aborted, and what it "
            "held is decided again; spans of it come twice if a part of it was seen",
            partition=producer.number,
            offset=offset,
        )
    elif offset is not None:
        log.warning(
            "ended",
            "the broker was restarted before it had ended a transaction, and forgot to: it is ended now",
            partition=producer.number,
            offset=offset,
            fate=fate.value,
        )
    await producer.mark(places, commit=fate is Fate.COMMITTED)


async def _marked(settings: Settings, left: Mapping[TopicPartition, int]) -> None:
    """Wait for the markers in the changelogs: a commit is answered before they are written."""
    give_up = time.monotonic() + MARKED_SECONDS
    while left := _unmoved(left, await open_transactions(settings, left)):
        if time.monotonic() > give_up:
            place, offset = next(iter(left.items()))
            raise Stop(
                Exit.SAFETY,
                f"a transaction in the changelog {place.topic} (partition {place.partition}, from offset {offset}) "
                "was never ended, and what lies behind it cannot be read: end it with kafka-transactions.sh "
                f"abort --topic {place.topic} --partition {place.partition} --start-offset {offset}",
            )
        await asyncio.sleep(PAUSE_SECONDS)


async def _still_open(settings: Settings, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the same transaction is open for a while, and from which offset on. Raises `KafkaError`."""
    found = await open_transactions(settings, places)
    if found:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)  # in an output it may be another worker's, under way
    return _unmoved(found, await open_transactions(settings, found))


def _unmoved(before: Mapping[TopicPartition, int], now: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Where the first open transaction is still the same."""
    return {place: offset for place, offset in now.items() if before[place] == offset}


def _places_of(outputs: Iterable[Destination]) -> frozenset[TopicPartition]:
    """All partitions of these topics."""
    return frozenset(TopicPartition(to.topic, number) for to in outputs for number in range(to.partitions))
