"""The floor: what reading alone costs. A stock aiokafka consumer that counts what `getmany` hands out, in a process.

    python -m finalizer.bench.floor BOOTSTRAP TOPIC

Prints records, seconds, processor seconds and peak memory (MiB) as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

FETCH_BYTES = 4 << 20
MOST_RECORDS = 4000


async def count(bootstrap: str, topic: str) -> dict[str, float]:
    """Read a topic to its end."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        records, began, cpu = 0, time.monotonic(), time.process_time()
        ended, used = began, 0.0
        while batches := await consumer.getmany(timeout_ms=1000, max_records=MOST_RECORDS):
            records += sum(map(len, batches.values()))
            ended = time.monotonic()
            used = time.process_time() - cpu
    finally:
        await consumer.stop()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"records": records, "seconds": ended - began, "cpu": used, "peak": peak}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(count(*sys.argv[1:3]))))
