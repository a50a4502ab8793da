"""Workers share partitions, and the group's offsets are only a hint."""

from __future__ import annotations

import asyncio

from tests.brokers import Broker
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, load
from tests.contracts.stage import Stage, has_partitions, set_up
from tests.traffic import by_span, committed, event, send
from tests.waiting import until_true

SPANS = 2000


class Groups:
    """What a group of workers does with partitions and offsets."""

    async def test_two_workers_joining_at_once_share_the_partitions(self, broker: Broker) -> None:
        """Two start together and have two partitions each; one leaves, the other takes all four: each span once."""
        stage = await set_up(broker)
        first, second = stage.worker(terms=STEADY), stage.worker(terms=STEADY)
        with first.start(ready=False), second.start(ready=False):
            await has_partitions(first, 2)
            await has_partitions(second, 2)
            sending = asyncio.ensure_future(load(stage, SPANS, seconds=3))
            await second.reaches(200, "evidence_total")
            assert await asyncio.to_thread(second.terminate) == 0
            await has_partitions(first, 4)
            await sending
            found = await finals_of(stage, SPANS)
            await commits(stage, 2 * SPANS)
        completed_once(found, SPANS, broker=broker)
        assert all(len(closed) == 1 for closed in found.values())

    async def test_a_first_deployment_from_the_latest(self, broker: Broker) -> None:
        """`--start-from latest` passes by what was there before the first start, and nothing that came after it."""
        stage = await set_up(broker)
        worker = stage.worker(terms=STEADY, flags={"--start-from": "latest"})
        await send(broker.bootstrap, stage.topic, [event(kind, n) for n in range(40, 80) for kind in ("start", "end")])
        with worker.start():
            assert worker.terminate() == 0
            await send(broker.bootstrap, stage.topic, [event(kind, n) for n in range(20) for kind in ("start", "end")])
            worker.start()
            await send(
                broker.bootstrap, stage.topic, [event(kind, n) for n in range(20, 40) for kind in ("start", "end")]
            )
            async with stage.reader("finalized") as finals:
                await finals.until(40)
                found = by_span(await finals.quiet(1))
        if broker.has_transactions:  # the embedded broker's "latest" is the beginning of the last batch
            completed_once(found, 40, broker=broker)
        assert set(range(40)) <= set(found)


async def commits(stage: Stage, records: int) -> None:
    """Wait until the group has committed so many records of the input: its lag is nothing."""

    async def has() -> bool:
        return await committed(stage.broker.bootstrap, stage.name, stage.topic) == records

    await until_true(has)
