"""What has to be done while the app does something else: heartbeats, guards, the way to the disk, recovery."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from finalizer.client.beats import period
from finalizer.client.clock import SECOND, Clock
from finalizer.client.deadlines import Deadlines
from finalizer.client.emitter import Emitter
from finalizer.client.source import Source

if TYPE_CHECKING:
    from finalizer.client.spool import Spool

TIDY: Final = 5 * SECOND


class Keeper:
    """One pass at a time, on one thread."""

    def __init__(
        self,
        emitter: Emitter,
        source: Source,
        spool: Spool | None,
        clock: Clock,
        *,
        deadlines: Deadlines,
        recovery: Callable[[], bool],
    ) -> None:
        self._emitter = emitter
        self._source = source
        self._spool = spool
        self._clock = clock
        self._deadlines = deadlines
        self._recovery = recovery
        self._recovered = spool is None
        self._tidy_at = 0
        self._instance_at = 0
        self.has_more = False
        """The last step has not brought everything to the disk that it could have."""

    @property
    def all_on_disk(self) -> bool:
        """True if nothing that was told waits elsewhere than in the spool."""
        return self._source.all_on_disk

    def step(self) -> int:
        """Do all that is due; returns the monotonic time at which the next is."""
        now = self._clock.monotonic()
        if not self._recovered:
            self._recovered = self._recovery()
        for then in self._deadlines.reached(now):
            then()
        next_due = min(self._emitter.beat(), self._deadlines.next_due())
        settings = self._emitter.settings
        if settings.instance_id and self._emitter.open_count:
            if now >= self._instance_at:
                self._emitter.beat_for_all()
                self._instance_at = now + period(settings.heartbeat)
            next_due = min(next_due, self._instance_at)
        self.has_more = self._source.store()
        if self.has_more:
            next_due = now
        if self._spool is not None and (self._emitter.open_count or self._spool.waiting or not self._recovered):
            if now >= self._tidy_at:
                self._spool.tidy(self._clock.wall())
                self._tidy_at = now + TIDY
            next_due = min(next_due, self._tidy_at)
        return next_due
