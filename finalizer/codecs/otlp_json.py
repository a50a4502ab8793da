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
from typing import Final

import msgspec

from finalizer.codecs.around import wrapped
from finalizer.codecs.description import Description, Link, SpanEvent
from finalizer.codecs.values import Attributes, Empty, Value, present
from finalizer.codecs.verdict import PREFIX, Sentence, facts_of, implied, noted, observed, sentence, stated
from finalizer.core import model

MAX_KEPT: Final = 4096
"""Bytes of a resource that is kept rendered; larger ones are rare, and would make the memory it takes unbounded."""
MAX_KEPT_WORD: Final = 256
"""Characters of a span type that is kept rendered, for the same reason."""
_KEPT_NAMES: Final = 4096
_names: Final[dict[str, str]] = {}
_STATUS: Final = ('"status":{}}', '"status":{"code":1}}', '"status":{"code":2}}')
"""The end of a span without a status message, by status code."""

_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}

_TEXTUAL: Final = frozenset((str, bool, int))
"""Types whose values JSON tells apart; a resource with others (bytes, NaN) cannot be kept by its JSON."""
quoted: Final[Callable[[str], str]] = encode_basestring
_plain: Final = msgspec.json.Encoder().encode


def request(final: model.Final, description: Description) -> bytes:
    """An `ExportTraceServiceRequest` of this one span."""
    around, told = description.around, resource(description.resource)
    if around is not None:
        return wrapped(around, told, _attributes(around.scope_attributes), span(final, description)).encode()
    return f"{opening(told, description.scope_name)}{span(final, description)}]}}]}}]}}".encode()


def resource(attributes: Attributes) -> str:
    """A `Resource`."""
    if not _TEXTUAL.issuperset(map(type, attributes.values())):
        return rendered_resource(attributes)
    data = _plain(attributes)
    return _kept_resource(data) if len(data) <= MAX_KEPT else rendered_resource(attributes)


def span(final: model.Final, description: Description) -> str:
    """A `Span`; without times where its start is not known."""
    ids, kind, parent = final.key.hex(), description.span_kind, description.parent_span_id
    parts = [f'{{"traceId":"{ids[:32]}","spanId":"{ids[32:]}"']
    if description.trace_state:
        parts.append(f'"traceState":{quoted(description.trace_state)}')
    if parent:
        parts.append(f'"parentSpanId":"{parent}"')
    parts.append(f'"name":{quoted(description.name or "")}')
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
    parts.append(status_of(final.closed))
    return ",".join(parts)


def status_of(closed: model.Closed) -> str:
    """The end of a `Span`."""
    code, message = closed.status
    return f'"status":{{"message":{quoted(message)},"code":{int(code)}}}}}' if message else _STATUS[code]


def _span_attributes(final: model.Final, description: Description) -> str:
    """`verdict.span_attributes`, rendered: what is stated is the same for very many finals, and is kept."""
    closed = final.closed
    rendered = {}
    for name, value in description.attributes.items():
        if not name.startswith(PREFIX):
            rendered[name] = attribute(name, value)
    told = sentence(final, description)
    inferred = not facts_of(closed.cause).reported
    short = len(description.span_type or "") <= MAX_KEPT_WORD
    if inferred or description.op_id or description.truncated or not short:
        rendered |= (_stated(told) if short else _rendered(stated(told))) | _rendered(noted(description))
    else:
        rendered[PREFIX] = block(told)  # names that share a prefix stand together wherever names are sorted
    if inferred:
        rendered |= _rendered(observed(closed))
    if inferred or description.session_id:
        rendered = _rendered(implied(closed, description)) | rendered
    return f"[{','.join([rendered[name] for name in sorted(rendered)])}]"


@lru_cache(maxsize=1024)
def block(told: Sentence) -> str:
    """What is stated of a span, in the order of names."""
    rendered = _stated(told)
    return ",".join([rendered[name] for name in sorted(rendered)])


@lru_cache(maxsize=1024)
def _stated(told: Sentence) -> dict[str, str]:
    return _rendered(stated(told))


def opening(told: str, scope_name: str) -> str:
    """A request up to its span."""
    scope = f'"scope":{{"name":{quoted(scope_name)}}}'
    return f'{{"resourceSpans":[{{"resource":{told},"scopeSpans":[{{{scope},"spans":['


@lru_cache(maxsize=1024)
def _kept_resource(data: bytes) -> str:
    return rendered_resource(msgspec.json.decode(data))


def rendered_resource(attributes: Attributes) -> str:
    """A `Resource`, which is not kept."""
    return f'{{"attributes":{_attributes(attributes)}}}'


def _event(event: SpanEvent) -> str:
    dropped = f',"droppedAttributesCount":{event.dropped_attributes}' if event.dropped_attributes else ""
    attributes = _attributes(event.attributes)
    return f'{{"timeUnixNano":"{event.at}","name":{quoted(event.name)},"attributes":{attributes}{dropped}}}'


def _link(link: Link) -> str:
    state = f'"traceState":{quoted(link.trace_state)},' if link.trace_state else ""
    more = f',"droppedAttributesCount":{link.dropped_attributes}' if link.dropped_attributes else ""
    if link.flags:
        more += f',"flags":{link.flags}'
    ids = f'"traceId":"{link.trace_id}","spanId":"{link.span_id}"'
    return f'{{{ids},{state}"attributes":{_attributes(link.attributes)}{more}}}'


def _attributes(attributes: Attributes) -> str:
    return f"[{','.join([attribute(name, attributes[name]) for name in sorted(attributes)])}]"


def _rendered(attributes: Attributes) -> dict[str, str]:
    return {name: attribute(name, value) for name, value in attributes.items()}


def attribute(name: str, value: Value) -> str:
    """A `KeyValue`."""
    if isinstance(value, str):  # nearly all are; the rest of this line is the whole budget of an attribute
        return f'{_key_of(name)}{{"stringValue":{quoted(value)}}}}}'
    return f"{_key_of(name)}{_any_value(value)}}}"


def _key_of(name: str) -> str:
    """An attribute up to its value. Names are few, and are kept."""
    known = _names.get(name)
    if known is not None:
        return known
    rendered = f'{{"key":{quoted(name)},"value":'
    if len(_names) < _KEPT_NAMES and len(name) <= MAX_KEPT_WORD:
        _names[name] = rendered
    return rendered


def _any_value(value: Value) -> str:
    if isinstance(value, str):
        return f'{{"stringValue":{quoted(value)}}}'
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
