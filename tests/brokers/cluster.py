"""Three nodes of Apache Kafka: three copies of everything, of which two must be in sync."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tests.brokers.kafka import ApacheKafka
from tests.brokers.properties import Listener, Node, new_cluster
from tests.ports import free_port

NODES = 3
COPIES = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "replica.lag.time.max.ms": "3000",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.fetch.timeout.ms": "1000",
}


class KafkaCluster:
    """Three nodes that live no longer than this process; each can be killed and started as a single one can.

    >>> with KafkaCluster() as cluster:
    ...     cluster.nodes[0].kill()

    Each has a listener beside the plain one that advertises the port of a proxy.
    """

    def __init__(self) -> None:
        cluster = new_cluster()
        alone = [Node(free_port(), free_port(), number=number, cluster=cluster) for number in range(1, NODES + 1)]
        voters = ",".join(node.voter for node in alone)
        self.nodes = [
            ApacheKafka(
                listeners=[Listener("PROXIED", free_port(), advertised=free_port())],
                settings=COPIES,
                node=Node(node.port, node.controller_port, number=node.number, voters=voters, cluster=cluster),
            )
            for node in alone
        ]

    @property
    def bootstrap(self) -> str:
        """All three, for ``bootstrap_servers``."""
        return ",".join(node.bootstrap for node in self.nodes)

    @property
    def doors(self) -> dict[int, int]:
        """The ports that a proxy has to serve, and those behind them."""
        return {door.advertised: door.port for node in self.nodes for door in node.listeners}

    def start(self) -> None:
        """Start all of them and return when each answers."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_until_ready()

    def stop(self) -> None:
        """End all of them and drop their data. (In good order the last ones would wait for a quorum.)"""
        for node in self.nodes:
            if node.alive:
                node.kill()
            node.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
