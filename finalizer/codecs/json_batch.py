"""A batch of OTLP/JSON, cut into its spans or logs without reading them: groups of raw items, each with its place.

What one broken item holds (a number that is none, half a surrogate, nesting without end) may keep a parser from
reading the batch at all. Then it is cut by its brackets alone, so that the neighbours of that item are used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import msgspec
from msgspec import Raw, field

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.json_shapes import NO_RAW
from finalizer.codecs.parts import LOGS, SPANS, Names
from finalizer.codecs.refusal import refusal

Group = tuple[tuple[int, int], bytes, str, bytes, str, Sequence[Raw]]
"""The items of one resource and scope, all as they stand in the record: the numbers of both, the resource and its
schema URL, the scope and its schema URL, the items."""


class _Spans(msgspec.Struct, gc=False):
    scope: Raw = NO_RAW
    items: list[Raw] | None = field(name="spans", default=None)
    items_: ClassVar[None] = None
    schema_url: str | None = field(name="schemaUrl", default=None)
    schema_url_: str | None = field(name="schema_url", default=None)


class _ResourceSpans(msgspec.Struct, gc=False):
    resource: Raw = NO_RAW
    groups: list[_Spans] | None = field(name="scopeSpans", default=None)
    groups_: list[_Spans] | None = field(name="scope_spans", default=None)
    schema_url: str | None = field(name="schemaUrl", default=None)
    schema_url_: str | None = field(name="schema_url", default=None)


class _Traces(msgspec.Struct, gc=False):
    resources: list[_ResourceSpans] | None = field(name="resourceSpans", default=None)
    resources_: list[_ResourceSpans] | None = field(name="resource_spans", default=None)


class _Logs(msgspec.Struct, gc=False):
    scope: Raw = NO_RAW
    items: list[Raw] | None = field(name="logRecords", default=None)
    items_: list[Raw] | None = field(name="log_records", default=None)
    schema_url: str | None = field(name="schemaUrl", default=None)
    schema_url_: str | None = field(name="schema_url", default=None)


class _ResourceLogs(msgspec.Struct, gc=False):
    resource: Raw = NO_RAW
    groups: list[_Logs] | None = field(name="scopeLogs", default=None)
    groups_: list[_Logs] | None = field(name="scope_logs", default=None)
    schema_url: str | None = field(name="schemaUrl", default=None)
    schema_url_: str | None = field(name="schema_url", default=None)


class _AllLogs(msgspec.Struct, gc=False):
    resources: list[_ResourceLogs] | None = field(name="resourceLogs", default=None)
    resources_: list[_ResourceLogs] | None = field(name="resource_logs", default=None)


class _Kind(NamedTuple):
    """How a batch of one kind is read, and the names on the way to its items."""

    read: Callable[[bytes], Any]
    names: Names


_TRACES: Final = _Kind(msgspec.json.Decoder(_Traces).decode, SPANS)
_LOGS: Final = _Kind(msgspec.json.Decoder(_AllLogs).decode, LOGS)
TOKEN: Final = re.compile(rb'"((?:[^"\\]|\\.)*+)("?)(\s*+:)?|([\[{])|([\]}])', re.DOTALL)
"""Of JSON: (text, its closing quote, the colon after it), an opening or a closing bracket."""
_ITEM_DEPTH: Final = 6
"""An item stands in three arrays, each in an object."""


def span_groups(data: bytes) -> Iterator[Group]:
    """The spans of a `TracesData`. Raises `Unusable` where the batch as a whole cannot be read."""
    return _groups(data, _TRACES)


def log_groups(data: bytes) -> Iterator[Group]:
    """The logs of a `LogsData`. Raises `Unusable` where the batch as a whole cannot be read."""
    return _groups(data, _LOGS)


def _groups(data: bytes, kind: _Kind) -> Iterator[Group]:
    cuts: list[Raw] = []
    try:
        batch = kind.read(data)
    except (ValueError, RecursionError) as error:
        frame = _cut(data, kind.names, cuts, error)
        try:
            batch = kind.read(frame)
        except (ValueError, RecursionError) as still:
            raise refusal(still) from error
    resources = batch.resources or batch.resources_
    if resources is None:
        raise Unusable(Reason.MISSING_FIELD, f"there is no {kind.names[0]}")
    for i, one in enumerate(resources):
        for j, group in enumerate(one.groups or one.groups_ or ()):
            items = group.items or group.items_ or ()
            yield (
                (i, j),
                bytes(one.resource),
                one.schema_url or one.schema_url_ or "",
                bytes(group.scope),
                group.schema_url or group.schema_url_ or "",
                items if not cuts else [_uncut(item, cuts) for item in items],
            )


def _uncut(item: Raw, cuts: Sequence[Raw]) -> Raw:
    text = bytes(item)
    return cuts[int(text[1:-1])] if text[:1] == b"[" else item


def _cut(data: bytes, names: Sequence[str], cuts: list[Raw], error: ValueError | RecursionError) -> bytes:
    """The batch with `[n]` in the place of its nth item, which goes to `cuts`. Raises `Unusable` if it is cut off."""
    allowed = [{name.encode(), _snake(name).encode()} for name in names]
    kept: list[bytes] = []
    depth = on_path = began = done = 0
    key = b""
    for token in TOKEN.finditer(data):
        text, quote, colon, opened, _ = token.groups()
        if text is not None:
            if not quote:  # text without an end: what follows would be looked at again and again
                raise refusal(error)
            if colon and depth == on_path:
                key = text
        elif opened:
            depth += 1
            if depth == on_path + 1 <= _ITEM_DEPTH:
                fits = opened == b"{" if depth % 2 else opened == b"[" and key in allowed[depth // 2 - 1]
                on_path += fits
            elif on_path == _ITEM_DEPTH and depth == _ITEM_DEPTH + 1:
                began = token.start()
        else:
            depth -= 1
            if on_path == _ITEM_DEPTH == depth:
                kept += (data[done:began], b"[%d]" % len(cuts))
                cuts.append(Raw(data[began : token.end()]))
                done = token.end()
            on_path = min(on_path, depth)
            if depth < 0:
                raise refusal(error)
    if depth:
        raise refusal(error)
    return b"".join([*kept, data[done:]])


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), name)
