"""Both Kafka sinks: what they say arrived has arrived, under its key, in its partition."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from finalizer.client import Client
from finalizer.client.buffer import INSTANCE
from finalizer.client.events import Record
from finalizer.client.sinks import Sink, Undelivered, kafka, sink_of
from finalizer.client.sinks.aio import AioKafkaSink
from finalizer.client.sinks.confluent import ConfluentSink
from finalizer.embedded import EmbeddedBroker
from finalizer.shell.placement import partition_of
from tests.traffic import Reader, create_topics
from tests.waiting import until

PARTITIONS = 4
NOBODY = "127.0.0.1:1"
Make = Callable[..., Sink]


@pytest.fixture(params=[AioKafkaSink, ConfluentSink])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A sink of one of the two kinds; nobody waits long for a broker that is not there."""
    for module in ("aio", "confluent"):
        monkeypatch.setattr(f"finalizer.client.sinks.{module}.ANSWER_SECONDS", 1.0)

    def made(broker: str, topic: str, **settings: Any) -> Sink:
        sink: Sink = request.param(broker, topic=topic, instances=f"{topic}.instances", settings=settings)
        return sink

    return made


@pytest.fixture
async def topic(embedded_broker: str) -> str:
    """A topic of this test's own, and one for instances."""
    name = f"events-{uuid.uuid4().hex[:8]}"
    await create_topics(embedded_broker, name, f"{name}.instances", partitions=PARTITIONS)
    return name


def record(number: int, size: int = 10, kind: str = "end") -> Record:
    """A record of a trace of its own."""
    return Record(kind, f"{number:032x}{number:016x}", 0, json.dumps({"n": number, "x": "x" * size}).encode())


async def test_what_is_sent_lies_under_its_trace(embedded_broker: str, topic: str, make: Make) -> None:
    """Key: the trace id; partition: murmur2 of it; value: the event. When `send` returns it is there."""
    sink = make(embedded_broker, topic)
    sent = [record(number) for number in range(1, 101)]
    assert list(await asyncio.to_thread(sink.send, sent)) == []
    async with Reader(embedded_broker, topic) as reader:
        records = await reader.until(100)
    assert {one.value for one in records} == {one.value for one in sent}
    for one in records:
        assert one.key == f"{json.loads(one.value)['n']:032x}".encode()
        assert one.partition == partition_of(one.key, PARTITIONS)
    await asyncio.to_thread(sink.close)


def test_a_broker_that_hangs_is_not_told_again_and_again(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The app's log is the app's: each try fails, and what comes of it later, too late, is no news to anybody."""
    with EmbeddedBroker() as broker:
        sink = make(broker.bootstrap, "events")
        sink.send([record(0)])
        assert broker._child is not None
        broker._child.pause()
        for number in range(3):
            with pytest.raises(Undelivered):
                sink.send([record(number, size) for size in range(20)])
        broker._child.resume()
        deliver(sink)
        sink.close()
        del sink
        gc.collect()
    broken = make(NOBODY, "events")
    with pytest.raises(Undelivered):
        broken.send([record(1)])
    broken.close()
    gc.collect()
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.INFO] == []


def deliver(sink: Sink) -> None:
    """Send one more, as soon as it can be."""

    def delivered() -> bool:
        try:
            sink.send([record(99)])
        except Undelivered:
            return False
        return True

    until(delivered)


async def test_heartbeats_of_instances_go_to_their_own_topic(embedded_broker: str, topic: str, make: Make) -> None:
    """Their key is the instance, and every worker reads all of them."""
    sink = make(embedded_broker, topic)
    await asyncio.to_thread(sink.send, [record(1), Record(INSTANCE, "pod-1", 0, b"{}")])
    async with Reader(embedded_broker, f"{topic}.instances") as reader:
        (one,) = await reader.until(1)
    assert (one.key, one.value) == (b"pod-1", b"{}")
    await asyncio.to_thread(sink.close)


async def test_one_record_that_is_too_large_costs_the_others_nothing(
    embedded_broker: str, topic: str, make: Make
) -> None:
    """It is refused for good, by its place; those beside it arrive."""
    sink = make(embedded_broker, topic)
    batch = [record(1), record(2, size=2_000_000), record(3)]
    assert list(await asyncio.to_thread(sink.send, batch)) == [1]
    async with Reader(embedded_broker, topic) as reader:
        assert {json.loads(one.value)["n"] for one in await reader.until(2)} == {1, 3}
    await asyncio.to_thread(sink.close)


def test_a_broker_that_is_not_there_is_tried_again(make: Make) -> None:
    """Nothing arrived, nothing is refused; the sink can be used again, and closed."""
    sink = make(NOBODY, "events")
    for _ in range(2):
        with pytest.raises(Undelivered) as failure:
            sink.send([record(1)])
        assert failure.value.arrived == ()
    sink.close()


def test_a_broker_that_goes_away_is_no_reason_to_hang(make: Make) -> None:
    """What it did not acknowledge did not arrive; closing takes no longer than a moment, and leaves nothing running."""
    before = set(threading.enumerate())
    with EmbeddedBroker() as broker:
        inside = set(threading.enumerate())
        sink = make(broker.bootstrap, "events")
        sink.send([record(1)])
    with pytest.raises(Undelivered):
        sink.send([record(2)])
    sink.close()
    assert set(threading.enumerate()) - inside - before == set()


def test_a_client_may_be_closed_while_its_sink_waits_for_a_broker(make: Make) -> None:
    """It does not wait for what hangs; the sink is let go of when it comes back."""
    before = set(threading.enumerate())
    client = Client(make(NOBODY, "events"), "app")
    client.start_span("job").end()
    client.flush(0.1)
    client.close(0)
    until(lambda: set(threading.enumerate()) <= before)


def test_a_sink_that_is_closed_leaves_nothing_behind(embedded_broker: str, make: Make) -> None:
    """No thread of ours, and it may be used again."""
    before = set(threading.enumerate())
    sink = make(embedded_broker, f"events-{uuid.uuid4().hex[:8]}")
    for _ in range(2):
        sink.send([record(1)])
        sink.close()
        assert set(threading.enumerate()) <= before
    sink.close()


async def test_a_client_in_an_apps_own_loop_is_not_seen_by_it(embedded_broker: str, topic: str, make: Make) -> None:
    """The app's loop has no task of ours, though the sink may be asyncio itself."""
    client = Client(make(embedded_broker, topic), "app")
    async with client.span("request"):
        assert len(asyncio.all_tasks()) == 1
    assert await asyncio.to_thread(client.flush, 10)
    async with Reader(embedded_broker, topic) as reader:
        assert [json.loads(one.value)["type"] for one in await reader.until(2)] == ["start", "end"]
    await asyncio.to_thread(client.close)


def test_the_url_takes_whichever_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """confluent-kafka if it is there, else aiokafka, else one sentence that says what to install."""
    known = {"confluent_kafka", "aiokafka"}
    monkeypatch.setattr(kafka, "find_spec", lambda name: importlib.util.find_spec(name) if name in known else None)
    assert isinstance(sink_of("kafka://127.0.0.1:9092/events"), ConfluentSink)
    known.remove("confluent_kafka")
    assert isinstance(sink_of("kafka://127.0.0.1:9092"), AioKafkaSink)
    known.clear()
    with pytest.raises(ValueError, match=r"pip install 'span-finalizer\[kafka\]'"):
        sink_of("kafka://127.0.0.1:9092")
