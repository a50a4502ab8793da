"""The broker dies, comes back and freezes under a worker with a direct and a re-keyed input.

It waits, goes on by itself, and closes nothing wrongly.
"""

import asyncio
from collections.abc import Iterator

import pytest

from finalizer.shell.stop import Exit
from tests.brokers import Broker
from tests.brokers.kafka import ApacheKafka
from tests.client.app import HELD
from tests.contracts.crashes import STEADY
from tests.contracts.instances import LEASE, app, closed, staged
from tests.contracts.load import beating, completed_once, finals_of, load
from tests.contracts.stage import set_up_mixed
from tests.traffic import event, send
from tests.waiting import until, until_true
from tests.worker import Worker

SPANS = 3000
SHARES = range(10), range(10, 20)
"""Spans that beat in the direct input, and in the re-keyed one."""


@pytest.fixture(scope="module")
def kafka() -> Iterator[ApacheKafka]:
    """A node of this module's own, to be killed and frozen. Each test leaves it running."""
    with ApacheKafka() as kafka:
        yield kafka


@pytest.fixture
def broker(kafka: ApacheKafka) -> Broker:
    """The node as the contracts know it."""
    return Broker(kafka.bootstrap, has_transactions=True, honours_log_append_time=True)


async def test_a_restart_under_load(kafka: ApacheKafka, broker: Broker) -> None:
    """The node is killed under load and comes back: the worker waits, is not ready, and goes on; each span once."""
    stage = await set_up_mixed(broker)
    with stage.worker(terms=STEADY).start() as worker:
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=8))
        await worker.reaches(500, "evidence_total")
        kafka.kill()
        await not_ready(worker)
        await asyncio.to_thread(kafka.start)
        await sending
        found = await finals_of(stage, SPANS)
        await asyncio.to_thread(worker.wait_until_ready)
        assert "Traceback" not in worker.log
    completed_once(found, SPANS, broker=broker)


async def test_a_restart_under_beating_spans(kafka: ApacheKafka, broker: Broker) -> None:
    """The node is gone for longer than every deadline; clients beat again once it is back: no false close."""
    stage = await set_up_mixed(broker)
    with stage.worker().start() as worker:
        for topic, spans in zip(stage.inputs, SHARES, strict=True):
            await send(broker.bootstrap, topic, [event("start", n) for n in spans])
        async with beating(stage, *SHARES):
            await worker.reaches(40, "evidence_total")
            kafka.kill()
            await not_ready(worker, "the broker has not answered")  # for longer than what a beating span is given
            await asyncio.to_thread(kafka.start)
            for topic, spans in zip(stage.inputs, SHARES, strict=True):
                await send(broker.bootstrap, topic, [event("end", n) for n in spans])
        found = await finals_of(stage, 20)
    completed_once(found, 20, broker=broker)


async def test_a_restart_under_processes_that_beat(kafka: ApacheKafka, broker: Broker) -> None:
    """The node is gone for longer than any process may be silent: the view of them has been cut off: none is closed."""
    stage, worker = await staged(broker)
    with worker.start():
        async with app(stage, "pod") as pod, stage.reader("finalized") as finals:
            await worker.reaches(HELD, "open_spans")
            kafka.kill()
            await not_ready(worker, "the broker has not answered")
            await asyncio.to_thread(kafka.start)
            assert not await finals.quiet(2 * LEASE)
            assert worker.metric("open_spans") == HELD
            pod.kill()
            found = [closed(record) for record in await finals.until(HELD)]
    assert [one.cause for one in found] == ["heartbeat_lost"] * HELD


async def test_a_full_disk(kafka: ApacheKafka, broker: Broker) -> None:
    """The node ends because its disk is full, under load: the worker waits until there is room; each span once."""
    stage = await set_up_mixed(broker)
    with stage.worker(terms=STEADY).start() as worker:
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=6))
        await worker.reaches(500, "evidence_total")
        kafka.fill_disk()
        await asyncio.to_thread(until, lambda: not kafka.alive)
        await not_ready(worker)
        kafka.kill()
        await asyncio.to_thread(kafka.start)
        await sending
        found = await finals_of(stage, SPANS)
        assert worker.exit_code is None
        assert "Traceback" not in worker.log
    completed_once(found, SPANS, broker=broker)


async def test_a_frozen_broker(kafka: ApacheKafka, broker: Broker) -> None:
    """The node is frozen for longer than session and deadlines, under load: nothing missing, twice or presumed."""
    stage = await set_up_mixed(broker)
    with stage.worker(terms=STEADY).start() as worker:
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=6))
        await worker.reaches(500, "evidence_total")
        kafka.pause()
        await asyncio.sleep(5)  # the freeze itself
        kafka.resume()
        await sending
        found = await finals_of(stage, SPANS)
        assert worker.exit_code is None
    completed_once(found, SPANS, broker=broker)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_sigterm_without_a_broker(kafka: ApacheKafka, broker: Broker, fault: str) -> None:
    """SIGTERM while the node is away ends the worker by itself, exit 0, no producer left open, before its pod would be
    killed; however long its session may be."""
    stage = await set_up_mixed(broker)
    flags = {} if fault == "killed" else {"--session-timeout": "60", "--instance-id": "one"}
    with stage.worker(terms=STEADY, flags=flags).start() as worker:
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=4))
        await worker.reaches(300, "evidence_total")
        take_away, give_back = (kafka.kill, kafka.start) if fault == "killed" else (kafka.pause, kafka.resume)
        take_away()
        try:
            assert await asyncio.to_thread(worker.terminate) == 0
        finally:
            await asyncio.to_thread(give_back)
            await asyncio.to_thread(kafka.wait_until_ready)
        assert "Unclosed" not in worker.log
        await supervised(worker)  # a node that was frozen for so long is fenced, and names no broker for a moment
        await sending
        found = await finals_of(stage, SPANS)
    completed_once(found, SPANS, broker=broker)


async def supervised(worker: Worker) -> None:
    """Start it as a supervisor does: again, where it ends with the code that says that a restart may cure it."""
    while True:
        try:
            await asyncio.to_thread(worker.start)
        except AssertionError:
            if worker.exit_code != Exit.FAULT:
                raise
        else:
            return


async def not_ready(worker: Worker, why: str = "") -> None:
    """Wait until the worker says that it is not ready, and (in these words) why."""

    async def is_so() -> bool:
        told = await asyncio.to_thread(worker.readiness)
        return not told["ready"] and why in told["reason"]

    await until_true(is_so)
