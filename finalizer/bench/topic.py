"""A load's topic: made, filled in whole batches before anything is measured, and what was written of it read back."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from finalizer.bench.events import Row, Traffic, Want
from finalizer.bench.load import PARTITIONS, Load, Scene, Shape

BATCH_BYTES: Final = 500_000
FETCH_BYTES: Final = 4 << 20
CAUSE: Final = "span-finalizer-cause"
DEADLINE: Final = re.compile(rb'"span_finalizer.deadline_unix_nano","value":\{"intValue":"(\d+)"')


class Filled(NamedTuple):
    """A topic with a load in it."""

    topic: str
    traffic: Traffic
    records: int
    mean_bytes: float

    @property
    def load(self) -> Load:
        """The load that is in it."""
        return self.traffic.load

    @property
    def start_bytes(self) -> int:
        """Size of a start."""
        return len(next(self.traffic.rows(0)).value)

    @property
    def events(self) -> int:
        """What the figures count: records, or spans where a record is a batch of them."""
        return self.load.spans if self.load.shape is Shape.OTLP_SPANS else self.records


class WrongOutput(Exception):
    """A run that lost or doubled a span has no figure."""


async def create(bootstrap: str, topic: str, load: Load) -> None:
    """Create the topic of a load."""
    kind = "CreateTime" if load.log_seconds and load.scene is not Scene.LIVE else "LogAppendTime"
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs={"message.timestamp.type": kind})])
    finally:
        await admin.close()


async def fill(bootstrap: str, topic: str, load: Load) -> Filled:
    """Create the topic and write the load to it, partition by partition."""
    await create(bootstrap, topic, load)
    traffic = Traffic(load, time.time_ns() // 1_000_000)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES * 2)
    await producer.start()
    try:
        sizes = await asyncio.gather(
            *(_write(producer, topic, number, traffic.rows(number)) for number in range(PARTITIONS))
        )
        await producer.flush()
    finally:
        await producer.stop()
    records, total = sum(count for count, _ in sizes), sum(size for _, size in sizes)
    return Filled(topic, traffic, records, total / records)


async def _write(producer: AIOKafkaProducer, topic: str, partition: int, rows: Iterator[Row]) -> tuple[int, int]:
    count = total = 0
    batch = producer.create_batch()
    for stamp, key, value in rows:
        count += 1
        total += len(value)
        batch.append(key=key, value=value, timestamp=stamp)
        if batch.size() > BATCH_BYTES:
            await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
    await producer.send_batch(batch, topic, partition=partition)
    return count, total


class Output(NamedTuple):
    """When (ms) finals reached their topic."""

    first: int
    reported: int
    """The last that a client reported; the first where there is none."""
    inferred: list[tuple[int, int]]
    """Those that were closed by inference, each with its deadline."""


async def judge(bootstrap: str, topic: str, wanted: Mapping[bytes, Want], *, said: str) -> Output:
    """Read all committed finals and compare them with what must be there. Raises `WrongOutput`.

    `said`: the last words of who wrote them, to be told with it.

    A final without a cause in its header is the peer's, which closes nothing: it is one that was reported.
    """
    missing = dict(wanted)
    strange = twice = reported = 0
    first = 2**63
    inferred: list[tuple[int, int]] = []
    async for records in _read(bootstrap, topic):
        for record in records:
            want = missing.pop(record.key, None)
            cause = next((value.decode() for name, value in record.headers if name == CAUSE), Want.COMPLETED.value)
            if want is None:
                twice += 1
            elif cause != want.value:
                strange += 1
            first = min(first, record.timestamp)
            if cause == Want.COMPLETED.value:
                reported = max(reported, record.timestamp)
            else:
                due = DEADLINE.search(record.value)
                inferred.append((record.timestamp, int(due[1]) // 1_000_000 if due else record.timestamp))
    if missing or twice or strange:
        wrong = f"{len(missing):,} spans missing, {twice:,} finals too many, {strange:,} with a wrong cause"
        raise WrongOutput(f"{wrong}\n{said}".rstrip())
    return Output(first, max(reported, first), inferred)


async def _read(bootstrap: str, topic: str) -> AsyncIterator[Sequence[Any]]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", max_partition_fetch_bytes=FETCH_BYTES
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        while batches := await consumer.getmany(timeout_ms=2000):
            for records in batches.values():
                yield records
    finally:
        await consumer.stop()
