"""A clock that stands still until it is turned."""

from __future__ import annotations

from typing import Final

from finalizer.client.clock import SECOND

BORN: Final = 1_700_000_000 * SECOND


class FakeClock:
    """Both clocks of a client. `now` is what `monotonic` says, nanoseconds."""

    def __init__(self) -> None:
        self.now = SECOND
        self._wall_ahead = BORN

    def wall(self) -> int:
        return self.now + self._wall_ahead

    def monotonic(self) -> int:
        return self.now

    def advance(self, seconds: float) -> None:
        """Time goes on. With a `Capture`, use the capture's own `advance`: then heartbeats are sent meanwhile."""
        self.now += int(seconds * SECOND)

    def set_wall(self, seconds: float) -> None:
        """The device's clock is set forward, or (below zero) back, while no time goes by."""
        self._wall_ahead += int(seconds * SECOND)
