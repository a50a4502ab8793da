"""A broker in lists: logs of inputs, what was written, and the producer through which a worker writes."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatch

from finalizer.shell.batches import Batch
from finalizer.sim.broker import Record

CHANGELOG = "changelog"
PARTITION = 0

Change = tuple[bytes, bytes | None]
"""Key and value of a changelog record."""


class Crash(Exception):
    """The worker is killed here."""


class Written(NamedTuple):
    """A record of an output topic."""

    key: bytes | None
    value: bytes | None
    headers: dict[str, bytes]


class Input:
    """The log of an input topic."""

    def __init__(self, topic: str, *, append_time: bool) -> None:
        self.topic = topic
        self.append_time = append_time
        self.records: list[Record] = []
        self.first = 0
        """The first offset that retention has left."""
        self.up = True

    def append(self, key: bytes, value: bytes | None, *, now: int, stamp: int) -> None:
        """Take a record at `now`; `stamp` is the time that its producer gave it."""
        assert self.up, f"{self.topic} is down: its clients send again when it is back"
        time = now if self.append_time else stamp
        self.records.append(Record(self.topic, PARTITION, len(self.records), time // 1_000_000, key, value))


class Broker:
    """Everything that outlives a worker."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self.inputs = {one.topic: one for one in inputs}
        self.outputs: dict[str, list[Written]] = defaultdict(list)
        self.changelog: list[Change] = []
        self.appended: Counter[str] = Counter()
        """Topic -> offsets given away; those of aborted transactions are never given again."""
        self.committed: dict[str, int] = {}
        """Where the group would read on in a source."""

    def compacted(self) -> list[Change]:
        """The changelog as compaction leaves it: the last value of each key, in the order of the log."""
        last = {key: place for place, (key, _) in enumerate(self.changelog)}
        return [
            (key, value)
            for place, (key, value) in enumerate(self.changelog)
            if last[key] == place and value is not None
        ]


class _Done:
    """What an append answers, at once: the offset of the batch's first record."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    timestamp = 0
    timestamp_type = 0

    def __await__(self) -> Generator[None, None, _Done]:
        yield from ()
        return self


class Producer:
    """What the writer asks of its producer. It may be told to die before the next write of a kind."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._open: list[tuple[str, Batch]] | None = None
        self._marked = set[TopicPartition]()
        self._wrote_outputs = False
        self.dies_before = ""

    async def begin_transaction(self) -> None:
        self._open, self._marked = [], set()

    def mark_too(self, places: Iterable[TopicPartition]) -> None:
        assert not self._open, "a partition more after the first batch is a request more to the coordinator"
        self._marked.update(places)

    async def commit_transaction(self) -> None:
        written, self._open = self._open or [], None
        for topic, batch in written:
            self._append(topic, batch)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> _Done:
        assert partition == PARTITION
        if topic != CHANGELOG and self.dies_before == "outputs":
            raise Crash
        if topic == CHANGELOG and self._wrote_outputs and self.dies_before == "changelog":
            raise Crash
        self._wrote_outputs = topic != CHANGELOG
        assert self._open is None or TopicPartition(topic, partition) in self._marked
        if self._open is None:
            self._append(topic, batch)
        else:
            self._open.append((topic, batch))
        offset = self._broker.appended[topic]
        self._broker.appended[topic] += batch.record_count()
        return _Done(offset)

    async def stop(self) -> None:
        """Nothing to close."""

    def _append(self, topic: str, batch: Batch) -> None:
        for record in DefaultRecordBatch(b"".join(batch._build())):
            if topic == CHANGELOG:
                self._broker.changelog.append((record.key, record.value))
            else:
                self._broker.outputs[topic].append(Written(record.key, record.value, dict(record.headers)))
