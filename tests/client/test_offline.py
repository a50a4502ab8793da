"""An app that works on for an hour without a network: the real client and the real law, by one virtual clock."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from finalizer.client import Span
from finalizer.client.clock import SECOND
from finalizer.client.events import Record
from finalizer.client.sinks.memory import MemorySink
from finalizer.policy.load import load
from tests.client.spooling import SteppedClient
from tests.scenarios.broker import Input
from tests.scenarios.world import EPOCH, World

MINUTE = 60
HOUR = 60 * MINUTE
STEP = 5
TOPIC = "spans.events"
POLICY = """
rules:
  - {name: offline-first, match: {span_type: sync}, terms: {heartbeat: {max: 2h}}}
"""
ALLOWED = 30 * MINUTE
"""A span that declares this interval, and whose terms let it, may be silent for an hour."""


class Told(NamedTuple):
    """One final, as its reader sees it."""

    cause: str
    revision: int
    seconds: float
    """From start to end."""


class Air(MemorySink):
    """A network between the client and the world, which may be `down`."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        refused = super().send(records)
        for record in records:
            self._world.broker.inputs[TOPIC].append(
                record.routing_key, record.value, now=self._world.now, stamp=self._world.now
            )
        return refused


class Device:
    """A device, a broker and a worker, whose clocks are one. It is the device's clock."""

    def __init__(self, folder: Path) -> None:
        self.world = World(load(POLICY), [Input(TOPIC, append_time=True)])
        self.air = Air(self.world)
        self._spool = folder / "spool.db"
        self.client = self.started()

    def wall(self) -> int:
        return self.world.now

    def monotonic(self) -> int:
        return self.world.now - EPOCH + SECOND

    def started(self) -> SteppedClient:
        """The app's next run."""
        self.client = SteppedClient(self._spool, self, self.air, heartbeat=10)
        return self.client

    def pass_by(self, seconds: int) -> None:
        """Time goes by, and the client does what it does by itself."""
        for _ in range(seconds // STEP):
            self.world.run_until(self.world.now + STEP * SECOND)
            self.client.step()

    def begin(self, name: str) -> Span:
        """A span that may be silent for an hour."""
        return self.client.start_span(name, span_type="sync", heartbeat=ALLOWED)

    @property
    def finals(self) -> dict[str, list[Told]]:
        """All finals so far, by the names of their spans."""
        self.world.check()
        found: dict[str, list[Told]] = defaultdict(list)
        for record in self.world.broker.outputs["finalized"]:
            (span,) = json.loads(record.value or b"")["resourceSpans"][0]["scopeSpans"][0]["spans"]
            seconds = (int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / SECOND
            cause, revision = (record.headers[f"span-finalizer-{name}"].decode() for name in ("cause", "revision"))
            found[span["name"]].append(Told(cause, int(revision), seconds))
        return found

    @property
    def in_order(self) -> bool:
        """Whether the events of each span have come in the order in which they were told, none left out or twice."""
        told: dict[str, list[int]] = defaultdict(list)
        for event in self.air.events:
            told[event["trace_id"] + event["span_id"]].append(event["seq"])
        return all(seqs == list(range(1, len(seqs) + 1)) for seqs in told.values())


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """One that has been at work for a minute, with a network."""
    device = Device(tmp_path)
    device.pass_by(MINUTE)
    return device


def test_an_hour_offline_costs_nothing_but_time(device: Device) -> None:
    """What the app did meanwhile arrives afterwards, in order, with one final each; what may be silent stays open."""
    lives_on, ends_there = device.begin("lives on"), device.begin("ends there")
    device.pass_by(MINUTE)
    device.air.down = True
    for number in range(60):
        with device.client.span(f"work {number}"):
            device.pass_by(MINUTE // 2)
        device.pass_by(MINUTE // 2)
    ends_there.end("ok")
    assert not device.finals
    device.air.down = False
    device.pass_by(MINUTE)
    assert device.finals == {
        "ends there": [Told("completed", 1, HOUR + MINUTE)],
        **{f"work {number}": [Told("completed", 1, MINUTE // 2)] for number in range(60)},
    }
    lives_on.end("ok")
    device.pass_by(MINUTE)
    assert device.finals["lives on"] == [Told("completed", 1, HOUR + 2 * MINUTE)]
    assert device.client.counts["spooled"] == 0
    assert device.in_order


def test_a_silence_that_the_policy_does_not_allow_is_a_revision(device: Device) -> None:
    """The span was taken for dead at its last heartbeat; late heartbeats change nothing, the end supersedes, once."""
    span = device.client.start_span("hasty")
    device.pass_by(MINUTE)
    device.air.down = True
    device.pass_by(HOUR)
    [(cause, revision, seconds)] = device.finals["hasty"]
    assert (cause, revision) == ("heartbeat_lost", 1)
    assert MINUTE - 10 <= seconds <= MINUTE
    span.end("ok")
    device.air.down = False
    device.pass_by(2 * MINUTE)
    assert device.finals["hasty"][1:] == [Told("completed", 2, HOUR + MINUTE)]
    assert device.in_order


def test_an_app_that_is_killed_offline_tells_it_when_it_is_back(device: Device) -> None:
    """Killed in the middle of the hour and started again: all that lay on the disk arrives, and each span ends once."""
    device.begin("open")
    device.pass_by(MINUTE)
    device.air.down = True
    device.pass_by(HOUR // 2)
    device.client.start_span("done").end("ok")
    device.client.step()
    device.client.crash()
    device.started()
    device.client.step()
    device.pass_by(HOUR // 2)
    assert not device.finals
    device.air.down = False
    device.pass_by(MINUTE)
    [(cause, revision, seconds)] = device.finals["open"]
    assert (cause, revision) == ("restarted", 1)
    assert MINUTE <= seconds <= MINUTE + HOUR // 2
    assert device.finals["done"] == [Told("completed", 1, 0.0)]
    assert device.in_order
