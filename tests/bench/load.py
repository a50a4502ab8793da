"""A load of native events, made once and written to a topic in whole batches; its output is counted afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.traffic import create_topics

PARTITIONS = 4
BATCH_BYTES = 500_000
START = (
    b'{"v":1,"type":"start","trace_id":"%s","span_id":"%s","name":"upload","span_type":"upload","kind":"client",'
    b'"time_unix_nano":"%d","resource":{"service.name":"mobile-app","service.version":"3.1.4"},'
    b'"attributes":{"device.model.name":"Pixel 8","network.connection.type":"wifi"},'
    b'"heartbeat_interval_ms":5000,"seq":1}'
)
END = b'{"v":1,"type":"end","trace_id":"%s","span_id":"%s","time_unix_nano":"%d","status":{"code":"ok"},"seq":2}'
FIRST = 1_747_648_800_000_000_000


class Load(NamedTuple):
    """Spans of a start and an end each; an end follows `open_spans` starts later, so that every span is stored."""

    spans: int
    open_spans: int

    @property
    def records(self) -> int:
        return 2 * self.spans


async def write(bootstrap: str, topic: str, load: Load) -> None:
    """Create the topic and write the load to it, partition by partition."""
    await create_topics(bootstrap, topic, partitions=PARTITIONS)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES * 2)
    await producer.start()
    try:
        await asyncio.gather(*(_write(producer, topic, number, load) for number in range(PARTITIONS)))
        await producer.flush()
    finally:
        await producer.stop()


async def _write(producer: AIOKafkaProducer, topic: str, partition: int, load: Load) -> None:
    lag = load.open_spans // PARTITIONS
    mine = range(partition, load.spans, PARTITIONS)
    batch = producer.create_batch()
    for place in range(len(mine) + lag):
        for template, index in ((START, place), (END, place - lag)):
            if not 0 <= index < len(mine):
                continue
            trace, span = b"%032x" % (mine[index] + 1), b"%016x" % (mine[index] + 1)
            batch.append(key=trace, value=template % (trace, span, FIRST + place * 1000), timestamp=None)
        if batch.size() > BATCH_BYTES:
            await producer.send_batch(batch, topic, partition=partition)
            batch = producer.create_batch()
    await producer.send_batch(batch, topic, partition=partition)


async def count(bootstrap: str, topic: str) -> Counter[bytes]:
    """How often each key is on a topic, for a reader of committed records."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", max_partition_fetch_bytes=4 << 20
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        await consumer.seek_to_beginning()
        found: Counter[bytes] = Counter()
        while batches := await consumer.getmany(timeout_ms=2000):
            for records in batches.values():
                found.update(record.key for record in records)
        return found
    finally:
        await consumer.stop()
