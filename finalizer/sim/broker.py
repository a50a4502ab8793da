"""A broker in memory: inputs with offsets and holes, outputs and changelogs with transactions, producers with epochs.

Everything in it outlives the workers, and nothing that was ever written is taken away: the oracle reads it all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum
from typing import NamedTuple

from finalizer.changelog import Change
from finalizer.core.sources import Place
from finalizer.core.terms import SECOND
from finalizer.pipeline import Header, Output

INSTANCES = "spans.instances"
TRANSACTION_TIMEOUT = 20 * SECOND
"""An open transaction is aborted after this long, and its producer fenced."""


class Fenced(Exception):
    """The producer has a newer owner, or its transaction took too long."""


class Record(NamedTuple):
    """A record of an input, as a Kafka client hands it out."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


class Log:
    """One partition of an input. Not every offset has a record: markers and compaction leave holes."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.records: list[Record] = []
        self._offsets: list[int] = []
        self.first = 0
        """What lies before was deleted."""
        self.end = 0
        self.told = 0
        """The end without the marks that come again and again."""

    def append(self, key: bytes | None, value: bytes | None, timestamp: int, *, tells: bool = True) -> Record:
        """Take a record with a timestamp in ms; one that does not tell anything of a span is a mark."""
        record = Record(self.topic, self.partition, self.end, timestamp, key, value)
        self.records.append(record)
        self._offsets.append(self.end)
        self.end += 1
        self.told = self.end if tells else self.told
        return record

    def skip(self) -> None:
        """Leave an offset without a record."""
        self.end += 1
        self.told = self.end

    def read(self, position: int, most: int, until: int) -> tuple[list[Record], int]:
        """At most `most` records from `position` on, below `until`; and the position behind them."""
        first, last = bisect_left(self._offsets, position), bisect_left(self._offsets, until)
        if last - first > most:
            last = first + most
            return self.records[first:last], self._offsets[last - 1] + 1
        return self.records[first:last], max(position, until)


class Fate(Enum):
    """Where a transaction stands."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


class Transaction:
    """What was written in it counts once it is committed; then `durable` is called for each of its writes."""

    def __init__(self, began_at: int) -> None:
        self.began_at = began_at
        self.fate = Fate.OPEN
        self.durable: list[Callable[[], None]] = []


class Written(NamedTuple):
    """An output as it was written; outside of transactions it counts at once."""

    output: Output
    partition: int
    """Of the worker's course that wrote it."""
    transaction: Transaction | None
    at: int

    @property
    def committed(self) -> bool:
        return self.transaction is None or self.transaction.fate is Fate.COMMITTED


class Batch(NamedTuple):
    """A record batch of a changelog."""

    changes: list[Change]
    transaction: Transaction | None


class _Producer:
    """The transactional producer of one partition, as its coordinator knows it."""

    def __init__(self) -> None:
        self.epoch = 0
        self.transaction: Transaction | None = None

    def end(self, fate: Fate) -> None:
        transaction, self.transaction = self.transaction, None
        if transaction is not None:
            transaction.fate = fate
            if fate is Fate.COMMITTED:
                for tell in transaction.durable:
                    tell()


class Broker:
    """Everything that outlives a worker. `epoch` None: written without a transaction."""

    def __init__(self, topics: Iterable[str], partitions: int, sources: Iterable[Place] = ()) -> None:
        self.inputs = {topic: [Log(topic, number) for number in range(partitions)] for topic in topics}
        self.sources = {place: Log(*place) for place in sources}
        """What is re-keyed before a worker reads it."""
        self.instances = Log(INSTANCES, 0)
        """Heartbeats of processes."""
        self.outputs: list[Written] = []
        self.changelogs: list[list[Batch]] = [[] for _ in range(partitions)]
        """Every batch that was ever written."""
        self._compacted: dict[int, tuple[int, list[Change]]] = {}
        self._producers = [_Producer() for _ in range(partitions)]
        self.gone_at = 0
        """Since when it is gone, if it is."""
        self.back_at: int | None = None
        """When it is back; None: it is there."""
        self.slowness = 0

    def fence(self, number: int) -> int:
        """Begin a new epoch of a partition's producer: what the former one has open is aborted."""
        producer = self._producers[number]
        producer.end(Fate.ABORTED)
        producer.epoch += 1
        return producer.epoch

    def begin(self, number: int, epoch: int, *, now: int) -> None:
        """Begin a transaction. Raises `Fenced`."""
        producer = self._producer(number, epoch, now)
        assert producer.transaction is None, "a producer has one transaction at a time"
        producer.transaction = Transaction(now)

    def commit(self, number: int, epoch: int, *, now: int) -> None:
        """Commit the open transaction. Raises `Fenced`."""
        self._producer(number, epoch, now).end(Fate.COMMITTED)

    def send(self, number: int, epoch: int | None, outputs: Iterable[Output], *, now: int) -> None:
        """Append outputs. Raises `Fenced`."""
        transaction = self._open(number, epoch, now)
        self.outputs += [Written(output, number, transaction, now) for output in outputs]

    def log(
        self, number: int, epoch: int | None, changes: list[Change], *, now: int, durable: Callable[[], None]
    ) -> None:
        """Append one batch to a changelog; `durable` is called when it counts. Raises `Fenced`."""
        transaction = self._open(number, epoch, now)
        self.changelogs[number].append(Batch(changes, transaction))
        if transaction is None:
            durable()
        else:
            transaction.durable.append(durable)

    def changelog(self, number: int) -> Iterator[Change]:
        """The changelog as a `read_committed` reader finds it now."""
        behind, compacted = self._compacted.get(number, (0, []))
        yield from compacted
        for batch in self.changelogs[number][behind:]:
            fate = Fate.COMMITTED if batch.transaction is None else batch.transaction.fate
            if fate is Fate.OPEN:
                return
            if fate is Fate.COMMITTED:
                yield from batch.changes

    def compact(self) -> None:
        """Leave of each key the last value, in each changelog up to its last but one batch."""
        for number, batches in enumerate(self.changelogs):
            fates = [batch.transaction.fate for batch in batches if batch.transaction is not None]
            if len(batches) < 2 or Fate.OPEN in fates:
                continue
            *older, last = batches
            kept = _compacted(change for batch in older if _counts(batch) for change in batch.changes)
            self._compacted[number] = len(older), kept
            assert last is batches[-1]

    def _open(self, number: int, epoch: int | None, now: int) -> Transaction | None:
        if epoch is None:
            return None
        transaction = self._producer(number, epoch, now).transaction
        assert transaction is not None, "nothing is sent outside of a transaction"
        return transaction

    def _producer(self, number: int, epoch: int, now: int) -> _Producer:
        producer = self._producers[number]
        transaction = producer.transaction
        if transaction is not None and now - transaction.began_at > TRANSACTION_TIMEOUT:
            self.fence(number)
        if producer.epoch != epoch:
            raise Fenced
        return producer


def _counts(batch: Batch) -> bool:
    return batch.transaction is None or batch.transaction.fate is Fate.COMMITTED


def _compacted(changes: Iterable[Change]) -> list[Change]:
    """The last value of each key, in the order of the log; tombstones are gone as well."""
    last: dict[bytes, bytes | None] = {}
    for key, value in changes:
        last.pop(key, None)
        last[key] = value
    return [(key, value) for key, value in last.items() if value is not None]
