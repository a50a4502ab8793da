"""What the broker tells of partitions: where their logs begin and end, where the group would read on, and where a
transaction is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from finalizer.shell.settings import Settings

BACKOFF_MS = 10
"""aiokafka waits so long for each topic that it has yet to hear of, one after the other."""


class Log(NamedTuple):
    """First and next offset of a partition."""

    first: int
    next: int


async def logs_of(settings: Settings, places: Iterable[TopicPartition]) -> dict[TopicPartition, Log]:
    """The logs of these partitions. Raises `KafkaError`."""
    places = list(places)
    async with _asking(settings) as consumer:
        first = await consumer.beginning_offsets(places)
        after = await consumer.end_offsets(places)
    return {place: Log(first[place], after[place]) for place in places}


async def committed_of(settings: Settings, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the group would read on, of those partitions that it has a place in at all. Raises `KafkaError`."""
    admin = AIOKafkaAdminClient(**settings.client_arguments())
    await admin.start()
    try:
        found = await admin.list_consumer_group_offsets(settings.app_id, partitions=list(places))
    finally:
        await admin.close()
    return {place: known.offset for place, known in found.items() if known.offset >= 0}


async def open_transactions(settings: Settings, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Those of these partitions in which a transaction is open, and the offset at which the first of them begins (the
    last stable offset). Raises `KafkaError`.
    """
    places = list(places)
    if not places:
        return {}
    stable, after = await asyncio.gather(
        _ends(settings, places, isolation_level="read_committed"), _ends(settings, places)
    )
    return {place: offset for place, offset in stable.items() if offset < after[place]}


async def _ends(settings: Settings, places: list[TopicPartition], **arguments: Any) -> dict[TopicPartition, int]:
    async with _asking(settings, **arguments) as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends


@asynccontextmanager
async def _asking(settings: Settings, **arguments: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that reads nothing."""
    consumer = AIOKafkaConsumer(
        **settings.client_arguments(), enable_auto_commit=False, retry_backoff_ms=BACKOFF_MS, **arguments
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
