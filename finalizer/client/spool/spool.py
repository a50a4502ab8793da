"""The spool: events are written before they are sent, and deleted when they are acknowledged.

Called on the client's own threads, never on the app's. What the disk refuses is answered with False or nothing, and
tried again after a while; a broken file is moved aside and a new one begun.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar

from finalizer.client.buffer import END
from finalizer.client.clock import SECOND, Clock, nanoseconds
from finalizer.client.events import Record
from finalizer.client.saying import say
from finalizer.client.spool import rows
from finalizer.client.spool.fresh import Fresh, Stored
from finalizer.client.spool.runs import RunLock
from finalizer.client.spool.tables import Unreadable, connect, is_corrupt, move_aside

TTL: Final = timedelta(hours=24)
"""No longer than a worker remembers spans that it closed by itself (`remember.presumed`, 24 hours by default)."""
RETRY: Final = 5 * SECOND
MEASURED: Final = 64
"""The file is measured each time that this part of `max_bytes` was written."""
Answer = TypeVar("Answer")

_leaked: Final[list[object]] = []
"""Connections of the process that forked this one: closing one here could harm it there."""


def _unnoticed(kind: str, count: int) -> None:
    """Nobody counts."""


class Spool:
    """One file, shared by any number of processes; each sends its own events, and those of runs that are over.

    `ttl` is how long an event is kept, `max_rows` and `max_bytes` how much; beyond that the least goes first, as in the
    buffer. `remembered` is how long the worker remembers a span that it closed by itself.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        ttl: timedelta | float = TTL,
        remembered: timedelta | float = TTL,
        max_rows: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self.path = Path(path).absolute()
        self.ttl = nanoseconds(ttl, name="ttl")
        self.remembered = nanoseconds(remembered, name="remembered")
        self.max_rows = max_rows
        self.max_bytes = max_bytes
        self.corrupt_files = 0
        self.refusals = 0
        """How often the disk refused."""
        self.expired = 0
        self.on_drop: Callable[[str, int], None] = _unnoticed
        self.clock: Clock
        self.run = ""
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._run_lock: RunLock | None = None
        self._inode = 0
        self._retry_at = 0
        self._count = 0
        self._done: set[int] = set()
        self._fresh = Fresh()
        self._unmeasured = 0
        self._closed = False

    def begin(self, run: str, clock: Clock) -> None:
        """Say which run this is. The file is opened with the first use."""
        self.run, self.clock, self._closed = run, clock, False
        self.look_again()

    def add(self, records: Sequence[Record]) -> bool:
        """Write events, all or none. False: the disk refuses, keep them."""
        with self._lock:
            last = self.work(lambda connection: rows.insert(connection, self.run, records))
            if last is None:
                return False
            self._count += len(records)
            self._fresh.written([Stored(last - len(records) + place, one) for place, one in enumerate(records, 1)])
            self._keep_within_caps(sum(len(one.value) for one in records))
        return True

    def next(self, most: int) -> list[Stored]:
        """The oldest events of this run that were not settled."""
        with self._lock:
            if not self._fresh and not self._fresh.is_all:
                self._read(most)
            return self._fresh.first(most)

    def settle(self, acknowledged: Iterable[Stored], refused: Iterable[Stored] = ()) -> None:
        """Forget events that were acknowledged, or refused for good. Not sent again, whatever the disk says to it."""
        heard = list(acknowledged)
        ended = {one.record.key for one in heard if one.record.kind == END}
        spans = {one.record.key for one in heard} - ended  # what has ended is not known as open any more
        with self._lock:
            self._done.update(one.id for one in heard)
            self._done.update(one.id for one in refused)
            done = list(self._done)
            self._fresh.settled(self._done)
            deleted = self.work(lambda connection: rows.delete(connection, done, spans))
            if deleted is not None:
                self._done.difference_update(done)
                self._count -= deleted

    def look_again(self) -> None:
        """Events were put there, or taken away, by another way than this."""
        with self._lock:
            self._fresh.forget()

    def tidy(self, now: int) -> None:
        """Once in a while: this run lives, what is too old goes, and the file is still the one with this name."""
        self._look_at_file()
        if self._done:
            self.settle(())
        dropped = self.work(lambda connection: rows.tidy(connection, self.run, now, now - self.ttl))
        if dropped:
            self.look_again()
        for kind, count in (dropped or {}).items():
            self.expired += count
            self.on_drop(kind, count)
        self._count = self.work(rows.count) or 0

    @property
    def waiting(self) -> int:
        """How many events wait in the file, roughly, other processes' included."""
        return max(0, self._count)

    @property
    def is_refusing(self) -> bool:
        """True while nothing can be written, and until it is tried again."""
        return self._connection is None and (self._closed or self.clock.monotonic() < self._retry_at)

    def work(self, function: Callable[[sqlite3.Connection], Answer]) -> Answer | None:
        """What `function` answers, in one transaction; None where the disk refuses or the file is broken."""
        with self._lock:
            connection = self._connected()
            if connection is None:
                return None
            try:
                with rows.transaction(connection):
                    return function(connection)
            except sqlite3.Error as error:
                self._failed(error)
                return None

    def pause_for_fork(self, *, seconds: float) -> Callable[[], None]:
        """Wait until no call is under way, so that a fork finds SQLite at rest; returns what lets them go on."""
        held = self._lock.acquire(timeout=seconds)
        return self._lock.release if held else lambda: None

    def forget(self) -> None:
        """In a forked child: the file and the lock are the parent's."""
        if self._connection is not None:
            _leaked.append(self._connection)
        if self._run_lock is not None:
            self._run_lock.forget()
        self._lock = threading.RLock()
        self._connection, self._run_lock, self._retry_at, self._done = None, None, 0, set()
        self._fresh = Fresh()

    def close(self, seconds: float = 1.0) -> None:
        """The run is over. What it leaves, the next one finds: also if the disk has not answered within this time."""
        self._closed = True
        if not self._lock.acquire(timeout=seconds):
            return  # the run's lock goes with the process
        try:
            left = self._leave(seconds)
            if self._run_lock is not None:
                if left == 0:
                    self._run_lock.release()
                self._run_lock.forget()
            self._disconnect()
            self._run_lock = None
        finally:
            self._lock.release()

    def _leave(self, seconds: float) -> int | None:
        if self._connection is not None:
            self._connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
        if self._done:
            self.settle(())
        return self.work(lambda connection: rows.leave(connection, self.run))

    def _connected(self) -> sqlite3.Connection | None:
        if self._connection is not None:
            return self._connection
        now = self.clock.monotonic()
        if self._closed or now < self._retry_at:
            return None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._run_lock is None:
                self._run_lock = RunLock(self.path, self.run)
            self._connection = connect(self.path)
            self._inode = self.path.stat().st_ino
            with rows.transaction(self._connection):
                rows.enter(self._connection, self.run, self.clock.wall())
            self._count = rows.count(self._connection)
        except Unreadable as error:
            self._aside(str(error))
            return None
        except (sqlite3.Error, OSError) as error:
            self._refused(error)
            return None
        return self._connection

    def _failed(self, error: sqlite3.Error) -> None:
        if is_corrupt(error):
            self._aside(str(error))
        else:
            self._refused(error)

    def _refused(self, error: Exception) -> None:
        self.refusals += 1
        say("spool", f"the spool {self.path} cannot be used, events stay in memory: {error}")
        self._disconnect()
        self._retry_at = self.clock.monotonic() + RETRY

    def _aside(self, why: str) -> None:
        self.corrupt_files += 1
        say("spool-corrupt", f"the spool {self.path} is broken ({why}): it is moved aside, and a new one is begun")
        self._disconnect()
        self._retry_at = 0
        try:
            move_aside(self.path)
        except OSError as error:
            self._refused(error)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._fresh.forget()

    def _look_at_file(self) -> None:
        with self._lock:
            try:
                same = self._connection is None or self.path.stat().st_ino == self._inode
            except OSError:
                same = False
            if not same:
                self._disconnect()  # deleted, or another process moved it aside

    def _read(self, limit: int) -> None:
        answer = self.work(lambda connection: rows.oldest(connection, self.run, limit, self._done))
        if answer is not None:
            found, is_all = answer
            self._fresh.read([Stored(one[0], Record(*one[1:])) for one in found], is_all=is_all)

    def _keep_within_caps(self, added: int) -> None:
        self._unmeasured += added
        if self._unmeasured * MEASURED < self.max_bytes and self._count <= self.max_rows:
            return
        size = self.work(rows.size) or 0
        self._unmeasured = 0
        if self._count <= self.max_rows and size <= self.max_bytes:
            return
        most = max(1, min(self._count, max(self._count - self.max_rows, self.max_rows // 20)))
        dropped = self.work(lambda connection: rows.drop(connection, most)) or {}
        self.look_again()
        for kind, count in dropped.items():
            self._count -= count
            self.on_drop(kind, count)
