"""Bodies: the bytes of a record, kept as they came, and read again when a span is described.

An open span is kept for hours and described once, so its bytes are kept, not its parsed form: they are smaller, they
are what the changelog stores, and their order is total. `body_of` gives a stored body its format back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from mypy_extensions import mypyc_attr

from finalizer.codecs.description import Describing, Description, Link, SpanEvent, in_order, includes
from finalizer.codecs.ids import parent_id
from finalizer.codecs.native_event import KIND_NUMBERS, NativeEvent, parse
from finalizer.codecs.otlp_body import OtlpJsonBody, OtlpProtoBody
from finalizer.codecs.trace_state import valid_trace_state
from finalizer.codecs.values import Value, present
from finalizer.core.by_value import ByValue
from finalizer.core.model import Body


@mypyc_attr(acyclic=True)
class NativeBody(ByValue):
    """The body of a native record that `NativeDecoder` has accepted."""

    __match_args__ = ("data",)
    __slots__ = __match_args__

    format: ClassVar[int] = 1

    def __init__(self, data: bytes) -> None:
        self.data: Final = data

    def covers(self, older: Body, /) -> bool:
        """True if every name that `older` gives a value to has one here too. Other formats are never covered."""
        if not isinstance(older, NativeBody):
            return False
        if b'"name"' in older.data and b'"name"' not in self.data:
            return False  # a heartbeat never covers its start: seen without parsing both
        return _covers(parse(self.data), parse(older.data))

    def describe(self) -> Description:
        """What this record says of its span."""
        event = parse(self.data)
        return Description(
            event.name or None,
            KIND_NUMBERS[event.span_kind],
            event.span_type or None,
            parent_id(event.parent_span_id),
            event.session_id or None,
            event.op_id or None,
            valid_trace_state(event.trace_state),
            present(event.resource),
            present(event.attributes),
            in_order(_links(event)) if event.links else (),
            in_order(_events(event)) if event.events else (),
        )


def _covers(newer: NativeEvent[Value], older: NativeEvent[Value]) -> bool:
    return bool(
        (newer.name or not older.name)
        and (newer.span_type or not older.span_type)
        and (newer.session_id or not older.session_id)
        and (newer.op_id or not older.op_id)
        and (newer.trace_state or not older.trace_state)
        and (not older.span_kind or KIND_NUMBERS[newer.span_kind])
        and (not older.parent_span_id or parent_id(newer.parent_span_id))
        and (not older.attributes or present(older.attributes).keys() <= present(newer.attributes).keys())
        and (not older.resource or present(older.resource).keys() <= present(newer.resource).keys())
        and (not older.links or includes(_links(newer), _links(older)))
        and (not older.events or includes(_events(newer), _events(older)))
    )


def _links(event: NativeEvent[Value]) -> list[Link]:
    return [
        Link(link.trace_id.lower(), link.span_id.lower(), present(link.attributes), valid_trace_state(link.trace_state))
        for link in event.links or ()
    ]


def _events(event: NativeEvent[Value]) -> list[SpanEvent]:
    return [
        SpanEvent(happened.time_unix_nano, happened.name, present(happened.attributes))
        for happened in event.events or ()
    ]


_FORMATS: dict[int, Callable[[bytes], Describing]] = {
    form.format: form for form in (NativeBody, OtlpJsonBody, OtlpProtoBody)
}


def body_of(number: int, data: bytes) -> Describing:
    """The body that was stored as (format, data). Raises `ValueError` for a format that this release does not know."""
    form = _FORMATS.get(number)
    if form is None:
        raise ValueError(f"a body of format {number}; this release knows {sorted(_FORMATS)}")
    return form(data)
