"""Reading: what a fetch answer holds, taken batch by batch.

aiokafka makes a `ConsumerRecord` of each record, in Python, which takes six times as long as decoding it does. A
consumer told to `read_batches` hands out what aiokafka's own decoder makes of a batch: records with `offset`,
`timestamp`, `timestamp_type`, `key`, `value` and `headers`. Where they stand is said by the place they come under.

Which batches those are stays aiokafka's to say: aborted transactions, markers, checksums, what compaction left, where
to read on. `PartitionRecords` walks over batches whose only record is all of them; so this leans on its insides:

- `Fetcher._proc_fetch_request` makes `FetchResult`s of `PartitionRecords` of `MemoryRecords`, and
  `Fetcher.fetched_records` asks a `FetchResult` for all: in the copies of the two that a consumer of ours has, these
  names mean the classes below.
- `PartitionRecords._unpack_records` asks a batch for what `_Batch` has, what comes of iterating it for its `offset`,
  and `_consumer_record` what to make of that.

tests/shell/test_reading.py holds all this against aiokafka's own reading, and fails where its insides change.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from struct import Struct
from types import FunctionType, MethodType
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.memory_records import MemoryRecords
from google_crc32c import value as crc32c

from finalizer.pipeline import Record

_LENGTH: Final = Struct(">8xi")
_LENGTH_AND_COUNT: Final = Struct(">8xi45xi")
_HEAD: Final = 12
"""Bytes of a batch that its length does not count."""
_CHECKED_FROM: Final = 21
"""Where that part of a batch begins which its checksum is about."""
_FEW: Final = 3
"""So many records are read one by one in less time: what it takes to read a batch whole is paid once a batch."""


class Read(Record, Protocol):
    """A record as it was read."""

    @property
    def timestamp_type(self) -> int: ...


class _Run(NamedTuple):
    """Records of a batch in a row: to aiokafka one record, which stands where the last of them does."""

    offset: int
    records: list[Read]


class _Batches:
    """aiokafka's `MemoryRecords` of these bytes, whose batches give no more than `most` records at once.

    Batches of few records, and those of the formats before, are aiokafka's own and give one.
    """

    def __init__(self, data: bytes) -> None:
        self.most = sys.maxsize
        self._data = data
        self._records = MemoryRecords(data)
        self._begin = 0
        self.size_in_bytes = self._records.size_in_bytes
        self.has_next = self._records.has_next

    def next_batch(self) -> Any:
        batch, begin, data = self._records.next_batch(), self._begin, self._data
        if type(batch) is not DefaultRecordBatch:
            self._begin = begin + _HEAD + _LENGTH.unpack_from(data, begin)[0]
            return batch
        length, count = _LENGTH_AND_COUNT.unpack_from(data, begin)
        self._begin = end = begin + _HEAD + length
        return batch if count <= _FEW else _Batch(self, batch, data, begin, end)


class _Batch:
    """A batch that is iterated in runs."""

    __slots__ = (
        "_batch",
        "_begin",
        "_data",
        "_end",
        "_of",
        "base_offset",
        "is_control_batch",
        "is_transactional",
        "next_offset",
        "producer_id",
    )

    def __init__(self, of: _Batches, batch: Any, data: bytes, begin: int, end: int) -> None:
        self._of, self._batch = of, batch
        self._data, self._begin, self._end = data, begin, end
        self.base_offset = batch.base_offset
        self.next_offset = batch.next_offset
        self.producer_id = batch.producer_id
        self.is_control_batch = batch.is_control_batch
        self.is_transactional = batch.is_transactional

    def validate_crc(self) -> bool:
        """The same answer as the batch's own, in a tenth of the time."""
        return bool(crc32c(self._data[self._begin + _CHECKED_FROM : self._end]) == self._batch.crc)

    def __next__(self) -> Any:
        """The first record, of a control batch."""
        return next(self._batch)

    def __iter__(self) -> Iterator[_Run]:
        records, of, begin = list(self._batch), self._of, 0
        while begin < len(records):
            part = records[begin : begin + of.most]
            begin += len(part)
            yield _Run(part[-1].offset, part)


class _Runs(PartitionRecords):  # type: ignore[misc]
    """The runs of a partition, one after the other."""

    _records: _Batches
    _records_iterator: Iterator[list[Read]]

    def _consumer_record(self, tp: Any, record: _Run | Read) -> list[Read]:
        if not isinstance(record, _Run):
            return [record]
        records, following = record.records, self.next_fetch_offset
        if records[0].offset < following:  # the fetch began inside of this batch
            records = [one for one in records if one.offset >= following]
        return records


class _Fetched(FetchResult):  # type: ignore[misc]
    """What a fetch answer holds of a partition, until it was asked for."""

    _partition_records: _Runs | None

    def getall(self, max_records: int | None = None) -> list[Read]:
        """The next records, no more than `max_records`."""
        if not self.check_assignment(self._topic_partition) or self._partition_records is None:
            return []
        found: list[Read] = []
        left = sys.maxsize if max_records is None else max_records
        batches, runs = self._partition_records._records, self._partition_records._records_iterator
        while left:
            batches.most = left
            some = next(runs, None)
            if some is None:
                break
            found += some
            left -= len(some)
        self._update_position()
        if left:
            self._partition_records = None
        return found


_MEANT: Final = {"MemoryRecords": _Batches, "PartitionRecords": _Runs, "FetchResult": _Fetched}


def _in_our_words(theirs: FunctionType) -> FunctionType:
    ours = FunctionType(theirs.__code__, {**theirs.__globals__, **_MEANT}, theirs.__name__, theirs.__defaults__)
    ours.__kwdefaults__ = theirs.__kwdefaults__
    return ours


_REPLACED: Final = (_in_our_words(Fetcher._proc_fetch_request), _in_our_words(Fetcher.fetched_records))


def read_batches(consumer: AIOKafkaConsumer) -> None:
    """From now on `getmany` gives light records, in lists that may be kept. For a consumer that was just started: of
    what is assigned to it nothing may have been fetched. (`getone` is not for it any more.)
    """
    fetcher = consumer._fetcher
    for function in _REPLACED:
        setattr(fetcher, function.__name__, MethodType(function, fetcher))
