"""Attribute values: what OTLP's AnyValue can carry, read from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from finalizer.codecs.errors import Reason, Unusable


class Empty(msgspec.Struct, frozen=True, gc=False):
    """A value that was sent and is none: an `AnyValue` of which no field is set."""


EMPTY: Final = Empty()

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value] | Empty | None"
"""A value as decoded. A null in an array keeps its place; anywhere else it means that there is no value."""
Attributes: TypeAlias = dict[str, Value]

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
MAX_DEPTH: Final = 16
"""Arrays and objects inside each other, in one attribute."""

Int64 = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]
Scalar = str | Int64 | float | bool | None
Plain = Scalar | list[Scalar]
"""The values that nearly all attributes have; a typed decode of them needs no look afterwards."""


def check_attributes(attributes: Mapping[str, Any] | None, name: str) -> None:
    """Check values that were decoded without a type. Raises `Unusable`: too_deep, wrong_type."""
    for value in (attributes or {}).values():
        _check(value, name, MAX_DEPTH)


def present(attributes: Attributes | None) -> Attributes:
    """The attributes that have a value."""
    if not attributes:
        return {}
    if None in attributes.values():
        return {name: value for name, value in attributes.items() if value is not None}
    return attributes


def _check(value: Any, name: str, depth: int) -> None:
    if isinstance(value, list | dict):
        if not depth:
            raise Unusable(Reason.TOO_DEEP, f"a value in {name} is nested deeper than {MAX_DEPTH}")
        for item in value if isinstance(value, list) else value.values():
            _check(item, name, depth - 1)
    elif isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        raise Unusable(Reason.WRONG_TYPE, f"an integer in {name} has more than 64 bits")
