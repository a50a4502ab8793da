"""Who owns a partition: takeovers, timeouts and twins. An owner that was replaced ends; one that was not goes on."""

import asyncio
import signal

import pytest

from tests.brokers import Broker
from tests.brokers.proxy import Kind, Moment, Proxy
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, load
from tests.contracts.stage import has_partitions, set_up
from tests.waiting import until_true
from tests.worker import Worker

SPANS = 2000
SHORT_MS = 1500
TWINS = {"--instance-id": "one"}


@pytest.mark.parametrize("session", ["12", "2"])
async def test_a_transaction_that_times_out_under_its_only_owner(broker: Broker, proxy: Proxy, session: str) -> None:
    """Frozen before its commit until the broker gave its transaction up, a member still or not: nobody else has taken
    over, so it restores what it has and goes on by itself."""
    proxy.transaction_timeout_ms = SHORT_MS
    stage = await set_up(broker)
    with stage.by(proxy.bootstrap).worker(terms=STEADY, flags={"--session-timeout": session}) as worker:
        await asyncio.to_thread(worker.start)
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=6))
        await proxy.strike(Moment(Kind.END_TXN), lambda: worker.signal(signal.SIGSTOP), skip=20)
        await asyncio.sleep(2 * SHORT_MS / 1000 + 1)  # the freeze itself, longer than session and transaction
        worker.signal(signal.SIGCONT)
        await sending
        found = await finals_of(stage, SPANS)
        assert worker.exit_code is None
        assert "assignment.doubt" in worker.log, worker.log
        assert "Traceback" not in worker.log, worker.log
    completed_once(found, SPANS, broker=broker)


async def test_two_workers_with_one_instance_id(broker: Broker) -> None:
    """A second worker with the instance id of the first: one of them ends with exit 4 and asks whether that is so."""
    stage = await set_up(broker)
    with stage.worker(terms=STEADY, flags=TWINS).start() as first, stage.worker(terms=STEADY, flags=TWINS) as second:
        sending = asyncio.ensure_future(load(stage, SPANS, seconds=4))
        await first.reaches(200, "evidence_total")
        await asyncio.to_thread(second.start, ready=False)
        loser, winner = await one_ended(first, second)
        assert loser.exit_code == 4, loser.log
        assert "does another worker run with --instance-id one?" in loser.log
        await has_partitions(winner, 4)
        await sending
        found = await finals_of(stage, SPANS)
    completed_once(found, SPANS, broker=broker)


async def test_a_twin_that_comes_in_a_rebalance(broker: Broker, proxy: Proxy) -> None:
    """While a worker asks to join, another is let in under its instance id: told so by the group, it ends with 4."""
    stage = await set_up(broker)
    first, twin = stage.by(proxy.bootstrap).worker(terms=STEADY, flags=TWINS), stage.worker(terms=STEADY, flags=TWINS)
    with first, twin, stage.worker(terms=STEADY) as third:
        await asyncio.to_thread(first.start)
        third.start(ready=False)
        await proxy.strike(
            Moment(Kind.JOIN_GROUP, about=stage.name), lambda: asyncio.to_thread(twin.start), deliver=True
        )
        assert await asyncio.to_thread(first.wait) == 4, first.log
        assert "let another member in under our name" in first.log
        assert "Traceback" not in first.log, first.log
        await has_partitions(twin, 2)


async def one_ended(first: Worker, second: Worker) -> tuple[Worker, Worker]:
    """The one of the two that has ended by itself, and the other."""

    async def is_so() -> bool:
        return first.exit_code is not None or second.exit_code is not None

    await until_true(is_so)
    return (first, second) if first.exit_code is not None else (second, first)
