"""Four workers on four partitions: one after the other restarted, and all but one killed."""

import asyncio
import contextlib
import re

from tests.brokers import Broker
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, load
from tests.contracts.stage import has_partitions, set_up
from tests.worker import Worker

SPANS = 4000
WORKERS = 4
SESSION = {"--session-timeout": "4"}


def restored(worker: Worker) -> int:
    """How many partitions a worker has restored so far."""
    return len(re.findall(r"restore\.done", worker.log))


async def test_a_rolling_restart_then_one_is_left(broker: Broker) -> None:
    """Four workers restart one after the other under load, and what a worker keeps is not restored again; then three
    are killed, and the one that is left has all: each span once."""
    stage = await set_up(broker)
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(stage.worker(terms=STEADY, flags=SESSION)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start(ready=False)
        for worker in workers:
            await has_partitions(worker, 1)
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=12))
        for worker in workers:
            before = {other: restored(other) for other in workers if other is not worker}
            assert await asyncio.to_thread(worker.terminate) == 0, worker.log
            await asyncio.to_thread(worker.start)
            for other in workers:
                await has_partitions(other, 1)
            moved = sum(restored(other) - count for other, count in before.items())
            assert moved <= 1, "only the partition of the worker that left moves, and back again to it"
        for worker in workers[1:]:
            worker.kill()
        await has_partitions(workers[0], WORKERS)
        await sending
        found = await finals_of(stage, SPANS)
    completed_once(found, SPANS, broker=broker)
