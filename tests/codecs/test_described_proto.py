"""A span in protobuf is described from its parts, cut by their lengths: the same as a parser makes of the whole."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from finalizer.codecs.description import Description, describe
from finalizer.codecs.otlp_body import OtlpProtoBody
from finalizer.codecs.proto_span import describe_proto
from tests.codecs.otlp_making import full, traces
from tests.codecs.test_otlp_fidelity import AROUND, final_of

UNKNOWN = {
    "number": b"\xc0\x3e\x05",
    "fixed64": b"\xc1\x3e12345678",
    "bytes": b"\xc2\x3e\x02hi",
    "fixed32": b"\xc5\x3e1234",
    "group": b"\xc3\x3e\xc4\x3e",
}
"""Fields of a number (1000) that OTLP does not have, one of each wire type."""


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, of a length below 2**14."""
    return bytes((number << 3 | 2, len(content) & 0x7F | 0x80, len(content) >> 7)) + content


def told(record: bytes) -> Description:
    """What the one span in a record is described as."""
    return describe(final_of(record).layers)


@pytest.mark.parametrize("unknown", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_fields_that_nobody_knows_are_passed_over(unknown: bytes) -> None:
    """On each level, whatever their wire type: a newer release of OTLP has more fields."""
    (outer,) = traces(full(), **AROUND).resource_spans
    (inner,) = outer.scope_spans
    (span,) = inner.spans
    scope = unknown + field(1, inner.scope.SerializeToString()) + field(2, span.SerializeToString() + unknown)
    above = field(1, outer.resource.SerializeToString() + unknown)
    rest = field(3, inner.schema_url.encode()) + unknown
    record = field(1, unknown + field(2, scope + rest) + above + field(3, outer.schema_url.encode())) + unknown
    assert told(record) == told(traces(full(), **AROUND).SerializeToString())


def test_a_resource_in_two_pieces_is_one() -> None:
    """A parser merges the pieces of a field that stands twice; so does what is cut."""
    first, second = (traces(full(), resource={name: name}, **AROUND).resource_spans[0] for name in ("a", "b"))
    pieces = field(1, first.resource.SerializeToString()) + field(1, second.resource.SerializeToString())
    group = field(2, first.scope_spans[0].SerializeToString())
    found = told(field(1, pieces + group))
    assert found.resource == {"a": "a", "b": "b"}
    assert found.around is not None
    assert len(found.around.entities) == 4


def test_two_spans_around_which_the_same_stands_are_two() -> None:
    """What stands around is read once for many spans; what one of them says is its own, and so is a large resource."""
    for resource in ({"service.name": "app"}, {"service.name": "x" * 10_000}):
        for number in range(3):
            one: Any = full()
            one.name = f"span {number}"
            batch: TracesData = traces(one, resource=resource)
            found = describe_proto(OtlpProtoBody(batch.SerializeToString()).data)
            assert (found.name, found.resource) == (f"span {number}", resource)
