"""Restore: a partition's state from its changelog.

A plain consumer (`read_committed`) reads from the beginning until its *position* reaches the last stable offset that
a fetch answer reported: position passes over transaction markers and compacted holes, delivered offsets do not, and
one broker answers ListOffsets wrongly. The state is built aside; whoever asked for it installs it in one step.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from finalizer.changelog import Restored
from finalizer.codecs.state import FormatError, StateCodec
from finalizer.shell import logs
from finalizer.shell.reading import read_batches
from finalizer.shell.settings import Settings
from finalizer.shell.stop import Exit, Stop

log = logs.get("restore")

_FETCH_BYTES = 16 * 1024 * 1024
_POLL_RECORDS = 20_000
_STUCK_SECONDS = 60.0
_TELL_SECONDS = 2.0


async def read_changelog(settings: Settings, numbers: Iterable[int]) -> dict[int, Restored]:
    """Read the changelog partitions to their ends. Raises `Stop` for a format that this release cannot read."""
    restored = {number: Restored() for number in numbers}
    if not restored:
        return restored
    consumer = AIOKafkaConsumer(
        **settings.client_arguments(),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=_FETCH_BYTES,
        check_crcs=False,
    )
    await consumer.start()
    read_batches(consumer)
    try:
        consumer.assign([TopicPartition(settings.changelog, number) for number in restored])
        await consumer.seek_to_beginning()
        await _read(consumer, settings, restored)
    finally:
        await consumer.stop()
    return restored


async def _read(consumer: AIOKafkaConsumer, settings: Settings, restored: dict[int, Restored]) -> None:
    codecs = {number: StateCodec(settings.named, number) for number in restored}
    pending = {TopicPartition(settings.changelog, number) for number in restored}
    told = moved = time.monotonic()
    while pending:
        batches = await consumer.getmany(*pending, timeout_ms=100, max_records=_POLL_RECORDS)
        now = time.monotonic()
        for place, records in batches.items():
            moved = now
            try:
                restored[place.partition].apply_all(codecs[place.partition], records)
            except FormatError as error:
                raise _unreadable(settings, place.partition, error) from error
        for place in list(pending):
            end = consumer.last_stable_offset(place)
            if end is None or end < 0:
                end = consumer.highwater(place)
            if end is not None and await consumer.position(place) >= end:
                pending.discard(place)
                await _decode(settings, place.partition, restored[place.partition], codecs[place.partition])
        if now - told > _TELL_SECONDS:
            told = now
            log.info("progress", "reading the changelog", records=sum(one.records for one in restored.values()))
        if now - moved > _STUCK_SECONDS:
            raise Stop(Exit.FAULT, f"the changelog {settings.changelog} cannot be read: no answer for a minute")
        await asyncio.sleep(0)


async def _decode(settings: Settings, number: int, one: Restored, codec: StateCodec) -> None:
    try:
        for _ in one.decode(codec):
            await asyncio.sleep(0)
    except FormatError as error:
        raise _unreadable(settings, number, error) from error


def _unreadable(settings: Settings, number: int, error: FormatError) -> Stop:
    return Stop(
        Exit.SAFETY,
        f"the changelog {settings.changelog} (partition {number}) holds {error}: deploy a release that reads it",
    )
