"""One partition and the frames that reach it while it is left. What would need Kafka is stood in for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from finalizer.core.terms import SECOND
from finalizer.shell.outbox import Outbox
from finalizer.shell.partition import Partition
from finalizer.shell.pending import Group
from tests.bench.road import OUTPUTS
from tests.core.making import EPOCH
from tests.course.running import EVENTS, Running
from tests.shell.polled import frame

PLACE = TP(EVENTS, 0)


class Writing:
    """Commits groups, once it is let."""

    owes = False

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()

    def group(self, *, of_timer: bool) -> Group:
        return Group(Outbox(transactional=True), OUTPUTS, of_timer=of_timer)

    async def commit(self, group: Group) -> None:
        self.asked.set()
        await self.let.wait()

    async def stop(self) -> None: ...


def partition(writing: Writing) -> Partition:
    """A partition that was made ready."""

    def never(*what: Any) -> None:
        raise AssertionError(what)

    def nothing(*_: Any, **__: Any) -> None: ...

    keeper: Any = SimpleNamespace(hold=nothing, release=nothing, answer=nothing, doubt=never)
    time: Any = SimpleNamespace(now=lambda: EPOCH + SECOND, at=lambda _: EPOCH + SECOND, learned=nothing)
    metrics: Any = SimpleNamespace(apply=nothing, group_committed=nothing)
    routing: Any = SimpleNamespace(look=nothing)
    writer: Any = writing
    return Partition(
        0,
        Running().course,
        writer,
        keeper=keeper,
        broker_time=time,
        metrics=metrics,
        routing=routing,
        gaps={},
        app_id="spans",
    )


async def test_what_comes_after_a_dropped_frame_is_dropped() -> None:
    """A partition that is kept through a rebalance goes on where it stopped deciding: what came while its last group
    was committed came behind frames that were dropped, and is read again with them."""
    writing, event = Writing(), SimpleNamespace(ack=lambda: None)
    kept = partition(writing)
    kept.start(1)
    kept.accept(event, frame(PLACE, 0, 5))
    await writing.asked.wait()
    quiescing = asyncio.create_task(kept.quiesce(10))
    await asyncio.sleep(0)  # deciding is cancelled now
    kept.accept(event, frame(PLACE, 5, 9))
    for _ in range(10):  # it has stopped deciding, and waits for the commit
        await asyncio.sleep(0)
    kept.accept(event, frame(PLACE, 9, 12))
    writing.let.set()
    assert await quiescing
    kept.start(2)
    acknowledged = asyncio.Event()
    kept.accept(SimpleNamespace(ack=acknowledged.set), frame(PLACE, 5, 12, generation=2))
    await asyncio.wait_for(acknowledged.wait(), 10)
    await kept.stop()
    assert len(kept.course.spans.states) == 12
