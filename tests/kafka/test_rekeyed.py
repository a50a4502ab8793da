"""Re-keyed inputs, on this folder's broker."""

import asyncio

from aiokafka.admin import NewPartitions

from tests.brokers import Broker
from tests.contracts.crashes import STEADY
from tests.contracts.load import beating, completed_once, finals_of, load
from tests.contracts.rekeyed import Rekeyed, holds_back, open_spans, shares
from tests.contracts.stage import has_partitions, set_up
from tests.traffic import admin, event, scatter


class TestRekeyed(Rekeyed):
    """See the contract."""

    async def test_more_workers_than_partitions(self, broker: Broker) -> None:
        """One partition of evidence, three of the source, three workers: two only re-key, and one of them is killed."""
        stage = await set_up(broker, partitions=3, rekeyed=True)
        workers = [stage.worker(terms=STEADY + "topics: {partitions: 1}\n") for _ in range(3)]
        first, second, third = workers
        with first.start(), second.start(), third.start():
            await has_partitions(first, 1)
            sending = asyncio.ensure_future(load(stage, 2000, seconds=6))
            for worker in (second, third):
                await has_partitions(worker, 0)
                await worker.reaches(1, "evidence_total", input=stage.topic)
            second.kill()
            await sending
            found = await finals_of(stage, 2000)
        completed_once(found, 2000, broker=broker)

    async def test_a_source_without_an_owner_holds_back_closing(self, broker: Broker) -> None:
        """A worker is killed and its sources are nobody's until its session ends: no span is closed meanwhile, and they
        are named. Their ends, unread for longer than every deadline, count."""
        stage = await set_up(broker, partitions=2, rekeyed=True)
        flags = {"--session-timeout": "12"}
        one, other = stage.worker(flags=flags), stage.worker(flags=flags)
        with one.start(ready=False), other.start(ready=False):
            await shares(one, other)
            await scatter(broker.bootstrap, stage.topic, [event("start", n) for n in range(40)], partitions=2)
            async with beating(stage, range(40)):
                await open_spans(40, one, other)
                other.kill()
            await scatter(broker.bootstrap, stage.topic, [event("end", n) for n in range(40)], partitions=2)
            await holds_back(one)
            found = await finals_of(stage, 40)
        completed_once(found, 40, broker=broker)

    async def test_partitions_are_added_to_a_source(self, broker: Broker) -> None:
        """The running worker takes them up; what is written there counts like all the rest."""
        stage = await set_up(broker, partitions=1, rekeyed=True)
        with stage.worker(terms=STEADY).start() as worker:
            await scatter(broker.bootstrap, stage.topic, [event("start", n) for n in range(10)], partitions=1)
            await worker.reaches(10, "evidence_total", input=stage.topic)
            async with admin(broker.bootstrap) as client:
                await client.create_partitions({stage.topic: NewPartitions(3)})
            await scatter(broker.bootstrap, stage.topic, [event("end", n) for n in range(10)], partitions=3)
            found = await finals_of(stage, 10)
        completed_once(found, 10, broker=broker)
