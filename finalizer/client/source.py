"""Where the sender takes from: the spool, and memory where there is none or the disk refuses."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from finalizer.client.buffer import Buffer
from finalizer.client.events import Record, Recorder
from finalizer.client.settings import Settings

if TYPE_CHECKING:
    from finalizer.client.spool import Spool
    from finalizer.client.spool.fresh import Stored

BATCH: Final = 500
BATCHES: Final = 4


class Batch(NamedTuple):
    """Records that go out together; `stored` are their places in the spool, if they lie there."""

    records: Sequence[Record]
    stored: Sequence[Stored] = ()


class Source:
    """Holds what left the buffer and is not on disk: never more than one batch, for there nothing is dropped any more.

    `store` and `next` may be called from two threads.
    """

    def __init__(self, buffer: Buffer, spool: Spool | None, settings: Settings) -> None:
        self._buffer = buffer
        self._spool = spool
        self._recorder = Recorder(settings)
        self._lock = threading.Lock()
        self._memory: list[Record] = []
        self._memory_is_out = False

    def store(self) -> bool:
        """Bring what is in the buffer to the disk, a few batches of it; True if there may be more."""
        spool = self._spool
        if spool is None or spool.is_refusing or not self._memory_stored(spool):
            return False
        for _ in range(BATCHES):  # an app that tells without a pause must not keep us from our heartbeats
            records = self._recorder.taken(self._buffer, BATCH)
            if not records:
                return False
            if not spool.add(records):
                with self._lock:
                    self._memory += records
                return False
        return True

    @property
    def all_on_disk(self) -> bool:
        """True if nothing waits in memory alone."""
        return self._spool is not None and not self._spool.is_refusing and not self._memory and not len(self._buffer)

    def next(self) -> Batch:
        """What goes out next, the oldest first; empty if nothing waits."""
        stored = [] if self._spool is None else self._spool.next(BATCH)
        if stored:
            return Batch([one.record for one in stored], stored)
        with self._lock:
            if not self._memory and (self._spool is None or self._spool.is_refusing):
                self._memory = self._recorder.taken(self._buffer, BATCH)
            self._memory_is_out = bool(self._memory)
            return Batch(self._memory[:BATCH])

    def settle(self, batch: Batch, arrived: Collection[int], refused: Collection[int]) -> None:
        """Forget what arrived and what will never; the places are those in the batch. Each batch is settled once."""
        if batch.stored:
            assert self._spool is not None
            self._spool.settle([batch.stored[place] for place in arrived], [batch.stored[place] for place in refused])
            return
        done = {*arrived, *refused}
        with self._lock:
            left = [record for place, record in enumerate(batch.records) if place not in done]
            self._memory[: len(batch.records)] = left
            self._memory_is_out = False

    def _memory_stored(self, spool: Spool) -> bool:
        with self._lock:
            if self._memory_is_out:
                return False
            if self._memory and not spool.add(self._memory):
                return False
            self._memory = []
            return True
