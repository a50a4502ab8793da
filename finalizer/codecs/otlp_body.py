"""Bodies of OTLP spans: a `TracesData` of one span, with the resource and the scope that stand around it.

They are kept as they came, so an open span costs no more than its bytes. No time of the record itself is in them: a
heartbeat whose span has not changed has the same body, and then nothing but its time is written.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, Final

import msgspec

from finalizer.codecs.description import Description, includes
from finalizer.codecs.json_span import describe_json
from finalizer.core.model import Body

_MAX_KEPT: Final = 4096
"""Bytes of a body whose description is kept; larger ones are rare, and would make what they take unbounded."""
_kept_json = lru_cache(maxsize=64)(describe_json)
"""A span's end asks twice: what of the records before it is said again, and what stands on the final."""


class OtlpJsonBody(msgspec.Struct, frozen=True, gc=False):
    """`data` is OTLP/JSON that `json_spans` has written around a span that it has accepted."""

    format: ClassVar[int] = 2

    data: bytes

    def covers(self, older: Body, /) -> bool:
        """True if this says all that `older` does, of whichever encoding. Native bodies are never covered."""
        return _covers(self, older)

    def describe(self) -> Description:
        """What this record says of its span."""
        return _kept_json(self.data) if len(self.data) <= _MAX_KEPT else describe_json(self.data)


class OtlpProtoBody(msgspec.Struct, frozen=True, gc=False):
    """`data` is protobuf that `proto_spans` has written around a span that it has accepted."""

    format: ClassVar[int] = 3

    data: bytes

    def covers(self, older: Body, /) -> bool:
        """True if this says all that `older` does, of whichever encoding. Native bodies are never covered."""
        return _covers(self, older)

    def describe(self) -> Description:
        """What this record says of its span. Needs the extra `otlp`."""
        return _kept_proto(self.data) if len(self.data) <= _MAX_KEPT else _describe_proto(self.data)


def _describe_proto(data: bytes) -> Description:
    from finalizer.codecs.proto_span import describe_proto  # noqa: PLC0415  # an optional dependency

    return describe_proto(data)


_kept_proto = lru_cache(maxsize=64)(_describe_proto)


def _covers(newer: OtlpJsonBody | OtlpProtoBody, older: Body) -> bool:
    if not isinstance(older, OtlpJsonBody | OtlpProtoBody):
        return False
    if newer == older:
        return True
    new, old = newer.describe(), older.describe()
    return bool(
        (new.name or not old.name)
        and (new.span_kind or not old.span_kind)
        and (new.parent_span_id or not old.parent_span_id)
        and (new.trace_state or not old.trace_state)
        and (new.flags or not old.flags)
        and new.dropped_attributes >= old.dropped_attributes
        and new.dropped_links >= old.dropped_links
        and new.dropped_events >= old.dropped_events
        and old.attributes.keys() <= new.attributes.keys()
        and old.resource.keys() <= new.resource.keys()
        and includes(new.links, old.links)
        and includes(new.events, old.events)
    )
