"""Inputs that misbehave: too much that is unusable, records that are too large, clocks that are wrong."""

from __future__ import annotations

import time

from tests.brokers import Broker
from tests.contracts.load import completed_once
from tests.contracts.stage import set_up
from tests.traffic import by_span, event, send

HOUR_MS = 3_600_000


class Inputs:
    """The worker keeps going, and says what is wrong."""

    async def test_too_much_that_is_unusable_pauses_the_input(self, broker: Broker) -> None:
        """A broken producer does not drain a topic into the bin: the partition is paused; metric and log say so."""
        stage = await set_up(broker, partitions=1)
        with stage.worker(rejected="max_ratio: 0.5, over: 100").start() as worker:
            await send(broker.bootstrap, stage.topic, [b"garbage"] * 200)
            await worker.reaches(1, "input_paused")
            await worker.says("input_paused")
            await send(broker.bootstrap, stage.topic, [event(kind, 0) for kind in ("start", "end")])
            async with stage.reader("finalized") as finals, stage.reader("rejected") as rejected:
                assert len(await rejected.quiet(1)) == 200
                assert not await finals.quiet(0.2)
            assert worker.readiness()["ready"]
            assert worker.terminate() == 0

    async def test_wrong_record_times_on_a_create_time_input(self, broker: Broker) -> None:
        """Records stamped an hour ahead or behind by their producer neither close a span early nor keep it open."""
        stage = await set_up(broker, config={"message.timestamp.type": "CreateTime"})
        now = time.time_ns() // 1_000_000
        with stage.worker().start() as worker:
            for number, stamp in enumerate((now, now + HOUR_MS, now - HOUR_MS)):
                spans = range(number * 10, number * 10 + 10)
                await send(broker.bootstrap, stage.topic, [event("start", n) for n in spans], timestamp_ms=stamp)
            await worker.reaches(30, "open_spans")
            await send(broker.bootstrap, stage.topic, [event("end", n) for n in range(20)], timestamp_ms=now - HOUR_MS)
            async with stage.reader("finalized") as finals:
                await finals.until(30)
                found = by_span(await finals.quiet(1))
        completed_once({n: found[n] for n in range(20)}, 20, broker=broker)
        assert {one.cause for n in range(20, 30) for one in found[n]} == {"timeout"}
