"""Records for output topics, put into batches as they are decided, while they are warm: a frame later the processor
would have to fetch them from memory again (a fifth of the time of a record).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from mypy_extensions import mypyc_attr

from finalizer.changelog import Change
from finalizer.codecs.record_batch import RecordBatch
from finalizer.codecs.record_headers import NO_HEADERS, Headers
from finalizer.decision import Output, Topic
from finalizer.shell.placement import partition_of

OUTPUT_BATCH_BYTES: Final = 900_000
"""Below the default `message.max.bytes` of a broker (1 MiB)."""
HEADERS_BYTES: Final = 2048
"""Room for the headers and the framing of one record."""


@mypyc_attr(native_class=False)
class Destination(NamedTuple):
    """An output topic and its number of partitions."""

    topic: str
    partitions: int
    max_bytes: int = 1_048_588
    """The largest record batch that it takes."""


@mypyc_attr(native_class=False)
class Sendable(Protocol):
    """A record for an output topic; `timestamp` None: the broker's or the producer's."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def timestamp(self) -> int | None: ...


Batch = tuple[str, int, RecordBatch]
"""Topic, partition, records."""


class Outbox:
    """Batches to be sent, as few as their topics take, in the order in which each partition is to see them."""

    __slots__ = ("_full", "_open", "_transactional", "bytes")

    def __init__(self, *, transactional: bool) -> None:
        self._transactional = transactional
        self._open: dict[tuple[str, int], RecordBatch] = {}
        self._full: list[Batch] = []
        self.bytes = 0
        """Of the values in it."""

    def add(self, to: Destination, records: Sequence[Sendable]) -> None:
        """Put records into the batches of the partitions that their keys belong to."""
        for record in records:
            self._put(to, record.key, record.value, record.headers, record.timestamp)

    def carry(self, outputs: Sequence[Output], to: Mapping[Topic, Destination]) -> None:
        """Put what was decided into the batches of its topics."""
        for output in outputs:
            self._put(to[output.topic], output.key, output.value, output.headers, output.timestamp)

    def log(self, topic: str, partition: int, changes: Sequence[Change], *, most: int) -> None:
        """Put records without headers into batches of at most so many bytes."""
        place = topic, partition
        for key, value in changes:
            batch = self._batch(place, len(key) + (0 if value is None else len(value)), most)
            batch.append(key, value, NO_HEADERS, batch.now)

    @property
    def batches(self) -> list[Batch]:
        """All of them."""
        return [*self._full, *[(name, partition, batch) for (name, partition), batch in self._open.items()]]

    def _put(
        self, to: Destination, key: bytes | None, value: bytes | None, headers: Headers, timestamp: int | None
    ) -> None:
        name, partitions, max_bytes = to
        size = 0 if value is None else len(value)
        batch = self._batch(
            (name, partition_of(key, partitions)), size, min(OUTPUT_BATCH_BYTES, max_bytes - HEADERS_BYTES)
        )
        batch.append(key, value, headers, batch.now if timestamp is None else timestamp)
        self.bytes += size

    def _batch(self, place: tuple[str, int], size: int, most: int) -> RecordBatch:
        """The batch of a partition that has room for so many bytes more."""
        batch = self._open.get(place)
        if batch is not None:
            if batch.size + size <= most:
                return batch
            self._full.append((*place, batch))
        batch = self._open[place] = RecordBatch(transactional=self._transactional, now=int(time.time() * 1000))
        return batch
