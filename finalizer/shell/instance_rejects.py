"""What cannot be used on the topic of instances, on its way to the rejected topic: the work of one worker.

Every worker reads that topic whole and again after each start, so none of them could tell who writes. Here it is read
by a consumer group of its own: each of its partitions is one worker's, and the group remembers what is written. At
least once: a worker that dies between the two, or loses the partition, writes a record again, with the same
coordinates.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from finalizer.codecs.errors import Unusable
from finalizer.core.model import Coordinates
from finalizer.listening import beat_of
from finalizer.pipeline import Output, Topic, rejected_output
from finalizer.shell import logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.evidence import EvidenceWriter
from finalizer.shell.metrics import Metrics
from finalizer.shell.settings import Settings
from finalizer.shell.tasks import tried_again
from finalizer.shell.topics import Facts

log = logs.get("instances")

REMEMBER_SECONDS = 60.0
"""Between two commits while all is well: what is read again has nothing to be written."""
_POLL_MS = 1_000


class InstanceRejects:
    """This worker's share of the topic's partitions. `rejected_bytes` bounds a rejected record."""

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        topic: str,
        *,
        rejected_bytes: int | None,
        broker_time: BrokerTime,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._topic = topic
        self._rejected_bytes = rejected_bytes
        self._metrics = metrics
        self._writer = EvidenceWriter(settings, facts, facts.outputs[Topic.REJECTED], broker_time)

    async def follow(self) -> None:
        """Read until cancelled; what a broker refuses is tried again."""
        try:
            await tried_again(self._read, self._tell_unread)
        finally:
            await self._writer.stop()

    def _tell_unread(self, error: Exception) -> None:
        log.warning(
            "not_rejected",
            "what cannot be used on the topic of instances waits to be rejected; trying again",
            topic=self._topic,
            reason=repr(error),
        )

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            self._topic,
            **self._settings.client_arguments(),
            group_id=self._settings.instances_group,
            session_timeout_ms=int(self._settings.session_timeout * 1000),
            heartbeat_interval_ms=int(self._settings.session_timeout * 1000 / 3),
            enable_auto_commit=False,
            auto_offset_reset=self._settings.start_from.value,
        )
        remembered_at = time.monotonic()
        try:
            await consumer.start()
            while True:
                found = await consumer.getmany(timeout_ms=_POLL_MS)
                rejected = await self._reject(found)
                if rejected or (found and time.monotonic() - remembered_at > REMEMBER_SECONDS):
                    await consumer.commit()
                    remembered_at = time.monotonic()
        finally:
            await consumer.stop()

    async def _reject(self, found: dict[TopicPartition, list[Any]]) -> bool:
        """Write those that cannot be used; returns once all are answered for. Raises `KafkaError`."""
        outputs, tally = list[Output](), Counter[tuple[str, ...]]()
        for record, error in unusable(one for records in found.values() for one in records):
            source = Coordinates(self._topic, record.partition, record.offset, record.timestamp * 1_000_000)
            outputs.append(rejected_output(record, source, error, max_bytes=self._rejected_bytes))
            tally["rejected_total", self._topic, error.reason.value] += 1
        if outputs:
            await self._writer.write((), outputs)
            self._metrics.apply(tally)
        return bool(outputs)


def unusable(records: Iterable[Any]) -> Iterable[tuple[Any, Unusable]]:
    """Those that are no heartbeat of a process, and why."""
    for record in records:
        try:
            beat_of(record)
        except Unusable as error:
            yield record, error
