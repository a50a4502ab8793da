"""Moments and durations of clients: nanoseconds since the Unix epoch, and milliseconds."""

from __future__ import annotations

from typing import Final

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.values import INT64_MAX

YEAR_2000: Final = 946_684_800_000_000_000
"""No span is older: a smaller number is in another unit."""
_YEAR_2100: Final = 4_102_444_800_000_000_000
LONGEST: Final = 2**62
"""Durations are cut to this many nanoseconds (146 years), so that they stay far inside 64 bits."""
_LONGEST_MILLISECONDS: Final = LONGEST // 1_000_000
_UNITS: Final = (("microseconds", 10**3), ("milliseconds", 10**6), ("seconds", 10**9))


def optional_moment(value: int | None, field: str) -> int:
    """A moment after the year 2000; 0 where there is none (absent or zero). Raises `Unusable`: bad_time."""
    if not value:
        return 0
    if YEAR_2000 <= value <= INT64_MAX:
        return value
    raise bad_time(value, field)


def bad_time(value: object, field: str) -> Unusable:
    """What is wrong with a moment, with the unit that it looks like."""
    if isinstance(value, str) and len(value) < 40 and value.isascii() and value.isdecimal():
        value = int(value)
    complaint = _complaint(value) if isinstance(value, int | float) else "is no number"
    return Unusable(Reason.BAD_TIME, f"{field} {complaint}: {str(value)[:40]!r}")


def nanoseconds(milliseconds: float) -> int:
    """A duration in milliseconds, zero or more, as nanoseconds, no longer than `LONGEST`."""
    return int(milliseconds * 1_000_000) if milliseconds < _LONGEST_MILLISECONDS else LONGEST


def _complaint(moment: float) -> str:
    if moment > INT64_MAX:
        return "is beyond 64 bits"
    for unit, factor in _UNITS:
        if YEAR_2000 <= moment * factor <= _YEAR_2100:
            return f"looks like {unit}; nanoseconds since 1970 are expected"
    return "is before the year 2000; nanoseconds since 1970 are expected"
