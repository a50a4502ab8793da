"""Records for output topics, put into batches as they are decided, while they are warm: a frame later the processor
would have to fetch them from memory again (a fifth of the time of a record).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from mypy_extensions import mypyc_attr

from finalizer.decision import Header
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
    def headers(self) -> Sequence[Header]: ...
    @property
    def timestamp(self) -> int | None: ...


Batch = tuple[str, int, Any]
"""Topic, partition, aiokafka's `BatchBuilder`."""


class Outbox:
    """Batches to be sent, as few as their topics take, in the order in which each partition is to see them."""

    __slots__ = ("_create", "_full", "_open", "bytes")

    def __init__(self, create: Callable[[], Any]) -> None:
        self._create = create
        self._open: dict[tuple[str, int], Any] = {}
        self._full: list[Batch] = []
        self.bytes = 0
        """Of the values in it."""

    def add(self, to: Destination, records: Sequence[Sendable]) -> None:
        """Put records into the batches of the partitions that their keys belong to."""
        name, partitions, max_bytes = to
        most = min(OUTPUT_BATCH_BYTES, max_bytes - HEADERS_BYTES)
        waiting = self._open
        for record in records:
            key, value = record.key, record.value
            place = name, partition_of(key, partitions)
            size = 0 if value is None else len(value)
            batch = waiting.get(place)
            if batch is None:
                batch = waiting[place] = self._create()
            elif batch.size() + size > most:
                self._full.append((*place, batch))
                batch = waiting[place] = self._create()
            batch.append(key=key, value=value, timestamp=record.timestamp, headers=record.headers)
            self.bytes += size

    @property
    def batches(self) -> list[Batch]:
        """All of them."""
        return [*self._full, *[(name, partition, batch) for (name, partition), batch in self._open.items()]]
