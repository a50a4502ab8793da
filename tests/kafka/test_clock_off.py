"""A worker on a machine whose clock is wrong. (Only a broker that stamps records can tell it the time.)"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.brokers import Broker
from tests.contracts.load import beating
from tests.contracts.stage import set_up
from tests.traffic import by_span, event, send

HOUR = 3600
LIVING, DEAD = range(20), range(20, 30)


@pytest.mark.parametrize(("first", "then"), [(HOUR, -HOUR), (-HOUR, 0), (0, HOUR)])
async def test_a_worker_with_a_wrong_clock_closes_nothing_wrongly(
    broker: Broker, tmp_path: Path, first: int, then: int
) -> None:
    """Its clock is an hour off, and is set while it runs: who beats is never closed, who is dead is, and in time."""
    stage = await set_up(broker, config={"message.timestamp.type": "LogAppendTime"})
    clock = tmp_path / "ahead"
    clock.write_text(str(first))
    with stage.worker(module=("tests.wall_clock_off", str(clock))).start() as worker:
        await send(broker.bootstrap, stage.topic, [event("start", number) for number in (*LIVING, *DEAD)])
        await send(broker.bootstrap, stage.topic, [event("heartbeat", number) for number in DEAD])
        async with beating(stage, LIVING), stage.reader("finalized") as finals:
            await asyncio.sleep(2)  # with the one clock
            clock.write_text(str(then))
            await finals.until(len(DEAD))
            found = by_span(await finals.quiet(6))  # and with the other, for longer than a beating span is given
            causes = {number: [one.cause for one in closed] for number, closed in found.items()}
            assert causes == {number: ["heartbeat_lost"] for number in DEAD}
            await send(broker.bootstrap, stage.topic, [event("end", number) for number in LIVING])
            found = by_span(await finals.until(len(LIVING) + len(DEAD)))
        assert {one.cause for number in LIVING for one in found[number]} == {"completed"}
        assert abs(worker.metric("broker_clock_offset_seconds") + then) < 60
        assert worker.terminate() == 0
