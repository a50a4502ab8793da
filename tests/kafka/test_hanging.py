"""A broker that was restarted forgets the markers of a transaction: what it had decided comes to pass all the same."""

import asyncio
from collections.abc import Iterator

import pytest
from aiokafka import AIOKafkaProducer

from finalizer.shell.hanging import MARKED_SECONDS
from tests.brokers import Broker
from tests.brokers.kafka import ApacheKafka
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, load
from tests.contracts.stage import set_up
from tests.traffic import by_span, event, send
from tests.waiting import LIMIT_SECONDS, until

SPANS = 600


@pytest.fixture(scope="module")
def kafka() -> Iterator[ApacheKafka]:
    """A node that takes records of partitions which their transaction does not name."""
    with ApacheKafka(settings={"transaction.partition.verification.enable": "false"}) as kafka:
        yield kafka


@pytest.fixture
def broker(kafka: ApacheKafka) -> Broker:
    """The node as the contracts know it."""
    return Broker(kafka.bootstrap, has_transactions=True, honours_log_append_time=True)


@pytest.mark.parametrize("fate", ["committed", "aborted"])
async def test_a_group_whose_markers_were_forgotten(broker: Broker, fate: str) -> None:
    """Committed, it is restored and its finals are seen; aborted, it is decided again: each span once."""
    stage = await set_up(broker)
    with stage.worker(terms=STEADY, module=("tests.unmarked", fate)).start() as first:
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=2))
        assert await asyncio.to_thread(first.wait) == -9
        with stage.worker(terms=STEADY).start() as second:
            await sending
            found = await finals_of(stage, SPANS)
            assert f"fate={fate}" in second.log
    completed_once(found, SPANS, broker=broker)


async def test_a_worker_that_outlives_it(kafka: ApacheKafka, broker: Broker) -> None:
    """The worker goes on after the restart, and nothing more is closed: its last finals are seen all the same."""
    stage = await set_up(broker)
    with stage.worker(
        terms=STEADY, flags={"--session-timeout": "30"}, module=("tests.unmarked", "survived")
    ).start() as worker:
        await send(broker.bootstrap, stage.topic, [event("start", 0), event("end", 0)])
        await worker.reaches(1, "finals_total")
        await asyncio.to_thread(kafka.kill)
        await asyncio.to_thread(kafka.start)
        async with stage.reader("finalized") as finals:
            opened = 1
            while not (found := by_span(await finals.quiet(1))):
                await send(broker.bootstrap, stage.topic, [event("start", opened + n) for n in range(8)])
                opened += 8
                assert opened < 200, worker.last_words
    completed_once(found, 1, broker=broker)


async def test_what_cannot_be_ended_stops_the_worker(broker: Broker) -> None:
    """A stranger's transaction lies open in the changelog, which cannot be read beyond it: exit 5, and the command that
    ends it. Once it is ended the worker goes on, and has lost nothing."""
    stage = await set_up(broker)
    worker = stage.worker(terms=STEADY)
    with worker.start():
        await send(broker.bootstrap, stage.topic, [event("start", 0)])
        await worker.reaches(1, "open_spans")
        assert worker.terminate() == 0
    async with AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, transactional_id="a-stranger", transaction_timeout_ms=300_000
    ) as stranger:
        await stranger.begin_transaction()
        await stranger.send_and_wait(stage.changelog, key=b"k", value=b"hides what follows", partition=0)
        with stage.worker(terms=STEADY).start(ready=False) as stopped:
            await asyncio.to_thread(
                until, lambda: stopped.exit_code is not None, limit_seconds=MARKED_SECONDS + LIMIT_SECONDS
            )
            assert stopped.exit_code == 5
            assert f"kafka-transactions.sh abort --topic {stage.changelog} --partition 0 --start-offset" in stopped.log
        await stranger.abort_transaction()
    with stage.worker(terms=STEADY).start():
        await send(broker.bootstrap, stage.topic, [event("end", 0)])
        found = await finals_of(stage, 1)
    completed_once(found, 1, broker=broker)
