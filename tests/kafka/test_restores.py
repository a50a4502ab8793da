"""Restores that are interrupted, taken over, or read a changelog with holes and marker tails."""

import asyncio
import itertools

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.brokers import Broker
from tests.brokers.proxy import Kind, Moment, Proxy
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of
from tests.contracts.stage import Stage, has_partitions, set_up
from tests.traffic import admin, create_topics, event, send
from tests.waiting import until_true
from tests.worker import Worker

SPANS = 200
COMPACTED_AT_ONCE = {
    "cleanup.policy": "compact",
    "segment.ms": "200",
    "min.cleanable.dirty.ratio": "0.01",
    "max.compaction.lag.ms": "200",
    "delete.retention.ms": "100",
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(16 * 1024 * 1024),
}


async def test_a_rebalance_in_the_middle_of_a_restore(broker: Broker, proxy: Proxy) -> None:
    """While a worker reads its changelog another one joins: the restore is given up and begun anew for what is left,
    and each span has one final."""
    stage = await set_up(broker)
    first, second = stage.by(proxy.bootstrap).worker(terms=STEADY), stage.worker(terms=STEADY)
    with first, second:
        await asyncio.to_thread(first.start)
        await send(broker.bootstrap, stage.topic, [event("start", n) for n in range(SPANS)])
        await first.reaches(SPANS, "open_spans")
        assert await asyncio.to_thread(first.terminate) == 0
        first.start(ready=False)
        await proxy.strike(
            Moment(Kind.FETCH, about=stage.changelog, answer=True), lambda: joined(second, stage), deliver=True
        )
        await has_partitions(first, 2)
        await has_partitions(second, 2)
        await send(broker.bootstrap, stage.topic, [event("end", n) for n in range(SPANS)])
        found = await finals_of(stage, SPANS)
        assert "Traceback" not in first.log, first.log
    completed_once(found, SPANS, broker=broker)


async def test_an_idle_worker_is_taken_over(broker: Broker) -> None:
    """Nothing happens for a while, the owner leaves, and another one takes its open spans over as they are."""
    stage = await set_up(broker)
    with stage.worker(terms=STEADY).start() as first, stage.worker(terms=STEADY) as second:
        await send(broker.bootstrap, stage.topic, [event("start", n) for n in range(SPANS)])
        await first.reaches(SPANS, "open_spans")
        await asyncio.to_thread(second.start)
        await has_partitions(second, 2)
        assert await asyncio.to_thread(first.terminate) == 0
        await has_partitions(second, 4)
        await second.reaches(SPANS, "open_spans")
        await send(broker.bootstrap, stage.topic, [event("end", n) for n in range(SPANS)])
        finals = await finals_of(stage, SPANS)
    completed_once(finals, SPANS, broker=broker)


async def test_a_changelog_compacted_in_the_middle_with_marker_tails(broker: Broker, proxy: Proxy) -> None:
    """The changelog is compacted while it grows, and a worker is killed before its commits: the restore reads over
    holes, aborted batches and markers to the end."""
    stage = await set_up(broker, partitions=1)
    await create_topics(broker.bootstrap, stage.changelog, partitions=1, config=COMPACTED_AT_ONCE)
    with stage.by(proxy.bootstrap).worker(terms=STEADY, flags={"--instance-id": "one"}) as worker:
        await send(broker.bootstrap, stage.topic, [event("start", n) for n in range(SPANS)])
        beats, seen = itertools.count(1), 0
        for _ in range(2):
            await asyncio.to_thread(worker.start)
            while last_hole(found := await offsets(broker, stage.changelog)) < seen:
                await beat(stage, next(beats))
                await asyncio.sleep(0.2)  # the clients' own rhythm
            seen = found[-1]
            dying = asyncio.ensure_future(proxy.strike(Moment(Kind.END_TXN), worker.kill))
            await beat(stage, next(beats))
            await dying
        await asyncio.to_thread(worker.start)
        await send(broker.bootstrap, stage.topic, [event("end", n) for n in range(SPANS)])
        finals = await finals_of(stage, SPANS)
    completed_once(finals, SPANS, broker=broker)


async def joined(worker: Worker, stage: Stage) -> None:
    """Start a second worker and wait until the group knows it, and so rebalances or has done so."""
    worker.start(ready=False)
    async with admin(stage.broker.bootstrap) as client:

        async def is_a_member() -> bool:
            ((group,),) = [answer.groups for answer in await client.describe_consumer_groups([stage.name])]
            return len(group[5]) == 2  # its members

        await until_true(is_a_member)


async def beat(stage: Stage, seq: int) -> None:
    """A heartbeat of each span."""
    await send(stage.broker.bootstrap, stage.topic, [event("heartbeat", n, seq=seq) for n in range(SPANS)])


async def offsets(broker: Broker, topic: str) -> list[int]:
    """Offsets of all records that stand in the first partition of a topic, aborted ones too."""
    place, found = TopicPartition(topic, 0), [-1]
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            found += [record.offset for record in (await consumer.getmany(timeout_ms=100)).get(place, ())]
    return found


def last_hole(found: list[int]) -> int:
    """Where the last hole begins that is wider than a transaction's marker; -1 where there is none."""
    return max((one for one, following in itertools.pairwise(found) if following - one > 2), default=-1)
