"""Traffic of the tests: native events in, finals and dead letters out, through real topics."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, NamedTuple, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.waiting import LIMIT_SECONDS, until_true


def event(kind: str, number: int, at: int | None = None, **fields: Any) -> dict[str, Any]:
    """A native event of the span with this number; `at` is its event time (ns), now if not given."""
    told: dict[str, Any] = {
        "type": kind,
        "trace_id": f"{number + 1:032x}",
        "span_id": f"{number + 1:016x}",
        "time_unix_nano": str(time.time_ns() if at is None else at),
    }
    if kind == "start":
        told["name"] = "upload"
    return told | fields


def span_number(trace_id: str) -> int:
    """The number that `event` was given."""
    return int(trace_id, 16) - 1


@contextlib.asynccontextmanager
async def admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client, as an operator's tool is one."""
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def create_topics(
    bootstrap: str, *topics: str, partitions: int = 4, config: Mapping[str, str] | None = None, copies: int = 1
) -> None:
    """Create topics and wait until the broker names them."""
    async with admin(bootstrap) as client:
        await client.create_topics(
            [NewTopic(topic, partitions, copies, topic_configs=config or {}) for topic in topics]
        )


async def topics_of(bootstrap: str) -> set[str]:
    """The names of all topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def send(
    bootstrap: str, topic: str, events: Iterable[Mapping[str, Any] | bytes], *, timestamp_ms: int | None = None
) -> None:
    """Send native events (or raw bytes), keyed by trace id, and wait until all are acknowledged."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2)
    await producer.start()
    try:
        for one in events:
            key = b"raw" if isinstance(one, bytes) else str(one["trace_id"]).encode()
            value = one if isinstance(one, bytes) else json.dumps(one).encode()
            await producer.send(topic, value=value, key=key, timestamp_ms=timestamp_ms)
        await producer.flush()
    finally:
        await producer.stop()


async def scatter(
    bootstrap: str, topic: str, events: Iterable[Mapping[str, Any]], *, partitions: int = 3, first: int = 0
) -> None:
    """Send native events without keys to one partition after the other, beginning with `first`."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=2) as producer:
        for number, one in enumerate(events, start=first):
            await producer.send(topic, value=json.dumps(one).encode(), partition=number % partitions)
        await producer.flush()


class Final(NamedTuple):
    """What a reader of `spans.finalized` sees of one final."""

    number: int
    cause: str
    revision: int
    id: str
    start_at: int
    end_at: int
    attributes: dict[str, Any]
    value: bytes


class Reader:
    """Reads a topic from its beginning, `read_committed`, as often as it is asked."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self.records: list[Any] = []

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        await self._consumer._client.add_topic(self._topic)
        places = [TopicPartition(self._topic, n) for n in self._consumer.partitions_for_topic(self._topic) or ()]
        assert places, f"{self._topic} does not exist"
        self._consumer.assign(places)
        await self._consumer.seek_to_beginning()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def until(self, count: int, *, limit_seconds: float = LIMIT_SECONDS) -> list[Any]:
        """All records so far, as soon as there are `count`. Fails after the limit, telling how many there are."""
        give_up = time.monotonic() + limit_seconds
        while len(self.records) < count:
            assert time.monotonic() < give_up, f"{len(self.records)} of {count} records on {self._topic}"
            await self.poll()
        return self.records

    async def quiet(self, seconds: float) -> list[Any]:
        """All records, once none came for so long."""
        last = time.monotonic()
        while time.monotonic() - last < seconds:
            if await self.poll():
                last = time.monotonic()
        return self.records

    async def poll(self) -> int:
        batches = await self._consumer.getmany(timeout_ms=100)
        fresh = [record for records in batches.values() for record in records]
        self.records += fresh
        return len(fresh)


def final(record: Any) -> Final:
    """A record of `spans.finalized` in `otlp_json`."""
    headers = dict(record.headers)
    resource_spans = json.loads(record.value)["resourceSpans"]
    (span,) = resource_spans[0]["scopeSpans"][0]["spans"]
    attributes = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
    return Final(
        span_number(span["traceId"]),
        headers["span-finalizer-cause"].decode(),
        int(headers["span-finalizer-revision"]),
        headers["span-finalizer-id"].decode(),
        int(span["startTimeUnixNano"]),
        int(span["endTimeUnixNano"]),
        attributes,
        record.value,
    )


def by_span(records: Iterable[Any]) -> dict[int, list[Final]]:
    """Finals by the number of their span, in the order of the topic."""
    found: dict[int, list[Final]] = defaultdict(list)
    for record in records:
        one = final(record)
        found[one.number].append(one)
    return dict(found)


async def committed(bootstrap: str, group: str, topic: str, *, partitions: int = 4) -> int:
    """How many records of a topic the group has read and committed."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    async with admin(bootstrap) as client:
        found = await client.list_consumer_group_offsets(group, partitions=places)
        return sum(max(0, known.offset) for known in found.values())


async def move_offsets(bootstrap: str, group: str, places: Mapping[TopicPartition, int]) -> None:
    """Set the committed offsets of a group that has no members, as an operator would."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign(list(places))
        await consumer.commit(dict(places))


async def delete_topics(bootstrap: str, *topics: str) -> None:
    """Delete topics and wait until the broker names them no more."""
    async with admin(bootstrap) as client:
        await client.delete_topics(list(topics))

        async def gone() -> bool:
            return not set(topics) & set(await client.list_topics())

        await until_true(gone)
