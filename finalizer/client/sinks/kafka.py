"""Kafka as a sink, through confluent-kafka or aiokafka, whichever is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final

from finalizer.client.sinks.sink import Sink

TOPIC: Final = "spans.events"
INSTANCES: Final = "spans.instances"
ANSWER_SECONDS: Final = 10.0
"""How long the broker has to acknowledge a batch; after that it is sent again."""
MAX_REQUEST: Final = 1_048_576


def kafka_sink(brokers: str, *, topic: str = TOPIC, instances: str = INSTANCES, **settings: Any) -> Sink:
    """A sink to these brokers (`host:port,host:port`). `settings` are the Kafka client's own, in its own spelling: TLS
    and SASL, for instance. Raises `ValueError` where neither client is installed."""
    if find_spec("confluent_kafka") is not None:
        from finalizer.client.sinks.confluent import ConfluentSink  # noqa: PLC0415 - may not be installed

        return ConfluentSink(brokers, topic=topic, instances=instances, settings=settings)
    if find_spec("aiokafka") is not None:
        from finalizer.client.sinks.aio import AioKafkaSink  # noqa: PLC0415 - may not be installed

        return AioKafkaSink(brokers, topic=topic, instances=instances, settings=settings)
    raise ValueError("a kafka:// sink needs aiokafka or confluent-kafka: pip install 'span-finalizer[kafka]'")
