"""The broker that is measured on: Apache Kafka; where Java is missing the embedded one, and that is said."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from finalizer.embedded import EmbeddedBroker
from tests.brokers.jars import KAFKA_VERSION, KafkaUnavailable
from tests.brokers.kafka import AS_SHIPPED, ApacheKafka

TOGETHER = {"group.initial.rebalance.delay.ms": "1000"}
"""Two workers that start together share from the beginning."""


@contextlib.contextmanager
def broker() -> Iterator[tuple[str, str]]:
    """Its address, and what it is."""
    with contextlib.ExitStack() as stack:
        try:
            bootstrap = stack.enter_context(ApacheKafka(settings=TOGETHER, jvm=AS_SHIPPED)).bootstrap
            what = f"Apache Kafka {KAFKA_VERSION}, exactly once, broker and worker on this machine"
        except KafkaUnavailable as problem:
            bootstrap = stack.enter_context(EmbeddedBroker()).bootstrap
            what = f"NOT on Apache Kafka, on the embedded broker, effectively once: {problem}"
        say(what)
        yield bootstrap, what


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)
