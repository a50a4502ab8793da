"""The traffic of real clients: each span comes out once, as its program knew it, whatever it went through."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from finalizer.codecs.foreign import decoder_of
from finalizer.codecs.otlp import encode_json, encode_proto
from finalizer.codecs.verdict import PREFIX
from finalizer.core import lifecycle
from finalizer.core.effects import Emit
from finalizer.core.model import Coordinates, Evidence, Final, Moment, Phase, SpanKey, State
from finalizer.core.terms import HOUR, Terms
from tests.codecs.otlp_making import to_message
from tests.recordings.reading import Event, Link, Record, Recording, Scope, Span, Status, recordings

TERMS = Terms()
FORMATS = {"otlp_logs": "partial_log", "otlp_spans": "otlp_spans"}
RECORDINGS = recordings()
each = pytest.mark.parametrize("recording", RECORDINGS, ids=lambda one: f"{one.program}-{one.way}")


def evidence(records: Sequence[Record]) -> list[Evidence]:
    """All that is told, and nothing that could not be used."""
    found: list[Evidence] = []
    for record in records:
        source = Coordinates(record.topic, record.partition, record.offset, record.timestamp * 1_000_000)
        for part in decoder_of(FORMATS[record.topic])(record.value, source):
            assert isinstance(part, Evidence), part
            found.append(part)
    return found


def finals_of(told: Sequence[Evidence]) -> list[Final]:
    """Every final: of spans that ended, and, long after the last record, of all others."""
    states: dict[SpanKey, State] = {}
    found: list[Final] = []
    for piece in told:
        after, effects = lifecycle.hear(states.get(piece.key), piece, TERMS, Moment(piece.heard_at, piece.heard_at))
        assert after is not None
        states[piece.key] = after
        found += [effect.final for effect in effects if isinstance(effect, Emit)]
    for key, state in states.items():
        if state.phase is Phase.OPEN:
            later = state.heard + 1000 * HOUR
            _, effects = lifecycle.wake(key, state, TERMS, Moment(later, later))
            found += [effect.final for effect in effects if isinstance(effect, Emit)]
    return found


def check(request: ExportTraceServiceRequest, span: Span) -> None:
    """Compare a final with what the program knew of its span."""
    (outer,) = request.resource_spans
    (inner,) = outer.scope_spans
    (told,) = inner.spans
    attributes = values(told.attributes)
    cause = attributes[PREFIX + "cause"]
    assert cause in ({"completed"} if span.ends else {"heartbeat_lost", "timeout"})
    assert (told.trace_id.hex(), told.parent_span_id.hex()) == (span.trace_id, span.parent_span_id)
    assert (told.name, trace_pb2.Span.SpanKind.Name(told.kind)) == (span.name, f"SPAN_KIND_{span.kind.upper()}")
    assert span.trace_state in (None, told.trace_state)
    last = span.end_unix_nano if span.ends else span.last_heard_unix_nano
    assert (told.start_time_unix_nano, told.end_time_unix_nano) == (span.start_unix_nano, last)
    status = Status(("unset", "ok", "error")[told.status.code], told.status.message)
    assert status == (span.status if span.ends or span.status.code != "unset" else Status("error", ""))
    assert [Event(one.time_unix_nano, one.name) for one in told.events] == span.events
    links = [Link(one.trace_id.hex(), one.span_id.hex(), values(one.attributes)) for one in told.links]
    assert links == span.links
    theirs = {name: value for name, value in attributes.items() if not name.startswith((PREFIX, "partial.", "error."))}
    pending = {"logfire.span_type": "span"} if cause == "timeout" else {}
    assert theirs == span.attributes | pending
    assert values(outer.resource.attributes) == span.resource
    assert Scope(inner.scope.name, inner.scope.version, inner.schema_url) == span.scope


def values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as the recordings write them."""
    return {item.key: value(item.value) for item in attributes}


def value(told: AnyValue) -> Any:
    """One value: bytes and numbers that JSON lacks have words of their own."""
    match told.WhichOneof("value"):
        case "double_value":
            number = told.double_value
            return number if math.isfinite(number) else {"double": str(number)}
        case "bytes_value":
            return {"bytes": told.bytes_value.hex()}
        case "array_value":
            return [value(item) for item in told.array_value.values]
        case "kvlist_value":
            return values(told.kvlist_value.values)
        case form:
            return getattr(told, form) if form else None


@each
@pytest.mark.parametrize("seed", range(4))
def test_every_span_comes_out_once_and_is_right(recording: Recording, seed: int) -> None:
    """In the order of the log, and in any other with repeats: as they ended, crashed ones at their last word."""
    chance, records = random.Random(seed), list(recording.records)
    if seed:
        records += chance.sample(records, len(records) // 3)
        chance.shuffle(records)
    expected = {span.span_id: span for span in recording.spans if span.known}
    made = finals_of(evidence(records))
    assert sorted(final.key[16:].hex() for final in made) == sorted(expected)
    for final in made:
        for request in (to_message(encode_json(final)), ExportTraceServiceRequest.FromString(encode_proto(final))):
            check(request, expected[final.key[16:].hex()])


@each
def test_a_span_that_goes_on_unchanged_has_one_body(recording: Recording) -> None:
    """What real clients send in each heartbeat is the same, to the byte, until the span changes."""
    told: dict[SpanKey, list[Evidence]] = {}
    for piece in evidence(recording.records):
        if piece.end is None and piece.body is not None:
            told.setdefault(piece.key, []).append(piece)
    for pieces in told.values():
        described = {repr(piece.body.describe()) for piece in pieces}  # type: ignore[union-attr]
        assert len({piece.body for piece in pieces}) == len(described)
