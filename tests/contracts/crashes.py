"""Exactly one final, through crashes: what is missing, what comes twice. Half of the load is re-keyed."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tests.brokers import Broker
from tests.contracts.load import completed_once, each_once, finals_of, load
from tests.contracts.stage import has_partitions, set_up, set_up_mixed
from tests.traffic import by_span, event, send
from tests.waiting import until_true
from tests.worker import Worker

SPANS = 3000
SEED = 20_260_711
STEADY = "terms: {silence: 5m, orphan_grace: 5m, heartbeat: {interval: 5m}}\nsafety: {settle: 1s}\n"
"""Nothing is presumed while workers come and go: what is counted is what clients reported."""


class Crashes:
    """Workers are killed, leave, and come back in the middle of a load."""

    async def test_kills_at_random_moments_lose_nothing(self, broker: Broker) -> None:
        """`kill -9` again and again under load, also while it starts: nothing missing, repeats are equal."""
        kills, spans = 4, 8_000
        stage, moments = await set_up_mixed(broker), random.Random(SEED)
        worker = stage.worker(terms=STEADY, flags={"--instance-id": "one", "--session-timeout": "2"})
        with worker.start():
            sending = asyncio.ensure_future(load(stage, spans, seconds=2.0 * kills))
            for number in range(kills):
                await asyncio.to_thread(worker.kill_in, moments.uniform(0, 1.5))
                await asyncio.to_thread(worker.start, ready=number % 3 != 1)
            await sending
            found = await finals_of(stage, spans)
        completed_once(found, spans, broker=broker)

    async def test_two_workers_share_and_one_leaves(self, broker: Broker) -> None:
        """A second worker joins in mid-load and the first leaves: nothing missing, nothing twice."""
        stage = await set_up_mixed(broker)
        first, second = stage.worker(terms=STEADY), stage.worker(terms=STEADY)
        with first.start(), second:
            sending = asyncio.ensure_future(load(stage, SPANS, seconds=6))
            await asyncio.to_thread(second.start)
            assert await asyncio.to_thread(first.terminate) == 0
            await sending
            found = await finals_of(stage, SPANS)
        completed_once(found, SPANS, broker=broker)
        assert all(len(closed) == 1 for closed in found.values())

    async def test_a_kill_during_a_rebalance(self, broker: Broker) -> None:
        """Two workers join at once, and one is killed before the group has settled: nothing missing, nothing twice."""
        stage = await set_up_mixed(broker)
        first, second, third = (stage.worker(terms=STEADY) for _ in range(3))
        with first.start(), second, third:
            sending = asyncio.ensure_future(load(stage, SPANS, seconds=8))
            second.start(ready=False)
            third.start(ready=False)
            await second.says("worker.starting")
            await asyncio.to_thread(first.kill_in, 0.7)
            await asyncio.to_thread(second.wait_until_ready)
            await asyncio.to_thread(third.wait_until_ready)
            await asyncio.to_thread(second.kill_in, 0.0)
            await sending
            found = await finals_of(stage, SPANS)
        completed_once(found, SPANS, broker=broker)

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
                found = by_span(await finals.quiet(1))
        each_once(found, 20, broker=broker)

    async def test_open_spans_are_known_after_a_kill(self, broker: Broker) -> None:
        """What was open when the worker died is open when it is back, and is closed with what was known then."""
        stage = await set_up(broker)
        worker = stage.worker()
        with worker.start():
            await send(broker.bootstrap, stage.topic, [event("start", number) for number in range(20)])
            await send(broker.bootstrap, stage.topic, [event("heartbeat", number, seq=7) for number in range(20)])
            await worker.reaches(40, "evidence_total")
            worker.kill()
            worker.start()
            found = await finals_of(stage, 20)
        each_once(found, 20, broker=broker)
        assert {one.attributes["span_finalizer.last_seq"] for closed in found.values() for one in closed} == {"7"}

    async def test_sigterm_finishes_the_group_in_hand(self, broker: Broker) -> None:
        """SIGTERM under load exits 0 and leaves no producer open; the next one goes on, nothing missing or twice."""
        stage = await set_up_mixed(broker)
        worker = stage.worker(terms=STEADY)
        with worker.start():
            sending = asyncio.ensure_future(load(stage, SPANS, seconds=4))
            await worker.reaches(300, "evidence_total")
            assert await asyncio.to_thread(worker.terminate) == 0
            assert "Unclosed" not in worker.log, worker.log
            await asyncio.to_thread(worker.start)
            await sending
            found = await finals_of(stage, SPANS)
        completed_once(found, SPANS, broker=broker)
        assert all(len(closed) == 1 for closed in found.values())

    async def test_sigterm_while_it_restores(self, broker: Broker) -> None:
        """SIGTERM right after the start exits 0 within seconds, and leaves no producer open."""
        stage = await set_up_mixed(broker)
        worker = stage.worker(terms=STEADY)
        with worker:
            for words in ("worker.starting", "SpanStore: spans://local/]: Starting", "restore.done"):
                seen = worker.log.count(words)
                worker.start(ready=False)
                await worker.says(words, times=seen + 1)
                assert await asyncio.to_thread(worker.terminate) == 0, worker.last_words
            assert "Unclosed" not in worker.log, worker.log
            assert "Traceback" not in worker.log, worker.log

    @pytest.mark.parametrize("in_hand", [True, False])
    async def test_a_worker_frozen_out_of_its_group_writes_nothing_twice(
        self, broker: Broker, *, in_hand: bool
    ) -> None:
        """Frozen while another took over, with a group in hand or none: fenced it ends (without transactions nothing
        fences it, and it is a member again); no span has two finals."""
        stage = await set_up_mixed(broker)
        first, second = stage.worker(terms=STEADY), stage.worker(terms=STEADY)
        with first.start(), second:
            sending = asyncio.ensure_future(load(stage, SPANS, seconds=6 if in_hand else 0.1))
            await first.reaches(300 if in_hand else 2 * SPANS, "evidence_total")
            first.signal(signal.SIGSTOP)
            await asyncio.to_thread(second.start, ready=False)
            await has_partitions(second, 4)
            first.signal(signal.SIGCONT)
            if broker.has_transactions:
                assert await asyncio.to_thread(first.wait) == 4, first.log
                assert "taken over by a newer owner" in first.log
                assert "never retrieved" not in first.log, first.log
            else:
                await has_given_up(first)
            await sending
            found = await finals_of(stage, SPANS)
        each_once(found, SPANS, broker=broker)


async def has_given_up(worker: Worker) -> None:
    """Wait until a worker that lost its partitions has ended as fenced, or joined anew and shares them."""

    async def is_so() -> bool:
        if worker.exit_code is not None:
            assert worker.exit_code == 4, worker.log
            return True
        return worker.log.count("assignment.ready") > 1

    await until_true(is_so)
