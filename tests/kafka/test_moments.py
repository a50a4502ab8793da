"""`kill -9` at moments that are chosen on the wire: before, within and after a transaction, in a restore, in a join."""

import asyncio
import random
from typing import NamedTuple

import pytest

from tests.brokers import Broker
from tests.brokers.proxy import Kind, Moment, Proxy
from tests.contracts.crashes import STEADY
from tests.contracts.load import completed_once, finals_of, flow
from tests.contracts.stage import Stage, set_up_mixed
from tests.worker import Worker

SEED = 20_260_712


class Death(NamedTuple):
    """A moment at which the worker dies."""

    moment: Moment
    deliver: bool = False
    """What was under way arrives all the same."""
    starting: bool = False
    """It comes while the worker starts."""


def deaths(stage: Stage) -> list[Death]:
    """Every moment of a worker's life that matters, at which it may die."""
    finals, state, group = stage.output("finalized"), stage.changelog, stage.name
    return [
        Death(Moment(Kind.ADD_PARTITIONS_TO_TXN, about=finals)),  # before the transaction has begun
        Death(Moment(Kind.ADD_PARTITIONS_TO_TXN, about=state, answer=True)),
        Death(Moment(Kind.PRODUCE, about=finals), deliver=True),
        Death(Moment(Kind.PRODUCE, about=finals, answer=True)),
        Death(Moment(Kind.PRODUCE, about=state)),
        Death(Moment(Kind.PRODUCE, about=state, answer=True)),
        Death(Moment(Kind.END_TXN)),  # before the commit
        Death(Moment(Kind.END_TXN), deliver=True),  # with the commit on its way
        Death(Moment(Kind.END_TXN, answer=True)),  # after the commit, of which it has not heard
        Death(Moment(Kind.JOIN_GROUP, about=group), deliver=True, starting=True),
        Death(Moment(Kind.JOIN_GROUP, about=group, answer=True), starting=True),
        Death(Moment(Kind.SYNC_GROUP, about=group), starting=True),
        Death(Moment(Kind.SYNC_GROUP, about=group, answer=True), starting=True),
        Death(Moment(Kind.INIT_PRODUCER_ID, about=group), deliver=True, starting=True),
        Death(Moment(Kind.FETCH, about=state, answer=True), starting=True),  # in the restore
        Death(Moment(Kind.LIST_OFFSETS, about=stage.topic), starting=True),
    ]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rounds", [1, pytest.param(6, marks=pytest.mark.long)])
async def test_a_kill_at_every_moment(broker: Broker, proxy: Proxy, rounds: int) -> None:
    """Killed under load at each moment of a group commit, of a restore and of a join: each span once."""
    stage = await set_up_mixed(broker)
    choice, enough = random.Random(SEED), asyncio.Event()
    with stage.by(proxy.bootstrap).worker(terms=STEADY, flags={"--instance-id": "one"}) as worker:
        sending = asyncio.ensure_future(flow(stage, enough))
        for _ in range(rounds):
            order = deaths(stage)
            order += choice.sample(order, 4)
            choice.shuffle(order)
            for death in order:
                await die(worker, death, proxy, skip=0 if death.starting else choice.randint(0, 3))
        await asyncio.to_thread(worker.start)
        enough.set()
        spans = await sending
        found = await finals_of(stage, spans)
    completed_once(found, spans, broker=broker)
    assert all(len(closed) == 1 for closed in found.values())


async def die(worker: Worker, death: Death, proxy: Proxy, *, skip: int) -> None:
    """Start the worker, and kill it at its moment."""
    if not death.starting:
        await asyncio.to_thread(worker.start)
    killed = asyncio.ensure_future(proxy.strike(death.moment, worker.kill, skip=skip, deliver=death.deliver))
    if death.starting:
        await asyncio.to_thread(worker.start, ready=False)
    await killed
