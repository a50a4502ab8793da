"""The clients of a made world: they send what the plan says, and what truly reached the broker is noted."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import NamedTuple

from finalizer.core.model import SpanKey
from finalizer.core.terms import SECOND
from finalizer.sim.broker import Log
from finalizer.sim.plan import MILLISECOND, Client, Event
from finalizer.sim.scene import EPOCH, Scene

PULSE = "instance"
"""Type of the heartbeats of processes."""
NOTICED = 3 * SECOND
"""An outage of this length is noticed by workers. (Whoever is cut off for a shorter time must be quick.)"""


class Landed(NamedTuple):
    """A record that reached the broker. Moments in ns since 1970."""

    client: Client
    event: Event
    meant: int
    """When it would have been there without the outages that workers notice."""
    at: int
    stamp: int
    """Its producer's."""
    is_stamped_by_producer: bool
    topic: str
    partition: int
    offset: int
    value: bytes

    @property
    def told_at(self) -> int:
        """Its event time."""
        return EPOCH + self.event.at + self.client.clock


def span_key(name: str) -> SpanKey:
    """The span of a client."""
    return sha256(name.encode()).digest()[:24]


def partition_of(name: str, partitions: int) -> int:
    """Where all its evidence lies."""
    return span_key(name)[0] % partitions


class Crowd:
    """All clients together."""

    def __init__(self, scene: Scene) -> None:
        self.landed: list[Landed] = []
        self.pending = 0
        """Records that are on their way."""
        self._scene = scene
        for client in (*scene.plan.clients, *scene.plan.processes):
            for event in client.events:
                value = _value(client, event)
                for delay in event.arrives:
                    self._send(client, event, value, EPOCH + event.at + delay)

    def _send(self, client: Client, event: Event, value: bytes, meant: int) -> None:
        self.pending += 1
        self._scene.kernel.at(meant, lambda: self._land(client, event, value, meant))

    def _land(self, client: Client, event: Event, value: bytes, meant: int) -> None:
        kernel, broker, plan = self._scene.kernel, self._scene.broker, self._scene.plan
        if broker.back_at is not None:
            lasts = broker.back_at - broker.gone_at
            again = broker.back_at + min(client.comeback, lasts)
            meant = again if lasts < NOTICED else meant
            kernel.at(again, lambda: self._land(client, event, value, meant))
            return
        if self._scene.offline_until > kernel.now:
            again = self._scene.offline_until + client.comeback
            kernel.at(again, lambda: self._land(client, event, value, meant))
            return
        self.pending -= 1
        log, given = self._log(client, event), plan.inputs[event.to]
        stamp = EPOCH + event.at + client.clock
        if len(self.landed) % 50 == 49:
            log.skip()  # a marker of somebody's transaction
        timestamp = (stamp if given.create_time else kernel.now) // MILLISECOND
        record = log.append(span_key(client.name)[:16].hex().encode(), value, timestamp)
        self.landed.append(
            Landed(
                client,
                event,
                meant,
                kernel.now,
                stamp,
                given.create_time,
                log.topic,
                log.partition,
                record.offset,
                value,
            )
        )

    def _log(self, client: Client, event: Event) -> Log:
        """Where a record goes."""
        broker, plan, topic = self._scene.broker, self._scene.plan, self._scene.plan.inputs[event.to].topic
        if event.type == PULSE:
            return broker.instances
        if plan.sources:
            return broker.sources[topic, span_key(client.name)[-1] % plan.sources]
        return broker.inputs[topic][partition_of(client.name, plan.partitions)]


def _value(client: Client, event: Event) -> bytes:
    if event.type is None:
        return f"garbage of {client.name} at {event.at}".encode()
    key = span_key(client.name).hex()
    told = {"type": event.type, "time_unix_nano": str(EPOCH + event.at + client.clock)}
    if event.type != PULSE:
        told |= {"trace_id": key[:32], "span_id": key[32:]}
    if event.type == "start":
        told["name"] = client.name
    if client.boot and event.type in ("start", PULSE):
        told |= {"instance_id": client.instance, "boot_id": client.boot}
    for name, value in event.fields.items():
        told[name] = str(EPOCH + value) if name.endswith("_unix_nano") else value
    return json.dumps(told).encode()
