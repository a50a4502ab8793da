"""Exactly one final, through crashes: what is missing, what comes twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence

from tests.brokers import Broker
from tests.contracts.stage import set_up
from tests.traffic import Final, by_span, event, send

SPANS = 3000


class Crashes:
    """Workers are killed, leave, and come back in the middle of a load."""

    async def test_kill_in_mid_load_loses_nothing(self, broker: Broker) -> None:
        """`kill -9` three times under load: every span has its final; a repeat has the same bytes and the same id."""
        stage = await set_up(broker)
        worker = stage.worker()
        with worker.start():
            sending = asyncio.ensure_future(_trickle(broker, stage.topic))
            for _ in range(3):
                await worker.reaches(300, "evidence_total")
                worker.kill()
                worker.start()
            await sending
            async with stage.reader("finalized") as finals:
                await finals.until(SPANS, limit_seconds=60)
                found = by_span(await finals.quiet(3))
        _each_once(found, range(SPANS), exactly=broker.has_transactions)

    async def test_two_workers_share_and_one_leaves(self, broker: Broker) -> None:
        """A second worker joins in mid-load and the first leaves: nothing missing, nothing twice."""
        stage = await set_up(broker)
        first, second = stage.worker(), stage.worker()
        with first.start(), second:
            sending = asyncio.ensure_future(_trickle(broker, stage.topic))
            await asyncio.sleep(0)
            second.start()
            assert first.terminate() == 0
            await sending
            async with stage.reader("finalized") as finals:
                await finals.until(SPANS, limit_seconds=60)
                found = by_span(await finals.quiet(3))
        _each_once(found, range(SPANS), exactly=True)

    async def test_two_ends_in_two_topics_with_a_kill_between(self, broker: Broker) -> None:
        """The same end comes in two topics, with a crash after the first: what finished is remembered through it."""
        stage = await set_up(broker, inputs=2)
        worker = stage.worker()
        ends = [event("end", number, at=2_000_000_000 * 10**9) for number in range(20)]
        with worker.start():
            await send(broker.bootstrap, stage.inputs[0], [event("start", number) for number in range(20)])
            await send(broker.bootstrap, stage.inputs[0], ends)
            async with stage.reader("finalized") as finals:
                await finals.until(20)
                worker.kill()
                await send(broker.bootstrap, stage.inputs[1], ends)
                worker.start()
                await worker.reaches(20, "evidence_total", input=stage.inputs[1])
                found = by_span(await finals.quiet(2))
        _each_once(found, range(20), exactly=broker.has_transactions)

    async def test_open_spans_are_known_after_a_kill(self, broker: Broker) -> None:
        """What was open when the worker died is open when it is back, and is closed with what was known then."""
        stage = await set_up(broker)
        worker = stage.worker()
        with worker.start():
            await send(
                broker.bootstrap, stage.topic, [event("start", number, name=f"job-{number}") for number in range(20)]
            )
            await send(broker.bootstrap, stage.topic, [event("heartbeat", number, seq=7) for number in range(20)])
            await worker.reaches(20, "open_spans")
            await asyncio.sleep(0.5)  # the group that holds them is committed
            worker.kill()
            worker.start()
            async with stage.reader("finalized") as finals:
                await finals.until(20, limit_seconds=60)
                found = by_span(await finals.quiet(2))
        _each_once(found, range(20), exactly=broker.has_transactions)
        assert {one.attributes["span_finalizer.last_seq"] for closed in found.values() for one in closed} == {"7"}

    async def test_sigterm_finishes_the_group_in_hand(self, broker: Broker) -> None:
        """SIGTERM under load exits 0 within seconds; the next worker goes on, nothing missing and nothing twice."""
        stage = await set_up(broker)
        worker = stage.worker()
        with worker.start():
            sending = asyncio.ensure_future(_trickle(broker, stage.topic))
            await worker.reaches(300, "evidence_total")
            assert worker.terminate() == 0
            assert "Unclosed" not in worker.log
            worker.start()
            await sending
            async with stage.reader("finalized") as finals:
                await finals.until(SPANS, limit_seconds=60)
                found = by_span(await finals.quiet(3))
        _each_once(found, range(SPANS), exactly=True)

    async def test_a_worker_frozen_out_of_its_group_writes_nothing_twice(self, broker: Broker) -> None:
        """Frozen beyond its session while another took over, it wakes up: no span has two finals of one revision."""
        stage = await set_up(broker)
        first, second = stage.worker(), stage.worker()
        with first.start(), second:
            sending = asyncio.ensure_future(_trickle(broker, stage.topic))
            await first.reaches(300, "evidence_total")
            first.signal(signal.SIGSTOP)
            second.start()
            first.signal(signal.SIGCONT)
            await sending
            async with stage.reader("finalized") as finals:
                await finals.until(SPANS, limit_seconds=60)
                found = by_span(await finals.quiet(3))
        _each_once(found, range(SPANS), exactly=broker.has_transactions)


async def _trickle(broker: Broker, topic: str) -> None:
    """Starts and ends of all spans, over some seconds; each end comes a few hundred spans after its start."""
    lag = 300
    for begin in range(0, SPANS + lag, 100):
        events = [event("start", number) for number in range(begin, min(begin + 100, SPANS))]
        events += [event("end", number) for number in range(max(0, begin - lag), min(begin + 100 - lag, SPANS))]
        await send(broker.bootstrap, topic, events)
        await asyncio.sleep(0.1)


def _each_once(found: Mapping[int, Sequence[Final]], wanted: range, *, exactly: bool) -> None:
    assert sorted(found) == list(wanted)
    twice = {number: closed for number, closed in found.items() if len(closed) > 1}
    if exactly:
        assert not twice
    for closed in twice.values():
        assert len({one.value for one in closed if one.revision == 1}) <= 1, closed
