"""The topic of instances, read by every worker: heartbeats of whole processes, which count for all their spans.

Spans and instances have different keys, so no partition of ours could hold both. A plain consumer outside the group
reads all of the topic from its beginning, and then follows it. What cannot be used is told here, and written to the
rejected topic by the one worker whose work that is (`instance_rejects`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import UnknownTopicOrPartitionError

from finalizer.codecs.errors import Unusable
from finalizer.core.instances import Instances
from finalizer.listening import Listening
from finalizer.pipeline import Record
from finalizer.shell import logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.metrics import Metrics
from finalizer.shell.settings import Settings
from finalizer.shell.tasks import tried_again

log = logs.get("instances")

TELL_SECONDS = 60.0
"""Between two lines about records that cannot be used."""
_POLL_MS = 250
_METADATA_MS = 5_000


class InstanceLog:
    """Follows the topic, and fills the worker's view."""

    def __init__(
        self, settings: Settings, topic: str, view: Instances, *, broker_time: BrokerTime, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._view = view
        self._time = broker_time
        self._metrics = metrics
        self._next: dict[TopicPartition, int] = {}
        self._stamps: dict[TopicPartition, int] = {}
        self._polled_at = time.monotonic()
        self._told_at = -TELL_SECONDS

    async def follow(self) -> None:
        """Read until cancelled. While the topic cannot be read, no span that names an instance is closed."""
        await tried_again(self._read, self._tell_unread)

    def _tell_unread(self, error: Exception) -> None:
        log.warning(
            "unread",
            "the topic of instances cannot be read, so no span that names one is closed; trying again",
            topic=self._topic,
            reason=repr(error),
        )

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            self._topic,  # without a group: all of its partitions, those that it gets later among them
            **self._settings.client_arguments(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=_POLL_MS,
            metadata_max_age_ms=_METADATA_MS,
        )
        places, listening = frozenset[TopicPartition](), None
        try:
            await consumer.start()
            self._polled_at = time.monotonic()
            while True:
                found = consumer.assignment()
                if not found:
                    raise UnknownTopicOrPartitionError(self._topic)
                if listening is None or found != places:
                    places, listening = found, self._listening(found)
                await self._poll(consumer, listening, places)
        finally:
            self._view.cut_off()
            await consumer.stop()

    def _listening(self, places: Iterable[TopicPartition]) -> Listening:
        self._stamps.clear()
        self._next.clear()
        settle = self._settings.policy.safety.settle
        return Listening(self._view, (one.partition for one in places), settle=settle, now=self._time.now())

    async def _poll(self, consumer: AIOKafkaConsumer, listening: Listening, places: Iterable[TopicPartition]) -> None:
        began, fetched = time.monotonic(), await consumer.getmany(timeout_ms=_POLL_MS)
        for place in places:
            records, position = fetched.get(place, ()), await consumer.position(place)
            if records or position != self._next.get(place):
                self._hear(listening, place, records, position)
            stamp, highwater = consumer.last_poll_timestamp(place), consumer.highwater(place)
            if stamp and highwater is not None and stamp != self._stamps.get(place):
                self._stamps[place] = stamp
                at = self._time.at(self._polled_at)  # it arrived after this
                listening.answered(place.partition, arrived_at=at, position=position, highwater=highwater)
        self._polled_at = began
        listening.tick(self._time.now())

    def _hear(self, listening: Listening, place: TopicPartition, records: Iterable[Record], position: int) -> None:
        records = list(records)
        stamped = bool(records) and getattr(records[-1], "timestamp_type", None) == 1
        bad = listening.hear(place.partition, records, end=position, stamped=stamped, now=self._time.now())
        self._next[place] = position
        self._metrics.apply(Counter({("evidence_total", self._topic, "instance"): len(records) - len(bad)}))
        if bad:
            self._tell(place, *bad[0])

    def _tell(self, place: TopicPartition, record: Record, error: Unusable) -> None:
        now = time.monotonic()
        if now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        log.warning(
            "ignored",
            "a record of the topic of instances cannot be used and is rejected (told once a minute)",
            topic=place.topic,
            partition=place.partition,
            offset=record.offset,
            reason=error.reason.value,
            detail=error.detail,
        )
