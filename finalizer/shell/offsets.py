"""What the broker tells of partitions: where their logs begin and end, where the group would read on, and where a
transaction is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from finalizer.shell.settings import Settings


class Log(NamedTuple):
    """First and next offset of a partition."""

    first: int
    next: int


async def logs_of(settings: Settings, places: Iterable[TopicPartition]) -> dict[TopicPartition, Log]:
    """The logs of these partitions. Raises `KafkaError`."""
    places = list(places)
    consumer = AIOKafkaConsumer(**settings.client_arguments(), enable_auto_commit=False)
    await consumer.start()
    try:
        first = await consumer.beginning_offsets(places)
        after = await consumer.end_offsets(places)
    finally:
        await consumer.stop()
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
    stable = await _ends(settings, places, "read_committed")
    after = await _ends(settings, places, "read_uncommitted")
    return {place: offset for place, offset in stable.items() if offset < after[place]}


async def _ends(settings: Settings, places: list[TopicPartition], isolation_level: str) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(
        **settings.client_arguments(), enable_auto_commit=False, isolation_level=isolation_level
    )
    await consumer.start()
    try:
        return dict(await consumer.end_offsets(places))
    finally:
        await consumer.stop()
