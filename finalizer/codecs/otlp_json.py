"""A final as OTLP/JSON, strict: lowerCamelCase, hexadecimal ids, integer enums, 64-bit integers as strings.

Text is joined here by hand: it takes a third of the time of building objects and encoding those. Attributes are
sorted by name, so the same final has the same bytes, always.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from functools import lru_cache
from json.encoder import encode_basestring
from math import isfinite
from typing import Any, Final

import msgspec

from finalizer.codecs.around import wrapped
from finalizer.codecs.body import NativeBody
from finalizer.codecs.description import NATIVE_SCOPE, Description, Link, SpanEvent
from finalizer.codecs.ids import parent_id
from finalizer.codecs.native_event import KIND_NUMBERS, NativeDescription, read_description, read_resource
from finalizer.codecs.values import Attributes, Empty, Value, present
from finalizer.codecs.verdict import PREFIX, Sentence, facts_of, implied, noted, observed, sentence, stated
from finalizer.core import model
from finalizer.core.causes import Cause

_MAX_KEPT: Final = 4096
"""Bytes of a resource that is kept rendered; larger ones are rare, and would make the memory it takes unbounded."""
_MAX_KEPT_WORD: Final = 256
"""Characters of a span type that is kept rendered, for the same reason."""
_KEPT_NAMES: Final = 4096
_names: Final[dict[str, str]] = {}
_STATUS: Final = ('"status":{}}', '"status":{"code":1}}', '"status":{"code":2}}')
"""The end of a span without a status message, by status code."""

_KINDS: Final = {word: f',"kind":{number}' if number else "" for word, number in KIND_NUMBERS.items()}
_COMPLETED: Final = Cause.COMPLETED
_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

_TEXTUAL: Final = frozenset((str, bool, int))
"""Types whose values JSON tells apart; a resource with others (bytes, NaN) cannot be kept by its JSON."""
_quoted: Final[Callable[[str], str]] = encode_basestring
_read: Final = read_description
_fields_of: Final[Callable[[NativeDescription[Value]], tuple[Any, ...]]] = msgspec.structs.astuple
_plain: Final = msgspec.json.Encoder().encode


def request(final: model.Final, description: Description) -> bytes:
    """An `ExportTraceServiceRequest` of this one span."""
    around, told = description.around, resource(description.resource)
    if around is not None:
        return wrapped(around, told, _attributes(around.scope_attributes), span(final, description)).encode()
    return f"{_opening(told, description.scope_name)}{span(final, description)}]}}]}}]}}".encode()


def short_request(final: model.Final) -> bytes | None:
    """The same bytes for the span that nearly every span is, in a third of the time; None for any other.

    That is one native record and a reported end, with nothing nested and nothing rare. It goes from the record to
    the final without the `Description` that all others need.
    """
    closed, layers = final.closed, final.layers
    if closed.cause is not _COMPLETED or len(layers) != 1 or layers[0].body.__class__ is not NativeBody:
        return None
    try:
        (
            parent, name, span_type, span_kind, resource, attributes, session_id, op_id, trace_state, links, events
        ) = _fields_of(_read(layers[0].body.data))  # fmt: skip
        rare = op_id or session_id or trace_state or links or events
        if rare or len(resource) > _MAX_KEPT or (span_type and len(span_type) > _MAX_KEPT_WORD):
            return None
        opening: str = _opening_of(bytes(resource))
    except msgspec.ValidationError:
        return None
    unknown, gap = closed.history_unknown, closed.evidence_gap
    stated: str = _block_of(
        (_COMPLETED, closed.reason, closed.revision, final.rule, final.policy, unknown, False, gap, span_type or None)
    )
    rendered: list[str] = []
    if attributes:
        for key in sorted(attributes):
            if stated and key >= PREFIX:
                if key.startswith(PREFIX):
                    return None
                rendered.append(stated)
                stated = ""
            value = attributes[key]
            if value is not None:
                rendered.append(_attribute(key, value))
    if stated:
        rendered.append(stated)
    above = parent_id(parent) if parent else ""
    if above:
        above = f',"parentSpanId":"{above}"'
    ids, start_at, end_at = final.key.hex(), final.start_at, closed.end_at
    assert start_at is not None
    code, message = closed.status
    status = f'"status":{{"message":{_quoted(message)},"code":{int(code)}}}}}' if message else _STATUS[code]
    return (
        f'{opening}{ids[:32]}","spanId":"{ids[32:]}"{above},"name":{_quoted(name or "")}{_KINDS[span_kind]},'
        f'"startTimeUnixNano":"{start_at}","endTimeUnixNano":"{end_at if end_at > start_at else start_at}",'
        f'"attributes":[{",".join(rendered)}],{status}]}}]}}]}}'
    ).encode()


def resource(attributes: Attributes) -> str:
    """A `Resource`."""
    if not _TEXTUAL.issuperset(map(type, attributes.values())):
        return _resource(attributes)
    data = _plain(attributes)
    return _kept_resource(data) if len(data) <= _MAX_KEPT else _resource(attributes)


def span(final: model.Final, description: Description) -> str:
    """A `Span`; without times where its start is not known."""
    ids, kind, parent = final.key.hex(), description.span_kind, description.parent_span_id
    parts = [f'{{"traceId":"{ids[:32]}","spanId":"{ids[32:]}"']
    if description.trace_state:
        parts.append(f'"traceState":{_quoted(description.trace_state)}')
    if parent:
        parts.append(f'"parentSpanId":"{parent}"')
    parts.append(f'"name":{_quoted(description.name or "")}')
    if kind:
        parts.append(f'"kind":{kind}')
    if description.flags:
        parts.append(f'"flags":{description.flags}')
    start_at, end_at = final.start_at, final.closed.end_at
    if start_at is not None:
        parts.append(
            f'"startTimeUnixNano":"{start_at}","endTimeUnixNano":"{end_at if end_at > start_at else start_at}"'
        )
    parts.append(f'"attributes":{_span_attributes(final, description)}')
    if description.dropped_attributes:
        parts.append(f'"droppedAttributesCount":{description.dropped_attributes}')
    if description.events or description.dropped_events:
        parts.append(f'"events":[{",".join(map(_event, description.events))}]')
        parts.append(f'"droppedEventsCount":{description.dropped_events}')
    if description.links or description.dropped_links:
        parts.append(f'"links":[{",".join(map(_link, description.links))}]')
        parts.append(f'"droppedLinksCount":{description.dropped_links}')
    code, message = final.closed.status
    parts.append(f'"status":{{"message":{_quoted(message)},"code":{int(code)}}}}}' if message else _STATUS[code])
    return ",".join(parts)


def _span_attributes(final: model.Final, description: Description) -> str:
    """`verdict.span_attributes`, rendered: what is stated is the same for very many finals, and is kept."""
    closed = final.closed
    rendered = {}
    for name, value in description.attributes.items():
        if not name.startswith(PREFIX):
            rendered[name] = _attribute(name, value)
    told = sentence(final, description)
    inferred = not facts_of(closed.cause).reported
    short = len(description.span_type or "") <= _MAX_KEPT_WORD
    if inferred or description.op_id or description.truncated or not short:
        rendered |= (_stated(told) if short else _rendered(stated(told))) | _rendered(noted(description))
    else:
        rendered[PREFIX] = _block(told)  # names that share a prefix stand together wherever names are sorted
    if inferred:
        rendered |= _rendered(observed(closed))
    if inferred or description.session_id:
        rendered = _rendered(implied(closed, description)) | rendered
    return f"[{','.join([rendered[name] for name in sorted(rendered)])}]"


@lru_cache(maxsize=1024)
def _block(told: Sentence) -> str:
    rendered = _stated(told)
    return ",".join([rendered[name] for name in sorted(rendered)])


@lru_cache(maxsize=1024)
def _stated(told: Sentence) -> dict[str, str]:
    return _rendered(stated(told))


_block_of: Final = _block


def _opening(rendered_resource: str, scope_name: str) -> str:
    """A request up to its span."""
    scope = f'"scope":{{"name":{_quoted(scope_name)}}}'
    return f'{{"resourceSpans":[{{"resource":{rendered_resource},"scopeSpans":[{{{scope},"spans":['


@lru_cache(maxsize=1024)
def _kept_opening(data: bytes) -> str:
    """A request up to its span's trace id, by the resource in a native record."""
    attributes = present(read_resource(data)) if data else {}
    return _opening(_resource(attributes), NATIVE_SCOPE) + '{"traceId":"'


_opening_of: Final = _kept_opening


@lru_cache(maxsize=1024)
def _kept_resource(data: bytes) -> str:
    return _resource(msgspec.json.decode(data))


def _resource(attributes: Attributes) -> str:
    return f'{{"attributes":{_attributes(attributes)}}}'


def _event(event: SpanEvent) -> str:
    dropped = f',"droppedAttributesCount":{event.dropped_attributes}' if event.dropped_attributes else ""
    attributes = _attributes(event.attributes)
    return f'{{"timeUnixNano":"{event.at}","name":{_quoted(event.name)},"attributes":{attributes}{dropped}}}'


def _link(link: Link) -> str:
    state = f'"traceState":{_quoted(link.trace_state)},' if link.trace_state else ""
    more = f',"droppedAttributesCount":{link.dropped_attributes}' if link.dropped_attributes else ""
    if link.flags:
        more += f',"flags":{link.flags}'
    ids = f'"traceId":"{link.trace_id}","spanId":"{link.span_id}"'
    return f'{{{ids},{state}"attributes":{_attributes(link.attributes)}{more}}}'


def _attributes(attributes: Attributes) -> str:
    return f"[{','.join([_attribute(name, attributes[name]) for name in sorted(attributes)])}]"


def _rendered(attributes: Attributes) -> dict[str, str]:
    return {name: _attribute(name, value) for name, value in attributes.items()}


def _attribute(name: str, value: Value) -> str:
    if isinstance(value, str):  # nearly all are; the rest of this line is the whole budget of an attribute
        return f'{_key_of(name)}{{"stringValue":{_quoted(value)}}}}}'
    return f"{_key_of(name)}{_any_value(value)}}}"


def _key_of(name: str) -> str:
    """An attribute up to its value. Names are few, and are kept."""
    known = _names.get(name)
    if known is not None:
        return known
    rendered = f'{{"key":{_quoted(name)},"value":'
    if len(_names) < _KEPT_NAMES and len(name) <= _MAX_KEPT_WORD:
        _names[name] = rendered
    return rendered


def _any_value(value: Value) -> str:
    if isinstance(value, str):
        return f'{{"stringValue":{_quoted(value)}}}'
    if isinstance(value, bool):
        return '{"boolValue":true}' if value else '{"boolValue":false}'
    if isinstance(value, int):
        return f'{{"intValue":"{value}"}}'
    if isinstance(value, float):
        return f'{{"doubleValue":{value!r}}}' if isfinite(value) else f'{{"doubleValue":"{_NOT_FINITE[repr(value)]}"}}'
    if isinstance(value, bytes):
        return f'{{"bytesValue":"{b2a_base64(value, newline=False).decode()}"}}'
    if isinstance(value, list):
        return f'{{"arrayValue":{{"values":[{",".join(map(_any_value, value))}]}}}}'
    if value is None or isinstance(value, Empty):
        return "{}"
    return f'{{"kvlistValue":{{"values":{_attributes(present(value))}}}}}'
