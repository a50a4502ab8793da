"""What a stock collector makes of a program's requests on Apache Kafka: they are sent to it again, byte for byte."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from tests.collector.process import Collector
from tests.collector.sink import Post
from tests.recordings.reading import Record
from tests.traffic import Reader, create_topics

TOPICS = {"/v1/logs": "otlp_logs", "/v1/traces": "otlp_spans"}
WAYS: dict[str, dict[str, Any]] = {
    "kafka_json": {"encoding": "otlp_json"},
    "kafka_json_by_trace": {"encoding": "otlp_json", "by_trace": True},
    "kafka_proto": {"encoding": "otlp_proto"},
    "kafka_proto_by_trace": {"encoding": "otlp_proto", "by_trace": True},
}
QUIET_SECONDS = 2.0


def config(bootstrap: str, prefix: str, *, encoding: str, by_trace: bool = False) -> dict[str, Any]:
    """A stock collector in front of Kafka: OTLP in, batches, two topics out."""
    kafka: dict[str, Any] = {
        "brokers": [bootstrap],
        "logs": {"topic": f"{prefix}otlp_logs", "encoding": encoding},
        "traces": {"topic": f"{prefix}otlp_spans", "encoding": encoding},
    }
    if by_trace:
        kafka |= {"partition_traces_by_id": True, "partition_logs_by_trace_id": True}
    pipeline = {"receivers": ["otlp"], "processors": ["batch"], "exporters": ["kafka"]}
    return {
        "receivers": {"otlp": {}},
        "processors": {"batch": {"timeout": "200ms"}},
        "exporters": {"kafka": kafka},
        "service": {"pipelines": {"logs": pipeline, "traces": pipeline}},
    }


async def record(bootstrap: str, posts: Sequence[Post], *, name: str, way: str) -> list[Record]:
    """Send the requests to a collector, and return what lies on the topics then, in the order of the broker's time."""
    prefix = f"{name}.{way}."
    used = sorted({f"{prefix}{TOPICS[post.path]}" for post in posts})
    await create_topics(bootstrap, *used)
    found: list[Record] = []
    with Collector(config(bootstrap, prefix, **WAYS[way])) as collector:
        began, first = time.monotonic(), posts[0].at_ms
        for post in posts:
            await asyncio.sleep(began + (post.at_ms - first) / 1000 - time.monotonic())  # as it was sent
            collector.send(post.path, post.body)
        for topic in used:
            async with Reader(bootstrap, topic) as reader:
                await reader.until(1)
                found += [as_record(one, topic.removeprefix(prefix)) for one in await reader.quiet(QUIET_SECONDS)]
    return sorted(found, key=lambda one: (one.timestamp, one.topic, one.partition, one.offset))


def as_record(one: Any, topic: str) -> Record:
    """What was read, under the name that its topic has elsewhere."""
    return Record(topic, one.partition, one.offset, one.timestamp, one.key, one.value, tuple(one.headers))
