"""From an app to its finals: client, Kafka, worker. Real processes, really killed, each pattern by its name."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from finalizer.client.clock import SECOND
from finalizer.client.events import Record
from finalizer.client.sinks import Sink
from finalizer.client.sinks.memory import MemorySink
from finalizer.client.testing import FakeClock
from tests.brokers import Broker
from tests.client.app import BEAT, TTL, kafka
from tests.client.spooling import SteppedClient
from tests.contracts.stage import Stage, set_up
from tests.traffic import Reader

TERMS = """
terms:
  heartbeat: {interval: 1s, misses: 16, min: 1s, allowance: 2s}
  start_grace: 10s
  silence: 1m
  background_grace: 3s
safety: {settle: 1s}
"""
"""An app that beats every half second is missed after ten: those that are started again have so long."""
NOBODY = "127.0.0.1:1"
HOURS = 10
"""Spans of the app that was offline for an hour."""


class Told(NamedTuple):
    """One final, as its reader sees it."""

    cause: str
    revision: int
    attributes: dict[str, Any]
    start: int
    end: int
    status: int


class Apps:
    """Apps as child processes, and what became of their spans."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage = stage
        self.folder = folder
        self.killed_at = 0
        self.finals: dict[str, list[Told]] = {}
        self.sent: list[Record] = []
        """What the app that was offline for an hour has sent."""
        self.seqs: dict[str, list[int]] = defaultdict(list)
        """By trace: the numbers of the events that lie in the topic, in its order."""

    async def live(self, story: str, *, spool: str = "", broker: str = "") -> None:
        """One story, to its end, or until it is killed once it is ready."""
        spool_path = str(self.folder / (spool or story))
        address = broker or self._stage.broker.bootstrap
        command = [sys.executable, "-m", "tests.client.app", story, address, self._stage.topic, spool_path]
        app = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        assert app.stdout is not None
        said = await asyncio.wait_for(app.stdout.readline(), 40)
        if said == b"ready\n" and story != "offline":
            await asyncio.sleep(2 * BEAT)  # a heartbeat or two of its life
            app.kill()
            self.killed_at = time.time_ns()
        assert await asyncio.wait_for(app.wait(), 40) in (0, -9)

    async def read(self, count: int) -> None:
        """Wait for so many finals, and for those that nobody expects. Without transactions one may come twice, byte for
        byte."""
        async with self._stage.reader("finalized") as finals:
            until = count
            while len({record.value for record in await finals.until(until, limit_seconds=40)}) < count:
                until = len(finals.records) + 1
            records = {record.value: record for record in await finals.quiet(1)}
        for record in records.values():
            (span,) = json.loads(record.value)["resourceSpans"][0]["scopeSpans"][0]["spans"]
            headers = dict(record.headers)
            told = Told(
                headers["span-finalizer-cause"].decode(),
                int(headers["span-finalizer-revision"]),
                {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]},
                int(span["startTimeUnixNano"]),
                int(span["endTimeUnixNano"]),
                span.get("status", {}).get("code", 0),
            )
            self.finals.setdefault(span["name"], []).append(told)

    async def read_evidence(self) -> None:
        """Read what the app that was offline has sent."""
        mine = {record.routing_key for record in self.sent}
        async with Reader(self._stage.broker.bootstrap, self._stage.topic) as events:
            await events.until(len(self.sent))
            for record in await events.quiet(1):
                if record.key in mine:
                    self.seqs[record.key.decode()].append(json.loads(record.value)["seq"])

    def final(self, name: str) -> Told:
        """The one final of a span."""
        found = self.finals.get(name, [])
        assert len(found) == 1, found
        return found[0]


class Cut(MemorySink):
    """A network that may be down, with Kafka behind it; keeps what went through."""

    def __init__(self, kafka: Sink) -> None:
        super().__init__()
        self._kafka = kafka

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        super().send(records)
        return self._kafka.send(records)

    def close(self) -> None:
        self._kafka.close()


def an_hour_offline(broker: str, topic: str, folder: Path) -> list[Record]:
    """Spans that begin with a network, beat for an hour without one, and end; the hour is the client's alone."""
    clock = FakeClock()
    clock.set_wall(time.time() - clock.wall() / SECOND - 3600)
    network = Cut(kafka(broker, topic))
    client = SteppedClient(folder / "hour", clock, network, heartbeat=10)
    spans = [client.start_span(f"hour {number}") for number in range(HOURS)]
    client.step()
    network.down = True
    for _ in range(360):
        clock.advance(10)
        client.step()
    for span in spans:
        span.end("ok")
    network.down = False
    client.step()
    client.close()
    return network.records


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def apps(embedded_broker: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Apps]:
    """All stories, lived side by side, with one worker."""
    broker = Broker(embedded_broker, has_transactions=False, honours_log_append_time=False)
    stage = await set_up(broker)
    apps = Apps(stage, tmp_path_factory.mktemp("spools"))

    async def comes_back(story: str, after: float = 0.0) -> None:
        await apps.live(story)
        await asyncio.sleep(after)
        await apps.live("comes_back", spool=story)

    async def elsewhere() -> None:
        await apps.live("uploads")
        await apps.live("uploads_elsewhere")

    async def hour_offline() -> None:
        apps.sent = await asyncio.to_thread(an_hour_offline, broker.bootstrap, stage.topic, apps.folder)

    async def offline() -> None:
        await apps.live("offline", broker=NOBODY)
        await apps.live("comes_back", spool="offline")

    alone = ("ends_well", "takes_too_long", "killed_for_good", "pauses", "sleeps", "wakes", "tries_again")
    with stage.worker(terms=TERMS).start():
        late = comes_back("killed_for_long", after=2 * TTL)
        await asyncio.gather(*map(apps.live, alone), comes_back("killed"), late, elsewhere(), offline(), hour_offline())
        await apps.read(len(alone) + 3 + 20 + HOURS)
        await apps.read_evidence()
        yield apps


def test_a_span_that_ends_has_the_end_it_told(apps: Apps) -> None:
    """Status, attributes and both times are the app's."""
    told = apps.final("ends well")
    assert (told.cause, told.revision, told.attributes["sent"]) == ("completed", 1, "3")


def test_an_operation_with_a_time_limit_ends_in_time(apps: Apps) -> None:
    """Timeout-wrapped: complete, with an error and the reason `timeout`."""
    told = apps.final("takes too long")
    assert (told.cause, told.status, told.attributes["span_finalizer.reason"]) == ("completed", 2, "timeout")
    assert told.end - told.start < 1_000_000_000


def test_a_killed_app_that_comes_back_ends_its_span_as_restarted(apps: Apps) -> None:
    """Deferred close: one final, at the last known moment, with what was known, before anybody took it for dead."""
    told = apps.final("killed")
    assert (told.cause, told.revision, told.attributes["file"]) == ("restarted", 1, "a")
    assert told.start < told.end <= apps.killed_at
    assert told.end - told.start >= BEAT * 1_000_000_000 / 2


def test_a_killed_app_that_comes_back_late_abandons_its_span(apps: Apps) -> None:
    """Deferred close, too old to go on with."""
    assert [(told.cause, told.revision) for told in apps.finals["killed for long"]] == [("abandoned", 1)]


def test_a_killed_app_that_never_comes_back_is_missed(apps: Apps) -> None:
    """The worker closes what the client cannot: at its last heartbeat."""
    told = apps.final("killed for good")
    assert (told.cause, told.revision) == ("heartbeat_lost", 1)
    assert told.end <= apps.killed_at


def test_a_paused_app_leaves_its_summary(apps: Apps) -> None:
    """Graceful degradation: partial, with what it had, though it was killed in the background."""
    told = apps.final("pauses")
    assert (told.cause, told.revision, told.attributes["done"]) == ("partial", 1, "5")


def test_an_app_that_dies_in_the_background_is_not_dead_but_backgrounded(apps: Apps) -> None:
    """Lifecycle: it owed no heartbeat there."""
    assert apps.final("sleeps").cause == "backgrounded"


def test_an_app_that_comes_back_from_the_background_goes_on(apps: Apps) -> None:
    """Lifecycle: nothing was closed meanwhile."""
    assert [(told.cause, told.revision) for told in apps.finals["wakes"]] == [("completed", 1)]


def test_an_operation_that_is_tried_again_elsewhere_is_one_span(apps: Apps) -> None:
    """Idempotent retry: killed on one machine, done on another, one final."""
    told = apps.final("uploads")
    assert (told.cause, told.revision, told.attributes["done"]) == ("completed", 1, True)


def test_an_operation_that_is_tried_again_in_its_process_is_one_span(apps: Apps) -> None:
    """Idempotent retry: two failures and a success, one final, without an error."""
    told = apps.final("tries again")
    assert (told.cause, told.revision, told.status, told.attributes["op.attempt"]) == ("completed", 1, 0, "3")


def test_what_was_told_offline_arrives_with_the_network(apps: Apps) -> None:
    """Trace cache and sync: a run without a network, its spool sent by the next one; all of it, once."""
    found = {name: [told.cause for told in finals] for name, finals in apps.finals.items() if "offline" in name}
    assert found == {f"offline {number}": ["completed"] for number in range(20)}


def test_an_hour_offline_arrives_whole_and_in_order(apps: Apps) -> None:
    """Trace cache and sync: all heartbeats of the hour, each once, in the order of their span, and one final each."""
    for number in range(HOURS):
        told = apps.final(f"hour {number}")
        assert (told.cause, told.revision, told.end - told.start) == ("completed", 1, 3600 * SECOND)
    assert len(apps.seqs) == HOURS
    for seqs in apps.seqs.values():
        assert len(seqs) > 360
        assert seqs == list(range(1, len(seqs) + 1))
