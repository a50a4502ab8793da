"""Our record batches for aiokafka's producer, which asks a batch for its bytes, its count and little else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka.producer.message_accumulator import BatchBuilder
from google_crc32c import value as crc32c

from finalizer.codecs.record_batch import Built, Packing, RecordBatch
from finalizer.shell import outbox


class Batch(BatchBuilder):  # type: ignore[misc]
    """What `AIOKafkaProducer.send_batch` takes: full, so nothing is appended to it."""

    def __init__(self, records: RecordBatch, packing: Packing | None = None) -> None:
        self.records = records
        self._packing = packing
        self._known_by = (-1, -1, -1)
        self._buffer: Built | None = None
        self._closed = True

    def size(self) -> int:
        return self.records.size

    def record_count(self) -> int:
        return self.records.count

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._known_by = producer_id, producer_epoch, base_sequence

    def _build(self) -> Built:
        if self._buffer is None:
            producer_id, epoch, sequence = self._known_by
            self._buffer = self.records.build(
                crc32c, producer_id=producer_id, epoch=epoch, sequence=sequence, packing=self._packing
            )
        return self._buffer


class Sending(Protocol):
    """What sending asks of a producer: the answer to come."""

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Any: ...


async def send(
    producer: Sending, batches: Sequence[outbox.Batch], packing: Packing | None = None
) -> list[asyncio.Future[Any]]:
    """Send batches; their answers to come."""
    return [
        await producer.send_batch(Batch(records, packing), topic, partition=partition)
        for topic, partition, records in batches
    ]
