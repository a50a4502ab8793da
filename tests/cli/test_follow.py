"""Reading a topic without a group: nothing old where one asked for the new, nothing missed where one asked for all."""

import asyncio
import uuid

import pytest
from aiokafka import AIOKafkaProducer

from finalizer.cli.follow import Follower
from finalizer.cli.kafka import Connection
from finalizer.shell.stop import Exit, Stop
from tests.traffic import create_topics
from tests.waiting import LIMIT_SECONDS


async def first(follower: Follower, count: int) -> list[bytes]:
    """The values of the first ``count`` records."""
    values: list[bytes] = []
    async for records in follower.batches():
        values += [record.value for record in records]
        if len(values) >= count:
            break
    return values


@pytest.mark.parametrize(("from_beginning", "expected"), [(True, 51), (False, 1)])
async def test_now_begins_where_the_last_batch_ends(embedded_broker: str, from_beginning: bool, expected: int) -> None:
    """A batch that was written before is old as a whole, also where a broker calls its beginning the latest offset."""
    topic = f"follow-{uuid.uuid4().hex[:8]}"
    await create_topics(embedded_broker, topic, partitions=2)
    producer = AIOKafkaProducer(bootstrap_servers=embedded_broker, linger_ms=50)
    async with asyncio.timeout(LIMIT_SECONDS), producer:
        await asyncio.gather(*[await producer.send(topic, b"old", partition=1) for _ in range(50)])
        async with Follower(Connection(embedded_broker), [topic], from_beginning=from_beginning) as follower:
            await producer.send_and_wait(topic, b"new", partition=1)
            values = await first(follower, expected)
    assert values == [b"old"] * (expected - 1) + [b"new"]


async def test_caught_up_means_that_all_has_been_read(embedded_broker: str) -> None:
    """What was committed before the question has been yielded when it is answered."""
    topic = f"follow-{uuid.uuid4().hex[:8]}"
    await create_topics(embedded_broker, topic, partitions=3)
    values: list[bytes] = []

    async def read(follower: Follower) -> None:
        async for records in follower.batches():
            values.extend(record.value for record in records)

    producer = AIOKafkaProducer(bootstrap_servers=embedded_broker)
    async with (
        asyncio.timeout(LIMIT_SECONDS),
        producer,
        Follower(Connection(embedded_broker), [topic], from_beginning=True) as follower,
    ):
        reading = asyncio.create_task(read(follower))
        for number in range(5):
            await asyncio.gather(*[await producer.send(topic, b"x", partition=one % 3) for one in range(300)])
            await follower.caught_up()
            assert len(values) == 300 * (number + 1)
        reading.cancel()


async def test_a_missing_topic_is_told_and_not_created(embedded_broker: str) -> None:
    """Both times: the first look must not have made it."""
    for _ in range(2):
        with pytest.raises(Stop, match=r"There is no topic follow-nowhere at") as stop:
            async with Follower(Connection(embedded_broker), ["follow-nowhere"], from_beginning=True):
                pass
        assert stop.value.code is Exit.CONFIGURATION
