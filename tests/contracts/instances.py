"""One heartbeat of a process for all its spans: real clients in processes of their own, which are really killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer

from tests.brokers import Broker
from tests.client.app import HELD
from tests.contracts.stage import Stage, set_up
from tests.contracts.startup import ended
from tests.traffic import create_topics, delete_topics, topics_of
from tests.waiting import until
from tests.worker import Worker

LEASE = 2.5
"""Seconds after which a process that beats every half second is missed, by these terms."""
TERMS = """
terms:
  heartbeat: {interval: 1s, misses: 3, min: 500ms, allowance: 1s}
  start_grace: 1s
  orphan_grace: 3s
  silence: 1m
safety: {settle: 1s}
"""


class Closed(NamedTuple):
    """One final, as its reader sees it. Times in ns."""

    service: str
    cause: str
    revision: int
    span_id: str
    start: int
    end: int


class Instances:
    """Processes with an instance id."""

    async def test_spans_live_and_die_with_their_process(self, broker: Broker, tmp_path: Path) -> None:
        """Their process beats for them: none is closed while it lives. Killed for good: `heartbeat_lost`. Started
        again: `instance_replaced`, or the end that the new run knows from its spool. Each once, at its last beat."""
        stage, worker = await staged(broker)
        with worker.start():
            async with (
                app(stage, "gone") as gone,
                app(stage, "back") as back,
                app(stage, "spooled", spool=tmp_path / "spool.db") as spooled,
            ):
                began = time.time_ns()
                await worker.reaches(3, "instances")
                async with stage.reader("finalized") as finals:
                    assert not await finals.quiet(1.5 * LEASE)
                    assert worker.metric("evidence_total", kind="heartbeat") == 0
                    for one in (gone, back, spooled):
                        one.kill()
                    killed = time.time_ns()
                    async with app(stage, "back"), app(stage, "spooled", spool=tmp_path / "spool.db"):
                        found = [closed(record) for record in await finals.until(3 * HELD)]
                        found += [closed(record) for record in (await finals.quiet(LEASE))[len(found) :]]
        causes = {"gone": "heartbeat_lost", "back": "instance_replaced", "spooled": "restarted"}
        assert Counter((one.service, one.cause, one.revision) for one in found) == {
            (service, cause, 1): HELD for service, cause in causes.items()
        }
        assert len({one.span_id for one in found}) == 3 * HELD
        assert all(one.start < began and one.start <= one.end <= killed for one in found)
        # (A spool notes every five seconds what is still open.)
        assert all(one.end > began for one in found if one.service != "spooled")

    async def test_a_restarted_worker_goes_on_listening(self, broker: Broker) -> None:
        """Killed and started again, it knows which process its spans live in, and reads anew who was heard. A dry run
        listens, too."""
        stage, worker = await staged(broker)
        async with app(stage, "alive") as alive, app(stage, "dead") as dead:
            with worker.start(), stage.worker(terms=listens(stage), flags={"--dry-run": ""}).start() as dry:
                await worker.reaches(2 * HELD, "open_spans")
                worker.kill()
                dead.kill()
                worker.start()
                async with stage.reader("finalized") as finals:
                    found = [closed(record) for record in await finals.until(HELD)]
                    found += [closed(record) for record in (await finals.quiet(1.5 * LEASE))[len(found) :]]
                assert worker.metric("open_spans") == HELD
                alive.kill()
                assert (
                    dry.metric("would_close_total") == dry.metric("would_close_total", cause="heartbeat_lost") == HELD
                )
        assert {(one.service, one.cause) for one in found} == {("dead", "heartbeat_lost")}
        assert len(found) == HELD

    async def test_what_is_no_heartbeat_is_rejected_once(self, broker: Broker) -> None:
        """Bad data goes to the rejected topic, byte for byte: once, though every worker reads it, and reads it again
        after a restart. What takes back a heartbeat is none of it."""
        stage, worker = await staged(broker)
        topic, bad = f"{stage.topic}.instances", [b"garbage\xff", b'{"type":"instance","instance_id":"pod"}']
        with worker.start(), stage.worker(terms=listens(stage)).start() as other:
            async with stage.reader("rejected") as rejected:
                await put(broker, topic, bad[0], None, bad[1])
                first = await rejected.until(2)
                assert {(one.key, one.value) for one in first} == {(b"pod", value) for value in bad}
                headers = dict(first[0].headers)
                assert headers["dlq.reason"] == b"malformed"
                assert headers["__connect.errors.topic"] == topic.encode()
                assert headers["__connect.errors.offset"].isdigit()
                await settled_sum(2, worker, other, topic=topic)
                assert [await asyncio.to_thread(one.terminate) for one in (worker, other)] == [0, 0]
                await asyncio.to_thread(worker.start)
                await put(broker, topic, b"more garbage")
                await rejected.until(3)
                found = await rejected.quiet(1.0)
        assert [one.value for one in found[2:]] == [b"more garbage"]

    async def test_what_is_no_heartbeat_stops_nobody(self, broker: Broker) -> None:
        """The processes after it are heard, and the log tells of it. A topic that is gone holds back what names a
        process, and nobody else."""
        stage, worker = await staged(broker)
        topic = f"{stage.topic}.instances"
        with worker.start():
            await put(broker, topic, b"garbage", json.dumps({"type": "instance", "instance_id": "pod"}).encode())
            async with app(stage, "pod") as pod:
                await worker.reaches(2, "rejected_total", input=topic)
                await worker.reaches(1, "evidence_total", input=topic, kind="instance")
                await worker.says("cannot be used")
                assert worker.readiness()["instances"]["known"] == 1
                pod.kill()
            settled = partial(worker.metric, "closing_paused", reason="instances")
            await asyncio.to_thread(until, lambda: settled() == 0)
            await delete_topics(broker.bootstrap, topic)
            await worker.reaches(4, "closing_paused", reason="instances")

    async def test_a_topic_that_would_be_read_for_ever_is_refused(self, broker: Broker) -> None:
        """Every worker reads all of it: one that is not compacted is told, and a missing one is made compacted."""
        stage, worker = await staged(broker, cleanup="delete")
        with worker:
            assert "has cleanup.policy=delete, and every worker reads all of it" in ended(worker, 1)
        with stage.worker(terms=f"instances: {{topic: {stage.name}.made}}\n").start():
            assert f"{stage.name}.made" in await topics_of(broker.bootstrap)
        with stage.worker(terms=f"instances: {{topic: {stage.name}.made}}\n").start() as again:
            await again.reaches(0, "instances")


async def staged(broker: Broker, *, cleanup: str = "compact") -> tuple[Stage, Worker]:
    """A stage with a topic of instances, and a worker that listens to it."""
    stage = await set_up(broker)
    topic = f"{stage.topic}.instances"
    config = {"cleanup.policy": cleanup}
    await create_topics(broker.bootstrap, topic, partitions=3, config=config, copies=broker.copies)
    return stage, stage.worker(terms=listens(stage))


def listens(stage: Stage) -> str:
    """The terms of a worker that listens to processes."""
    return f"{TERMS}instances: {{topic: {stage.topic}.instances}}\n"


@contextlib.asynccontextmanager
async def app(
    stage: Stage, instance_id: str, *, spool: Path | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that holds spans open, once they have arrived; killed in the end, if it lives."""
    address, kept = stage.broker.bootstrap, "" if spool is None else str(spool)
    command = [sys.executable, "-m", "tests.client.app", "holds_open", address, stage.topic, kept, instance_id]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 40) == b"ready\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def settled_sum(count: int, *workers: Worker, topic: str) -> None:
    """Wait until the workers together have counted so many rejected records."""

    def counted() -> bool:
        return sum(worker.metric("rejected_total", input=topic) for worker in workers) == count

    await asyncio.to_thread(until, counted)


async def put(broker: Broker, topic: str, *values: bytes | None) -> None:
    """Write these records."""
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value=value, key=b"pod")


def closed(record: Any) -> Closed:
    """A record of `spans.finalized`."""
    (about,) = json.loads(record.value)["resourceSpans"]
    (span,) = about["scopeSpans"][0]["spans"]
    resource = {one["key"]: next(iter(one["value"].values())) for one in about["resource"]["attributes"]}
    headers = dict(record.headers)
    return Closed(
        resource["service.name"],
        headers["span-finalizer-cause"].decode(),
        int(headers["span-finalizer-revision"]),
        span["spanId"],
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
    )
