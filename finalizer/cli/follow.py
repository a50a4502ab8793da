"""Reading topics without a group: from their beginning, or from now on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from finalizer.cli.kafka import ANSWER_SECONDS, Connection
from finalizer.shell.stop import Exit, Stop

POLL_MS = 100


class Follower:
    """Records of some topics in the order of each partition, committed ones only; leaves no trace on the broker.

    >>> async with Follower(connection, ["spans.finalized"], from_beginning=False) as follower:
    ...     async for records in follower.batches(): ...

    Entering raises ``Stop`` where a topic does not exist, and returns when every partition is known to be at its
    beginning or its end, so that nothing that is written afterwards is missed.
    """

    def __init__(self, connection: Connection, topics: Sequence[str], *, from_beginning: bool) -> None:
        self._connection = connection
        self._topics = topics
        self._from_beginning = from_beginning

    async def __aenter__(self) -> Self:
        partitions = await find_partitions(self._connection, self._topics)
        self._consumer = AIOKafkaConsumer(
            **self._connection.client_arguments,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=POLL_MS,
            request_timeout_ms=int(ANSWER_SECONDS * 1000),
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._consumer.start()
                self._consumer.assign(partitions)
                if self._from_beginning:
                    await self._consumer.seek_to_beginning()
                else:
                    await self._consumer.seek_to_end()
                    for partition, end in (await self._find_ends(partitions)).items():
                        self._consumer.seek(partition, end)
        except BaseException:
            await self._consumer.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def batches(self) -> AsyncIterator[list[Any]]:
        """Yield the records as they come, an empty list where there was none for a moment; never ends by itself."""
        while True:
            answers = await self._consumer.getmany(timeout_ms=POLL_MS)
            yield [record for records in answers.values() for record in records]

    async def caught_up(self) -> None:
        """Return when all that was committed before this call has been yielded. `batches` must be running meanwhile."""
        asked_ms = time.time() * 1000
        for partition in self._consumer.assignment():
            while True:
                answered_ms = self._consumer.last_poll_timestamp(partition) or 0
                end = self._consumer.last_stable_offset(partition)
                if answered_ms > asked_ms and end is not None and await self._consumer.position(partition) >= end:
                    break
                await asyncio.sleep(POLL_MS / 1000)

    async def _find_ends(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Learn from fetch answers where each partition ends.

        (What ListOffsets calls the latest is, on one broker, the beginning of the last batch.)
        """
        ends: dict[TopicPartition, int] = {}
        while len(ends) < len(partitions):
            await self._consumer.getmany(timeout_ms=POLL_MS)
            for partition in partitions:
                end = self._consumer.highwater(partition)
                if end is not None:
                    ends.setdefault(partition, end)
        return ends


async def find_partitions(connection: Connection, topics: Sequence[str]) -> list[TopicPartition]:
    """Return the partitions of existing topics, without creating any. Raises ``Stop`` where one is missing."""
    admin = AIOKafkaAdminClient(**connection.client_arguments, request_timeout_ms=int(ANSWER_SECONDS * 1000))
    async with asyncio.timeout(ANSWER_SECONDS):
        try:
            await admin.start()
            described = await admin.describe_topics()
        finally:
            await admin.close()
    counts = {one["topic"]: len(one["partitions"]) for one in described}
    missing = [topic for topic in topics if topic not in counts]
    if missing:
        names = ", ".join(missing)
        is_not = f"no topic {names}" if len(missing) == 1 else f"no topics {names}"
        raise Stop(Exit.CONFIGURATION, f"There is {is_not} at {connection.broker}: the worker makes it when it starts.")
    return [TopicPartition(topic, number) for topic in topics for number in range(counts[topic])]
