"""How a setting is declared: its form and its meaning stand beside its type and default, in schema.py.

From these declarations alone come the reader (read.py), the configuration table (docs.py) and the JSON Schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import get_type_hints

import msgspec

from finalizer.core.terms import Heartbeat, LateEnd, Terms
from finalizer.policy.quantities import duration, duration_or_off
from finalizer.policy.values import Value, choice, count, flag

Shape = type[msgspec.Struct]


@dataclass(frozen=True)
class Section:
    """Settings below a key."""

    shape: Shape


@dataclass(frozen=True)
class Items:
    """A list of sections."""

    shape: Shape


@dataclass(frozen=True)
class Each:
    """A list of values of one kind."""

    value: Value


@dataclass(frozen=True)
class Globs:
    """What to look at -> a glob, or a list of globs of which one must fit."""


@dataclass(frozen=True)
class Overrides:
    """Settings below a key, of which those not given keep the value they have in the section of that name."""

    shape: Shape
    of: str


@dataclass(frozen=True)
class Elsewhere:
    """A section that is not read here: it belongs to another reader of the same file, and is not looked into."""


Form = Value | Section | Items | Each | Globs | Overrides | Elsewhere


@dataclass(frozen=True)
class Field:
    """One setting."""

    form: Form
    meaning: str
    unset: str = ""
    """What holds where the default is None, in words."""


_WAIT = duration()
_GRACE = duration(least=0)

_CORE: Mapping[Shape, Mapping[str, Field]] = {
    Heartbeat: {
        "interval": Field(_WAIT, "Assumed where a client that beats declares none."),
        "required": Field(flag(), "Every span owes heartbeats, whether it declared an interval or not."),
        "misses": Field(count(most=1000), "Intervals without a heartbeat until a span is lost."),
        "min": Field(_GRACE, "Interval × misses counts as no less than this."),
        "max": Field(_WAIT, "Interval × misses counts as no more than this."),
        "allowance": Field(_GRACE, "Added to interval × misses for the road from the client to the broker."),
    },
    Terms: {
        "heartbeat": Field(Section(Heartbeat), "When a span that beats is overdue."),
        "start_grace": Field(_GRACE, "A span has at least this long until its first heartbeat."),
        "orphan_grace": Field(_WAIT, "How long evidence waits for its start before it is a dead letter."),
        "silence": Field(_WAIT, "A span that does not beat is closed after this long without any evidence."),
        "max_duration": Field(_WAIT, "Backstop from the first evidence on; a span's own timeout never goes beyond it."),
        "progress_timeout": Field(
            duration_or_off(), "A span that beats while its progress stands still this long is stalled.", "off"
        ),
        "background_grace": Field(_GRACE, "How long a span whose app went to the background may stay there."),
        "late_end": Field(
            choice(LateEnd),
            "What an end that comes after its span was closed brings about: a revision, a dead letter, or nothing.",
        ),
    },
}
"""The law declares these two without a word on how they are written in YAML; `rule` and `policy` are not settings."""


@cache
def fields_of(shape: Shape) -> Mapping[str, Field]:
    """The settings of a section, by the key they have in the file, in the order of their declaration."""
    declared = _CORE.get(shape)
    if declared is not None:
        return declared
    hints = get_type_hints(shape, include_extras=True)
    return {
        field.encode_name: next(note for note in hints[field.name].__metadata__ if isinstance(note, Field))
        for field in msgspec.structs.fields(shape)
    }


@cache
def required_of(shape: Shape) -> frozenset[str]:
    """The settings of a section that have no default."""
    fields = msgspec.structs.fields(shape)
    return frozenset(field.encode_name for field in fields if field.required)
