"""A broker that was restarted forgets the markers of a transaction: what it had decided comes to pass all the same."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.brokers import Broker
from tests.brokers.kafka import ApacheKafka
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, load
from tests.contracts.stage import set_up
from tests.traffic import by_span, event, send

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
