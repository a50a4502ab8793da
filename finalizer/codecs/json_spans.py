"""A `TracesData` in JSON to its spans, each with a body that stands for itself.

A body is the span's own bytes with those of its resource and scope around them. The resource of the log that a partial
span came in is merged into the span's own, which wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from finalizer.codecs import otlp_json
from finalizer.codecs.carried import Carried, LogResource, TellSpan
from finalizer.codecs.errors import Unusable
from finalizer.codecs.json_batch import span_groups
from finalizer.codecs.json_shapes import JsonResource, JsonSpan, read_resource, read_scope, read_span, read_traces
from finalizer.codecs.json_span import attributes, checked
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
from finalizer.codecs.otlp_body import OtlpJsonBody
from finalizer.codecs.otlp_ids import parent_of_text
from finalizer.codecs.parts import SPANS, BadPart, Part, place
from finalizer.codecs.refusal import check_otlp_depth, check_repeated, refusal
from finalizer.codecs.values import Attributes

_MAX_KEPT: Final = 4096
"""Bytes of what stands around a span that is kept; larger ones are rare, and would make what they take unbounded."""
_plain = msgspec.json.Encoder().encode


class _Frame(NamedTuple):
    """What stands before and behind a span in its body."""

    before: bytes
    after: bytes


def json_body(data: bytes, added: LogResource, tell: TellSpan) -> Iterable[Part]:
    """The same as `json_spans`, for the body of a log: nearly always one span, which then is its own body as it is."""
    try:
        alone = read_traces(data).alone()
        if alone is not None and not _lacking(alone[0].resource, added):
            check_otlp_depth(data)
            key, start_at, end_at, status = checked(alone[2])
            return (tell(Carried(key, start_at, end_at, status, OtlpJsonBody(data))),)
    except (ValueError, RecursionError):
        return json_spans(data, added, tell)  # it knows which part is wrong
    return json_spans(data, added, tell)


def json_spans(data: bytes, added: LogResource, tell: TellSpan, *, marks: bool = False) -> Iterator[Part]:
    """What `tell` makes of each span. Raises `Unusable` where the batch as a whole cannot be read."""
    for (i, j), resource, resource_url, scope, scope_url, items in span_groups(data):
        around = len(resource) + len(resource_url) + len(scope) + len(scope_url) + len(added.data)
        framed = _kept_frame if around <= _MAX_KEPT else _frame
        frame: _Frame | Unusable
        try:
            check_repeated(around, len(items))
            frame = framed(resource, resource_url, scope, scope_url, added)
        except Unusable as error:
            frame = error
        for k, raw in enumerate(items):
            text = bytes(raw)
            try:
                if isinstance(frame, Unusable):
                    raise frame
                yield tell(_carried(text, frame, marks=marks and may_be_marked(text)))
            except (ValueError, RecursionError) as error:
                yield BadPart(text, place(SPANS, i, j, k), refusal(error))


def _carried(text: bytes, frame: _Frame, *, marks: bool) -> Carried:
    span = read_span(text)
    check_otlp_depth(text)
    key, start_at, end_at, status = checked(span)
    mark = mark_of(attributes(span.attributes)) if marks else None
    if mark is not None:
        text = _unmarked(text, span, mark)
        key = checked(read_span(text))[0]
    return Carried(key, start_at, end_at, status, OtlpJsonBody(frame.before + text + frame.after), mark)


def _unmarked(text: bytes, span: JsonSpan, mark: Mark) -> bytes:
    """The real span, of one that is marked."""
    whole: dict[str, Any] = msgspec.json.decode(text)
    kept = [item for item in whole["attributes"] if item.get("key") not in DROPPED[mark]]
    gone = {"endTimeUnixNano", "end_time_unix_nano"}
    if mark is Mark.PENDING:
        real = parent_of_text(span.parent or span.parent_)
        if not real:
            raise no_real_span()
        gone |= {"span_id", "parent_span_id"}
        whole["spanId"], whole["parentSpanId"] = real, real_parent(attributes(span.attributes))
        whole["name"] = (span.name or "").removesuffix(NAME_SUFFIX)
        kept.append({"key": SPAN_TYPE, "value": {"stringValue": REAL}})
    whole["attributes"] = kept
    return _plain({name: value for name, value in whole.items() if name not in gone})


def _frame(resource: bytes, resource_url: str, scope: bytes, scope_url: str, added: LogResource) -> _Frame:
    """Raises `Unusable` for a resource or a scope that cannot be described."""
    try:
        check_otlp_depth(resource)
        check_otlp_depth(scope)
        if scope:
            read_scope(scope)
        resource = _merged(resource, added)
    except (ValueError, RecursionError) as error:
        wrong = refusal(error)
        raise Unusable(wrong.reason, f"in its resource or scope: {wrong.detail}") from error
    before = b'{"resourceSpans":[{"resource":%b,"scopeSpans":[{"scope":%b,"spans":[' % (resource, scope or b"{}")
    return _Frame(before, b"]%b}]%b}]}" % (_schema(scope_url), _schema(resource_url)))


_kept_frame = lru_cache(maxsize=1024)(_frame)


def _merged(resource: bytes, added: LogResource) -> bytes:
    """The span's resource with what only the log's has, in the span's words."""
    more = _lacking(read_resource(resource) if resource else None, added)
    if not more:
        return resource or b"{}"
    whole: dict[str, Any] = (msgspec.json.decode(resource) if resource else None) or {}
    rendered = msgspec.json.decode(otlp_json.resource(more))["attributes"]
    return _plain({**whole, "attributes": [*(whole.get("attributes") or ()), *rendered]})


def _lacking(resource: JsonResource | None, added: LogResource) -> Attributes:
    """What only the log's resource has."""
    more = added_attributes(added)
    if not more:
        return more
    names = {item.key for item in resource.attributes or ()} if resource else set()
    return {name: value for name, value in more.items() if name not in names}


def _schema(url: str) -> bytes:
    return b',"schemaUrl":' + _plain(url) if url else b""
