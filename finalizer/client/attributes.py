"""Attributes as the app gives them, made into what can be sent: bounded, of known types, and nobody else's to change.

What cannot be sent is left out and counted. Nothing of the app's is called: an object's own `__str__` may raise.
"""

from __future__ import annotations

from math import isfinite
from typing import Final, NamedTuple, TypeAlias, TypeGuard, TypeVar

Value: TypeAlias = "str | bool | int | float | list[Value] | dict[str, Value]"
Kind = TypeVar("Kind")
Attributes: TypeAlias = dict[str, Value]

INT64_MAX: Final = 2**63 - 1
MAX_BITS: Final = 1024
"""An integer beyond 64 bits is sent as a string of digits, up to this size."""
MAX_DEPTH: Final = 8
MAX_KEY: Final = 256
"""Characters of a name; a longer one is cut."""
MAX_ITEMS: Final = 1024
"""Items of one list or object; what comes after is left out."""


class Limits(NamedTuple):
    """How much one span may carry (OpenTelemetry: span limits)."""

    attributes: int = 128
    value_length: int = 4096
    """Characters of one string."""
    events: int = 128
    links: int = 128


def clean(given: object, limits: Limits) -> tuple[Attributes, int]:
    """The attributes that can be sent, no more than the limits allow, and how many could not."""
    if given is None:
        return {}, 0
    if not is_a(given, dict):
        return {}, 1
    cleaned: Attributes = {}
    left_out = 0
    length, most = limits.value_length, limits.attributes
    for key, value in list(dict.items(given)):
        kind = type(value)
        # Most values are plain and short, and so are their names: they are taken as they are, without a call.
        if (
            (kind is str and len(value) <= length and value.isascii())
            or (kind is int and -INT64_MAX <= value <= INT64_MAX)
            or kind is bool
        ):
            kept = value
        else:
            kept = _value(value, limits, MAX_DEPTH)
        if type(key) is str and 0 < len(key) <= MAX_KEY and key.isascii() and kept is not None and len(cleaned) < most:
            cleaned[key] = kept
        elif kept is None or not is_a(key, str) or not key or len(cleaned) >= most:
            left_out += 1
        else:
            cleaned[_text(key, MAX_KEY)] = kept
    return cleaned, left_out


def merge(into: Attributes, new: Attributes, most: int) -> int:
    """Set attributes, the later value winning; returns how many did not fit."""
    if len(into) + len(new) <= most:
        into.update(new)
        return 0
    left_out = 0
    for key, value in new.items():
        if key in into or len(into) < most:
            into[key] = value
        else:
            left_out += 1
    return left_out


def text(given: object, most: int) -> str:
    """A plain string of at most so many characters; empty for what is none."""
    if type(given) is str and len(given) <= most and given.isascii():
        return given
    return _text(given, most) if is_a(given, str) else ""


def is_a(given: object, kind: type[Kind]) -> TypeGuard[Kind]:
    """Like `isinstance`, without asking the object: one that is lazy (Django has such) would do its work here."""
    return issubclass(type(given), kind)


def number(given: object) -> float | None:
    """A plain float of any number that is one."""
    if is_a(given, float):
        return float.__add__(given, 0.0)
    if is_a(given, int):
        return int.__float__(given) if int.bit_length(given) < MAX_BITS else None
    return None


def _value(given: object, limits: Limits, depth: int) -> Value | None:
    if is_a(given, str):
        return _text(given, limits.value_length)
    if given is True or given is False:
        return given is True
    if is_a(given, int):
        return _integer(int.__add__(given, 0))
    if is_a(given, float):
        real = float.__add__(given, 0.0)
        return real if isfinite(real) else float.__repr__(real)
    if not depth:
        return None
    if is_a(given, list):
        return _items(list.__getitem__(given, slice(0, MAX_ITEMS)), limits, depth)
    if is_a(given, tuple):
        return _items(list(tuple.__getitem__(given, slice(0, MAX_ITEMS))), limits, depth)
    if is_a(given, dict):
        pairs = ((key, _value(item, limits, depth - 1)) for key, item in list(dict.items(given))[:MAX_ITEMS])
        return {_text(key, MAX_KEY): item for key, item in pairs if is_a(key, str) and item is not None}
    return None


def _integer(whole: int) -> Value | None:
    if -INT64_MAX <= whole <= INT64_MAX:
        return whole
    return str(whole) if whole.bit_length() <= MAX_BITS else None


def _items(given: list[object], limits: Limits, depth: int) -> list[Value]:
    items = (_value(item, limits, depth - 1) for item in given)
    return [item for item in items if item is not None]


def _text(given: str, most: int) -> str:
    """A plain string, also of a subclass with ways of its own; what is no Unicode becomes question marks."""
    plain = str.__getitem__(given, slice(0, most))
    return plain if plain.isascii() else plain.encode("utf-8", "replace").decode()
