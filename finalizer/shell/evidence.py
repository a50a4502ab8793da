"""The writer of re-keyed evidence: batches, rejected records and marks, each answered before its caller goes on.

At least once is enough (the fold absorbs repeats), so what fails is written again, through a new producer, until the
broker takes it. Only what it will never take ends the worker.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    BrokerResponseError,
    DuplicateSequenceNumber,
    KafkaError,
    OutOfOrderSequenceNumber,
)

from finalizer.codecs.record_batch import RecordBatch
from finalizer.pipeline import Output, Topic
from finalizer.rekeying import Entry
from finalizer.shell import logs
from finalizer.shell.batches import send
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.outbox import HEADERS_BYTES, OUTPUT_BATCH_BYTES, Destination, Outbox
from finalizer.shell.producer import Producer
from finalizer.shell.settings import Settings
from finalizer.shell.topics import Facts

log = logs.get("rekey")

Answer = asyncio.Future[Any]
AWAY_SECONDS = 1.0
"""Between two attempts to write to a broker that is away."""


class EvidenceWriter:
    """One for all sources of a worker, shared by their tasks. `to` is the evidence topic."""

    def __init__(self, settings: Settings, facts: Facts, to: Destination, broker_time: BrokerTime) -> None:
        self._settings = settings
        self._idempotent = facts.transactional
        self._time = broker_time
        self._to = to
        self._rejected = facts.outputs[Topic.REJECTED]
        self._producer: Producer | None = None
        self._opening = asyncio.Lock()

    @property
    def most_bytes(self) -> int:
        """The largest value of an evidence record that the topic takes."""
        return self._to.max_bytes - HEADERS_BYTES

    async def write(self, entries: Sequence[Entry], rejected: Sequence[Output]) -> None:
        """Write evidence and rejected records; returns once all of them were answered for. Raises `KafkaError`."""

        async def write(producer: Producer) -> list[Answer]:
            outbox = Outbox(transactional=False)
            outbox.add(self._to, entries)
            outbox.add(self._rejected, rejected)
            return await send(producer, outbox.batches)

        await self._surely(write)

    async def mark(self, value: bytes) -> None:
        """Write a mark to every partition of the evidence. Raises `KafkaError`."""

        async def write(producer: Producer) -> list[Answer]:
            return await send(producer, [(self._to.topic, number, _marked(value)) for number in range(partitions)])

        partitions = self._to.partitions
        await self._surely(write)

    async def stop(self) -> None:
        """Close the producer; what was not answered for may or may not be written."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _surely(self, send: Callable[[Producer], Awaitable[Sequence[Answer]]]) -> None:
        while True:
            producer = None
            try:
                producer = await self._open()
                await self._answered(await send(producer))
            except KafkaError as error:
                if _is_final(error):
                    raise
                await self._gave_up(producer, error)
            else:
                return

    async def _answered(self, sent: Sequence[Answer]) -> None:
        metadata = None
        for future in sent:
            metadata = await future
        if metadata is not None and metadata.timestamp_type == 1:
            self._time.learned(metadata.timestamp, answered_at=time.monotonic())

    async def _open(self) -> Producer:
        async with self._opening:
            if self._producer is None:
                producer = Producer(
                    **self._settings.client_arguments(),
                    acks="all",
                    enable_idempotence=self._idempotent,
                    max_batch_size=max(OUTPUT_BATCH_BYTES, self._to.max_bytes),
                    max_request_size=self._to.max_bytes * 2,
                    request_timeout_ms=30_000,
                )
                await producer.start()
                self._producer = producer
            return self._producer

    async def _gave_up(self, producer: Producer | None, error: KafkaError) -> None:
        """Wait, and go on with a new producer: batches of this one may be out of order now."""
        if self._producer is producer:
            self._producer = None
            log.warning("away", "the broker does not take evidence; trying again", reason=repr(error))
            if producer is not None:
                await producer.stop()
        await asyncio.sleep(AWAY_SECONDS)


def _marked(value: bytes) -> RecordBatch:
    batch = RecordBatch(transactional=False, now=int(time.time() * 1000))
    batch.append(None, value, (), batch.now)
    return batch


def _is_final(error: KafkaError) -> bool:
    """True for what the broker says about us, not about its own state."""
    if isinstance(error, AuthenticationFailedError | AuthenticationMethodNotSupported):
        return True
    passing = error.retriable or isinstance(error, OutOfOrderSequenceNumber | DuplicateSequenceNumber)
    return isinstance(error, BrokerResponseError) and not passing
