"""The two clocks of a client: the wall's, which is data and may jump, and one that only goes forward."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final, Protocol

from finalizer.client.attributes import is_a, number

SECOND: Final = 1_000_000_000
MILLISECOND: Final = 1_000_000
LONGEST: Final = 2**62
"""Durations are cut to this many nanoseconds (146 years)."""


class Clock(Protocol):
    """What the client asks for the time. Both answers are nanoseconds."""

    def wall(self) -> int:
        """Nanoseconds since the Unix epoch, as the device believes; it may be set forward and back."""

    def monotonic(self) -> int:
        """Nanoseconds since some moment; never goes back, and counts the time in which the device slept."""


class SystemClock:
    """The clocks of this machine."""

    __slots__ = ()

    wall = staticmethod(time.time_ns)
    if hasattr(time, "CLOCK_BOOTTIME"):  # Linux and Android, where the usual one stands still while the device sleeps

        @staticmethod
        def monotonic() -> int:
            return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    else:
        monotonic = staticmethod(time.monotonic_ns)


def nanoseconds(duration: object, *, name: str) -> int:
    """A duration, a number of seconds or a timedelta, as nanoseconds. Raises `ValueError` that names the setting."""
    seconds = timedelta.total_seconds(duration) if is_a(duration, timedelta) else number(duration)
    if seconds is None or not seconds > 0 or duration is True:
        told = repr(duration) if type(duration) in (int, float, bool, str) else f"a {type(duration).__name__}"
        raise ValueError(f"{name} is a positive number of seconds or a timedelta, not {told[:40]}")
    return int(min(seconds * SECOND, LONGEST))
