"""The settings of a node: what differs from Kafka's defaults does so to be small and quick, save LogAppendTime, which
the worker recommends.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

SMALL_AND_QUICK = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "num.partitions": "4",
    "log.message.timestamp.type": "LogAppendTime",
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.backoff.ms": "1000",
    "log.retention.check.interval.ms": "500",
    "group.min.session.timeout.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.min.isr": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}


class Listener(NamedTuple):
    """A further door of a node, beside the plain one."""

    name: str
    port: int
    protocol: str = "PLAINTEXT"
    advertised: int = 0
    """The port that clients are told, where that is another's: a proxy's."""


def new_cluster() -> str:
    """A cluster id as Kafka writes them."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Node:
    """Who a node is among its like. Alone it is the only voter of a cluster of its own."""

    port: int
    controller_port: int
    number: int = 1
    voters: str = ""
    cluster: str = field(default_factory=new_cluster)

    @property
    def voter(self) -> str:
        """This node in a list of voters."""
        return f"{self.number}@127.0.0.1:{self.controller_port}"


def properties(
    node: Node, data: Path, *, listeners: Sequence[Listener] = (), settings: Mapping[str, str] | None = None
) -> str:
    """The text of `server.properties`; `settings` outrank all else."""
    doors = [Listener("PLAINTEXT", node.port), *listeners, Listener("CONTROLLER", node.controller_port)]
    told = {
        **SMALL_AND_QUICK,
        "node.id": str(node.number),
        "controller.quorum.voters": node.voters or node.voter,
        "listeners": ",".join(f"{door.name}://127.0.0.1:{door.port}" for door in doors),
        "advertised.listeners": ",".join(
            f"{door.name}://127.0.0.1:{door.advertised or door.port}" for door in doors[:-1]
        ),
        "listener.security.protocol.map": ",".join(f"{door.name}:{door.protocol}" for door in doors),
        "log.dirs": str(data),
        **(settings or {}),
    }
    return "".join(f"{name}={value}\n" for name, value in told.items())
