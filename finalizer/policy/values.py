"""The kinds of single values in finalizer.yaml: how each is written, checked, shown and described to an editor.

A kind turns what was written into what the program works with: words into members of an enum, durations into
nanoseconds (quantities.py). It refuses with one sentence that says what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from finalizer.policy.problems import quoted
from finalizer.policy.tree import Scalar

Plain = str | int | float | bool
JsonSchema = dict[str, object]


class Refused(Exception):
    """What was written is not of this kind; the message says what would be."""


def as_it_is(value: object) -> Plain:
    """A value that is written as it is worked with."""
    assert isinstance(value, Plain)
    return value


@dataclass(frozen=True)
class Value:
    """One kind of value."""

    label: str
    """What the configuration table calls it."""
    read: Callable[[Scalar], object]
    """What was written, as the program works with it. Raises `Refused`."""
    json_schema: JsonSchema
    """The JSON Schema of what `read` takes."""
    written: Callable[[object], Plain] = as_it_is
    """What `read` answered, as a person would write it."""


def count(least: int = 1, most: int = 1_000_000_000) -> Value:
    """A whole number between `least` and `most`, both included."""

    def read(scalar: Scalar) -> int:
        if not (scalar.plain and re.fullmatch(r"[-+]?[0-9]{1,15}", scalar.text)):
            raise Refused(f"a whole number is expected, not {quoted(scalar.text)}")
        value = int(scalar.text)
        if not least <= value <= most:
            raise Refused(f"a whole number between {least} and {most} is expected, not {value}")
        return value

    return Value("whole number", read, {"type": "integer", "minimum": least, "maximum": most})


def share() -> Value:
    """A part of a whole, above 0 and up to 1."""

    def read(scalar: Scalar) -> float:
        number = re.fullmatch(r"[-+]?[0-9]{1,15}(\.[0-9]{0,30})?([eE][-+]?[0-9]{1,3})?", scalar.text)
        if not (scalar.plain and number and 0 < float(scalar.text) <= 1):
            raise Refused(f"a share above 0 and up to 1 is expected (0.5 is half), not {quoted(scalar.text)}")
        return float(scalar.text)

    return Value("share (above 0, up to 1)", read, {"type": "number", "exclusiveMinimum": 0, "maximum": 1})


def flag() -> Value:
    """True or false. `yes` and `on` are words to some readers of YAML and truth to others, so they are neither."""

    def read(scalar: Scalar) -> bool:
        if not (scalar.plain and scalar.text.lower() in {"true", "false"}):
            raise Refused(f"true or false is expected, not {quoted(scalar.text)}")
        return scalar.text.lower() == "true"

    return Value("`true`, `false`", read, {"type": "boolean"})


def choice(members: Iterable[Enum], word: Callable[[Enum], str] = lambda member: str(member.value)) -> Value:
    """One of the members of an enum, each of which is written as its word."""
    words = {word(member): member for member in members}

    def read(scalar: Scalar) -> Enum:
        member = words.get(scalar.text)
        if member is None:
            raise Refused(f"{' or '.join(words)} is expected, not {quoted(scalar.text)}")
        return member

    def written(value: object) -> str:
        return next(text for text, member in words.items() if member is value)

    return Value(", ".join(f"`{text}`" for text in words), read, {"enum": list(words)}, written)


def word(what: str, pattern: str, form: str) -> Value:
    """Text of a given form: `what` names it, `pattern` is a regular expression, `form` says the same to a person."""

    def read(scalar: Scalar) -> str:
        if re.fullmatch(pattern, scalar.text) is None:
            raise Refused(f"{quoted(scalar.text)} is no {what}: {form}")
        return scalar.text

    return Value(what, read, {"type": "string", "pattern": f"^({pattern})$"})
