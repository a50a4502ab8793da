"""A `TracesData` in protobuf to its spans, each with a body that stands for itself. Needs the extra `otlp`.

The same as `json_spans`, in the other encoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, TracesData

from finalizer.codecs.carried import Carried, LogResource, TellSpan
from finalizer.codecs.errors import Unusable
from finalizer.codecs.log_resource import added_attributes
from finalizer.codecs.marks import (
    DROPPED,
    NAME_SUFFIX,
    REAL,
    SPAN_TYPE,
    Mark,
    mark_of,
    may_be_marked,
    no_real_span,
    real_parent,
)
from finalizer.codecs.otlp_body import OtlpProtoBody
from finalizer.codecs.otlp_proto import key_values
from finalizer.codecs.parts import SPANS, BadPart, Part, place
from finalizer.codecs.proto_batch import isolated
from finalizer.codecs.proto_span import attributes, checked, resource_attributes
from finalizer.codecs.refusal import check_repeated
from finalizer.codecs.wire import Around, around_of, batch_of_one

_MAX_KEPT: Final = 4096
"""Bytes of two resources whose merger is kept; larger ones are rare, and would make what they take unbounded."""


def proto_spans(data: bytes, added: LogResource, tell: TellSpan, *, marks: bool = False) -> Iterator[Part]:
    """What `tell` makes of each span. Raises `Unusable` where the batch as a whole cannot be read."""
    try:
        batch = TracesData.FromString(data)
    except DecodeError as error:
        yield from isolated(data, partial(proto_spans, added=added, tell=tell, marks=marks), SPANS, error=error)
        return
    resources = batch.resource_spans
    marks = marks and may_be_marked(data)
    alone = None if marks or len(resources) != 1 else _alone(resources[0], added)
    if alone is not None:
        try:
            yield tell(_carried(alone, data))
        except Unusable as error:
            yield BadPart(alone.SerializeToString(), place(SPANS, 0, 0, 0), error)
        return
    for i, outer in enumerate(resources):
        resource = outer.resource.SerializeToString() + _lacking(outer.resource, added)
        above = around_of(resource, outer.schema_url.encode())
        for j, group in enumerate(outer.scope_spans):
            beside = around_of(group.scope.SerializeToString(), group.schema_url.encode())
            around, spans = sum(map(len, (*above, *beside))), group.spans
            for k, span in enumerate(spans):
                text = span.SerializeToString()
                try:
                    check_repeated(around, len(spans))
                    mark = mark_of(attributes(span.attributes)) if marks and may_be_marked(text) else None
                    if mark is None:
                        yield tell(_carried(span, batch_of_one(above, beside, text)))
                    else:
                        yield tell(_unmarked(span, mark, (above, beside)))
                except Unusable as error:
                    yield BadPart(text, place(SPANS, i, j, k), error)


def _alone(outer: ResourceSpans, added: LogResource) -> Span | None:
    """The span that stands alone in its batch, which then is its body as it is: nothing is to be put around it."""
    groups = outer.scope_spans
    if len(groups) != 1:
        return None
    spans = groups[0].spans
    return spans[0] if len(spans) == 1 and not _lacking(outer.resource, added) else None


def _carried(span: Span, body: bytes) -> Carried:
    key, start_at, end_at, status = checked(span)
    return Carried(key, start_at, end_at, status, OtlpProtoBody(body))


def _unmarked(span: Span, mark: Mark, around: tuple[Around, Around]) -> Carried:
    """The real span, of one that is marked."""
    told = attributes(span.attributes)
    _, start_at, end_at, status = checked(span)
    for number in reversed(range(len(span.attributes))):
        if span.attributes[number].key in DROPPED[mark]:
            del span.attributes[number]
    span.ClearField("end_time_unix_nano")
    if mark is Mark.PENDING:
        if not any(span.parent_span_id):
            raise no_real_span()
        span.span_id, span.parent_span_id = span.parent_span_id, bytes.fromhex(real_parent(told))
        span.name = span.name.removesuffix(NAME_SUFFIX)
        span.attributes.extend(key_values({SPAN_TYPE: REAL}))
    body = OtlpProtoBody(batch_of_one(*around, span.SerializeToString()))
    return Carried(checked(span)[0], start_at, end_at, status, body, mark)


def _lacking(resource: Resource, added: LogResource) -> bytes:
    """The attributes that only the log's resource has, as fields to be put behind the span's own."""
    if not added.data:
        return b""
    text = resource.SerializeToString()
    return _kept(text, added) if len(text) + len(added.data) <= _MAX_KEPT else _found(text, added)


def _found(text: bytes, added: LogResource) -> bytes:
    names = resource_attributes(text)
    more = {name: value for name, value in added_attributes(added).items() if name not in names}
    return Resource(attributes=key_values(more)).SerializeToString()


_kept = lru_cache(maxsize=1024)(_found)
