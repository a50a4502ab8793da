"""The traffic of real clients: each span comes out once, as its program knew it, whatever it went through."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from finalizer.codecs.foreign import decoder_of
from finalizer.codecs.otlp import encode_json, encode_proto
from finalizer.core import lifecycle
from finalizer.core.effects import Emit
from finalizer.core.model import Coordinates, Evidence, Final, Moment, Phase, SpanKey
from finalizer.core.state import State
from finalizer.core.terms import HOUR, Terms
from tests.codecs.otlp_making import to_message
from tests.recordings.judging import check
from tests.recordings.reading import Record, Recording, recordings

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
            (outer,) = request.resource_spans
            (inner,) = outer.scope_spans
            (told,) = inner.spans
            check(told, inner, outer, expected[final.key[16:].hex()])


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


@pytest.mark.parametrize("program", sorted({one.program for one in RECORDINGS}))
def test_a_final_does_not_show_how_it_came(program: str) -> None:
    """Encoding, batches and keys on the way to us leave no mark: the same bytes, but for the deadline, which is the
    broker's time."""
    ways = [finals_of(evidence(one.records)) for one in RECORDINGS if one.program == program]
    first, *others = [{final.key: timeless(encode_json(final)) for final in made} for made in ways]
    assert others
    assert all(made == first for made in others)


def timeless(value: bytes) -> bytes:
    """A final without its deadline."""
    return re.sub(rb'"span_finalizer.deadline_unix_nano","value":\{"intValue":"\d+"\}', b"", value)
