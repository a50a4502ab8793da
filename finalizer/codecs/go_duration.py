"""Durations as Go's `time.ParseDuration` reads them: `5000ms`, `1m30s`, `1.5h`. Partial-span logs carry such ones."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.times import LONGEST

_UNITS: Final = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,  # U+00B5, micro sign
    "μs": 10**3,  # U+03BC, Greek letter mu
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LONGEST_TEXT: Final = 64
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_WHOLE: Final = re.compile(rf"\+?(?:0|(?:{_PART.pattern})+)")


@lru_cache(maxsize=1024)
def _nanoseconds(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise Unusable(Reason.WRONG_TYPE, f"no duration such as 5000ms or 1m30s: {text!r}")
    total = 0
    for number, unit in _PART.findall(text):
        whole, _, fraction = number.partition(".")
        total += int(whole or 0) * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
    return min(total, LONGEST)


def go_duration(text: str) -> int:
    """Nanoseconds, zero or more, no longer than `LONGEST`. Raises `Unusable`: wrong_type."""
    if len(text) > _LONGEST_TEXT:
        raise Unusable(Reason.WRONG_TYPE, f"no duration such as 5000ms or 1m30s: {text[:_LONGEST_TEXT]!r}")
    return _nanoseconds(text)
