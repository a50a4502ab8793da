"""What a span is: the bodies of its records, merged in the order of records. Where it ended is not said here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from finalizer.codecs.around import Around
from finalizer.codecs.native_event import SPAN_KIND_WORDS
from finalizer.codecs.values import Attributes
from finalizer.core.model import Body, Layer

NATIVE_SCOPE: Final = "span-finalizer.native"
Item = TypeVar("Item", bound="Link | SpanEvent")


class Link(msgspec.Struct, frozen=True, gc=False):
    """A link to another span; ids in lower-case hexadecimal."""

    trace_id: str
    span_id: str
    attributes: Attributes
    trace_state: str = ""
    flags: int = 0
    dropped_attributes: int = 0


class SpanEvent(msgspec.Struct, frozen=True, gc=False):
    """Something that happened at one moment (ns) of the span."""

    at: int
    name: str
    attributes: Attributes
    dropped_attributes: int = 0


class Description(msgspec.Struct, gc=False):
    """A span without its times and its end. Satisfies core's `Subject`."""

    name: str | None = None
    span_kind: int = 0
    """OTLP's number; 0 is unspecified."""
    span_type: str | None = None
    parent_span_id: str = ""
    """Lower-case hexadecimal; empty for a root."""
    session_id: str | None = None
    op_id: str | None = None
    trace_state: str = ""
    resource: Attributes = {}
    attributes: Attributes = {}
    links: Sequence[Link] = ()
    events: Sequence[SpanEvent] = ()
    scope_name: str = NATIVE_SCOPE
    dropped_attributes: int = 0
    dropped_links: int = 0
    dropped_events: int = 0
    truncated: int = 0
    """How many attributes, links and events were left out because the record would have been too large."""
    flags: int = 0
    around: Around | None = None
    """What stands around the span where it came as OTLP; without it the scope has `scope_name` and nothing else."""

    @property
    def kind(self) -> str | None:
        return SPAN_KIND_WORDS[self.span_kind]


_canonical = msgspec.json.Encoder(order="sorted").encode
"""Tells 1 from 1.0 and true, which `==` does not."""


class Describing(Body, Protocol):
    """What every body in `body`'s registry can do."""

    def describe(self) -> Description:
        """What this one record says of its span."""


def includes(newer: Sequence[Item], older: Sequence[Item]) -> bool:
    """True if every link (event) of `older` is in `newer` as well."""
    return not older or {_canonical(item) for item in older} <= {_canonical(item) for item in newer}


def describe(layers: Sequence[Layer]) -> Description:
    """What all records together say: name by name the latest word; links and events joined, each once.

    The layers stand in the order of records, as they do in a `Final`. Their bodies were decoded before: no errors.
    """
    merged = None
    for layer in layers:
        body: Describing = layer.body  # type: ignore[assignment]  # all that `body` knows are
        described = body.describe()
        merged = described if merged is None else _merge(merged, described)
    return Description() if merged is None else merged


def _merge(older: Description, later: Description) -> Description:
    return Description(
        later.name or older.name,
        later.span_kind or older.span_kind,
        later.span_type or older.span_type,
        later.parent_span_id or older.parent_span_id,
        later.session_id or older.session_id,
        later.op_id or older.op_id,
        later.trace_state or older.trace_state,
        {**older.resource, **later.resource} if older.resource else later.resource,
        {**older.attributes, **later.attributes} if older.attributes else later.attributes,
        _joined(older.links, later.links),
        _joined(older.events, later.events),
        later.scope_name,
        max(older.dropped_attributes, later.dropped_attributes),
        max(older.dropped_links, later.dropped_links),
        max(older.dropped_events, later.dropped_events),
        flags=later.flags or older.flags,
        around=later.around or older.around,
    )


def in_order(items: Iterable[Item]) -> list[Item]:
    """Events by their time, links by what they are; in a total order, so that the same ones stand the same way."""
    return sorted(items, key=lambda item: (item.at if isinstance(item, SpanEvent) else 0, _canonical(item)))


def _joined(older: Sequence[Item], later: Sequence[Item]) -> Sequence[Item]:
    """As the later record has them; what only the older one has is put in where it belongs."""
    if not older or not later:
        return older or later
    known = {_canonical(item) for item in later}
    missed = [item for item in older if _canonical(item) not in known]
    return in_order([*later, *missed]) if missed else later
