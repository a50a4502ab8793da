"""A steady load, and what must have come of it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.brokers import Broker
from tests.contracts.stage import Stage
from tests.traffic import Final, by_span, event, span_number

LAG = 300
"""An end comes so many spans after its start."""
STEP = 50
STEP_SECONDS = 0.06
BEAT_SECONDS = 0.5


async def load(stage: Stage, spans: int, *, seconds: float) -> None:
    """Starts and ends of all spans, spread over the inputs and so many seconds, by a client that keeps trying."""
    async with client(stage) as producer:
        steps = range(0, spans + LAG, STEP)
        for begin in steps:
            events = [event("start", number) for number in range(begin, min(begin + STEP, spans))]
            events += [event("end", number) for number in range(max(0, begin - LAG), min(begin + STEP - LAG, spans))]
            for one in events:
                await put(producer, input_of(stage, one), one)
            await asyncio.sleep(seconds / len(steps))
        await producer.flush()


async def flow(stage: Stage, ended: asyncio.Event) -> int:
    """Starts and ends of spans over the inputs, some thousand a second, until it is enough; returns how many spans."""
    async with client(stage) as producer:
        for begin in itertools.count(0, STEP):
            last = ended.is_set()
            started = () if last else range(begin, begin + STEP)
            over = range(max(0, begin - LAG), begin if last else max(0, begin + STEP - LAG))
            for one in [event("start", number) for number in started] + [event("end", number) for number in over]:
                await put(producer, input_of(stage, one), one)
            if last:
                await producer.flush()
                return begin
            await asyncio.sleep(STEP_SECONDS)
    raise AssertionError("the count never ends")


@contextlib.asynccontextmanager
async def beating(stage: Stage, *shares: Iterable[int]) -> AsyncIterator[None]:
    """Spans that beat, those of each share in its input, for as long as this lasts; by a client that keeps trying.

    Once entered all have beaten, and afterwards no beat is under way any more.
    """
    producer, over = client(stage), asyncio.Event()

    async def beat() -> None:
        for topic, spans in zip(stage.inputs, shares, strict=True):
            for number in spans:
                await put(producer, topic, event("heartbeat", number))
        await producer.flush()

    async def on_and_on() -> None:
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), BEAT_SECONDS)
            await beat()

    async with producer:
        await beat()
        rhythm = asyncio.ensure_future(on_and_on())
        yield
        over.set()
        await rhythm


def client(stage: Stage) -> AIOKafkaProducer:
    """A client that keeps trying while its broker is away."""
    return AIOKafkaProducer(
        bootstrap_servers=stage.broker.bootstrap, request_timeout_ms=60_000, linger_ms=5, acks="all"
    )


def input_of(stage: Stage, one: Mapping[str, Any]) -> str:
    """The input to which a load sends what is about this event's span."""
    return stage.inputs[span_number(str(one["trace_id"])) % len(stage.inputs)]


async def put(producer: AIOKafkaProducer, topic: str, one: Mapping[str, Any]) -> None:
    """Send an event."""
    await producer.send(topic, value=json.dumps(one).encode(), key=str(one["trace_id"]).encode())


async def finals_of(stage: Stage, spans: int, *, quiet: float = 1.5) -> dict[int, list[Final]]:
    """All finals by span, once there are as many as spans and no more come."""
    async with stage.reader("finalized") as finals:
        await finals.until(spans, limit_seconds=60)
        return by_span(await finals.quiet(quiet))


def each_once(found: Mapping[int, Sequence[Final]], spans: int, *, broker: Broker) -> None:
    """Nothing is missing; nothing comes twice, or where the broker has no transactions: not with other bytes."""
    missing = set(range(spans)) - set(found)
    assert not missing, f"{len(missing)} missing, such as {sorted(missing)[:5]}"
    assert len(found) == spans
    twice = {number: closed for number, closed in found.items() if len(closed) > 1}
    if broker.has_transactions:
        assert not twice, f"{len(twice)} twice, such as {list(twice.items())[:2]}"
    for closed in twice.values():
        assert len({one.value for one in closed if one.revision == 1}) <= 1, closed


def completed_once(found: Mapping[int, Sequence[Final]], spans: int, *, broker: Broker) -> None:
    """As `each_once`, and nothing was presumed."""
    each_once(found, spans, broker=broker)
    assert {one.cause for closed in found.values() for one in closed} == {"completed"}
