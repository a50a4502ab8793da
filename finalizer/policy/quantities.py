"""Durations and sizes: quantities that are written with their unit."""

from __future__ import annotations

import re

from finalizer.core.terms import HOUR, MINUTE, SECOND
from finalizer.policy.problems import quoted
from finalizer.policy.tree import Scalar
from finalizer.policy.values import JsonSchema, Plain, Refused, Value

MILLISECOND = 1_000_000
LONGEST = 87_600 * HOUR
"""Ten years: every deadline stays far below the largest 64-bit moment."""

_UNITS = {"h": HOUR, "m": MINUTE, "s": SECOND, "ms": MILLISECOND}
_DURATION = r"(?=[0-9])([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?([0-9]{1,9}ms)?"
_DURATION_SCHEMA: JsonSchema = {"type": "string", "pattern": f"^{_DURATION}$"}
_OFF = ("off", "false")
"""Readers of YAML 1.1 take a bare `off` for false, so both are the same."""


def duration(least: int = MILLISECOND, most: int = LONGEST) -> Value:
    """Nanoseconds, written as `250ms`, `30s`, `5m`, `24h` or joined: `1h30m`. `least` and `most` are included."""

    def read(scalar: Scalar) -> int:
        text = scalar.text
        if re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?", text):
            raise Refused(f"{quoted(text)} has no unit: ms, s, m or h stands behind the number, as in 30s")
        match = re.fullmatch(_DURATION, text)
        if match is None:
            negative = "; it is never negative" if text.startswith("-") else ""
            raise Refused(f"{quoted(text)} is not a duration: write 250ms, 30s, 5m, 24h or 1h30m{negative}")
        parts = zip(match.groups(), _UNITS.items(), strict=True)
        value = sum(int(part.removesuffix(unit)) * size for part, (unit, size) in parts if part)
        if value < least:
            raise Refused(f"{duration_text(least)} or more is needed, not {text}")
        if value > most:
            raise Refused(f"{duration_text(most)} or less is needed, not {text}")
        return value

    return Value("duration", read, _DURATION_SCHEMA, duration_text)


def duration_or_off() -> Value:
    """The same, or the word `off`, which is worked with as None."""
    given = duration()

    def read(scalar: Scalar) -> object:
        return None if scalar.text in _OFF else given.read(scalar)

    def written(value: object) -> Plain:
        return _OFF[0] if value is None else given.written(value)

    return Value("duration or `off`", read, {"anyOf": [_DURATION_SCHEMA, {"enum": [_OFF[0], False]}]}, written)


def duration_text(value: object) -> str:
    """Nanoseconds as a person would write them."""
    assert isinstance(value, int)
    text = ""
    for unit, size in _UNITS.items():
        count, value = divmod(value, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


_SIZES = {
    "TiB": 2**40,
    "GiB": 2**30,
    "MiB": 2**20,
    "KiB": 2**10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "KB": 10**3,
}
_SIZE = rf"[0-9]{{1,15}}({'|'.join(_SIZES)})?"


def size(least: int) -> Value:
    """Bytes, written as `512MiB` (powers of 1024), `10MB` (powers of 1000) or a plain number."""

    def read(scalar: Scalar) -> int:
        match = re.fullmatch(_SIZE, scalar.text)
        if match is None:
            raise Refused(f"{quoted(scalar.text)} is not a size: write 512MiB, 10MB or 1048576 (bytes)")
        unit = match[1] or ""
        value = int(scalar.text.removesuffix(unit)) * _SIZES.get(unit, 1)
        if value < least:
            raise Refused(f"{_size_text(least)} or more is needed, not {scalar.text}")
        return value

    schema = [{"type": "integer", "minimum": least}, {"type": "string", "pattern": f"^{_SIZE}$"}]
    return Value("size", read, {"anyOf": schema}, _size_text)


def _size_text(value: object) -> Plain:
    assert isinstance(value, int)
    fits = (f"{value // size}{unit}" for unit, size in _SIZES.items() if value and value % size == 0)
    return next(fits, value)
