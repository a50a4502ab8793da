"""What a client says in OTLP comes out as it went in, whichever encoding it came in and goes out in."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import EntityRef
from opentelemetry.proto.trace.v1.trace_pb2 import Span, TracesData

from finalizer.codecs.description import describe
from finalizer.codecs.fitting import LEAST_LIMIT
from finalizer.codecs.otlp import encode_json, encode_proto
from finalizer.core.model import Evidence, Final
from tests.codecs.otlp_making import (
    base64_json,
    dotnet_json,
    ended,
    full,
    key_values,
    python_json,
    strict_json,
    theirs,
    to_message,
    traces,
)
from tests.codecs.spans import SPAN, T0, TRACE
from tests.codecs.telling import only, reported, spans

ENTITIES = [
    EntityRef(type="service", id_keys=["service.name"], description_keys=["service.version"], schema_url="https://x/1"),
    EntityRef(type="host", id_keys=["host.id", "host.ü"]),
]
AROUND: dict[str, Any] = {
    "entities": ENTITIES,
    "version": "1.2",
    "scope_attributes": {"s": ["x"], "b": b"\x01"},
    "scope_dropped": 7,
    "scope_url": "https://opentelemetry.io/schemas/1.21.0",
    "resource_url": "https://opentelemetry.io/schemas/1.22.0",
    "resource_dropped": 8,
}


def _proto(batch: TracesData) -> bytes:
    return batch.SerializeToString()


DIALECTS: list[Callable[[TracesData], bytes]] = [_proto, strict_json, python_json, base64_json, dotnet_json]
READERS = [
    pytest.param(encode_json, to_message, id="to-json"),
    pytest.param(encode_proto, ExportTraceServiceRequest.FromString, id="to-proto"),
]
int64 = st.integers(-(2**63), 2**63 - 1)
count = st.integers(0, 2**32 - 1)
text = st.text(st.characters(codec="utf-8"), max_size=12)
scalars = (
    text | int64 | st.booleans() | st.floats(allow_nan=False) | st.just(math.nan) | st.binary(max_size=9) | st.none()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
attributes = st.dictionaries(text, values, max_size=5).filter(
    lambda made: not any(k.startswith("span_f") for k in made)
)
moments = st.integers(T0, T0 + 5) | st.integers(0, 2**63 - 1)
trace_states = st.just("") | st.from_regex(r"[a-z][a-z0-9*/_-]{0,5}=[!-+]{1,5}(,t0@v=[a-z]{1,3})?", fullmatch=True)
events = st.builds(
    lambda at, name, told, dropped: Span.Event(
        time_unix_nano=at, name=name, attributes=key_values(told), dropped_attributes_count=dropped
    ),
    moments,
    text,
    attributes,
    count,
)
links = st.builds(
    lambda trace_id, span_id, state, told, dropped, flags: Span.Link(
        trace_id=trace_id,
        span_id=span_id,
        trace_state=state,
        attributes=key_values(told),
        dropped_attributes_count=dropped,
        flags=flags,
    ),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=8, max_size=8),
    trace_states,
    attributes,
    count,
    count,
)

names = st.lists(text, max_size=2)
entities = st.builds(
    lambda word, ids, described, url: EntityRef(type=word, id_keys=ids, description_keys=described, schema_url=url),
    text,
    names,
    names,
    text,
)


@st.composite
def batches(draw: st.DrawFn) -> TracesData:
    """A batch of one ended span that has anything."""
    one = ended(
        name=draw(text),
        kind=draw(st.integers(0, 5)),
        attributes=draw(attributes),
        parent_span_id=draw(st.sampled_from([b"", b"\x07" * 8])),
        trace_state=draw(trace_states),
        flags=draw(count),
        dropped_attributes_count=draw(count),
        events=draw(st.lists(events, max_size=3)),
        dropped_events_count=draw(count),
        links=draw(st.lists(links, max_size=3)),
        dropped_links_count=draw(count),
        status={"code": draw(st.integers(0, 2)), "message": ""},
    )
    return traces(
        one,
        resource=draw(attributes),
        scope=draw(text),
        version=draw(text),
        scope_attributes=draw(attributes),
        scope_dropped=draw(count),
        scope_url=draw(text),
        resource_url=draw(text),
        resource_dropped=draw(count),
        entities=draw(st.lists(entities, max_size=2)),
    )


def final_of(record: bytes) -> Final:
    """The final of the one finished span in a record."""
    return reported(only(spans(record)))


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(("encode", "read"), READERS)
def test_all_that_a_span_can_have_survives(dialect: Any, encode: Any, read: Any) -> None:
    """Events, links, scope, entities, schema URLs, trace state, flags, counts, lists, maps, bytes: in every dialect."""
    batch = traces(full(), **AROUND)
    assert theirs(read(encode(final_of(dialect(batch))))) == theirs(batch)


@settings(max_examples=120)
@given(batches(), st.sampled_from([_proto, strict_json, base64_json]))
def test_any_span_survives(batch: TracesData, dialect: Any) -> None:
    """Whatever it says, in either encoding in and out; deterministically serialized, so that NaN is compared, too."""
    final = final_of(dialect(batch))
    for encode, read in ((encode_json, to_message), (encode_proto, ExportTraceServiceRequest.FromString)):
        made = theirs(read(encode(final)))
        assert made.SerializeToString(deterministic=True) == theirs(batch).SerializeToString(deterministic=True)


@settings(max_examples=60)
@given(batches())
def test_a_final_read_again_is_the_same_span(batch: TracesData) -> None:
    """Decode, encode, decode: a final of ours is input like any other, and says the same, to the byte."""
    first = final_of(_proto(batch))
    for encode in (encode_json, encode_proto):
        again = final_of(encode(first))
        assert encode(again) == encode(first)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, -0.0, 1e308, 5e-324])
def test_numbers_that_json_has_no_word_for_survive(number: float) -> None:
    """NaN and the infinities are text in OTLP/JSON; a collector reads them so."""
    batch = traces(ended(attributes={"n": number}), resource={"n": number})
    for record in (_proto(batch), strict_json(batch)):
        final = final_of(record)
        for told in (to_message(encode_json(final)), ExportTraceServiceRequest.FromString(encode_proto(final))):
            outer = told.resource_spans[0]
            (at_span,) = [a for a in outer.scope_spans[0].spans[0].attributes if a.key == "n"]
            found = (at_span.value.double_value, outer.resource.attributes[0].value.double_value)
            assert repr(found) == repr((number, number))


def test_events_keep_their_order() -> None:
    """The client's order is kept, though it is not that of time; links, too."""
    batch = traces(full())
    told = theirs(to_message(encode_json(final_of(_proto(batch)))))
    assert [event.name for event in told.resource_spans[0].scope_spans[0].spans[0].events] == ["e", "earlier"]


@pytest.mark.parametrize("encode", [encode_json, encode_proto])
def test_what_is_too_large_is_cut_with_all_that_stands_around_it(encode: Any) -> None:
    """Scope attributes go like others, the largest first; names and URLs are cut last. Counts stay within 32 bits."""
    long = "x" * 200_000
    batch = traces(
        ended(attributes={"a": 1}, dropped_attributes_count=2**32 - 1),
        scope=long,
        version=long,
        scope_attributes={"s": long, "t": 1},
        scope_url=long,
        resource_url=long,
    )
    final = final_of(_proto(batch))
    read = to_message if encode is encode_json else ExportTraceServiceRequest.FromString
    spared = read(encode(final, max_bytes=900_000)).resource_spans[0].scope_spans[0]
    assert [item.key for item in spared.scope.attributes] == ["t"]
    assert (spared.scope.dropped_attributes_count, spared.scope.name) == (1, long)
    cut = read(encode(final, max_bytes=LEAST_LIMIT)).resource_spans[0]
    assert (cut.schema_url, cut.scope_spans[0].scope.name) == ("", long[:128])
    assert cut.scope_spans[0].spans[0].dropped_attributes_count == 2**32 - 1


@pytest.mark.parametrize("encode", [encode_json, encode_proto])
def test_an_entity_is_not_named_by_attributes_that_were_cut(encode: Any) -> None:
    """An entity goes with any attribute of its own, and by itself where it is large; the others stay."""
    long = "x" * 900_000
    refs = [*ENTITIES, EntityRef(type="os", id_keys=[long])]
    batch = traces(ended(), resource={"service.name": "app", "host.id": long}, entities=refs)
    read = to_message if encode is encode_json else ExportTraceServiceRequest.FromString
    cut = read(encode(final_of(_proto(batch)), max_bytes=LEAST_LIMIT)).resource_spans[0].resource
    assert list(cut.entity_refs) == ENTITIES[:1]
    assert [item.key for item in cut.attributes] == ["service.name"]


def evidence_of(batch: TracesData, dialect: Any) -> Evidence:
    """The evidence in a batch of one span."""
    return only(spans(dialect(batch)))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_rules_see_the_same_subject(dialect: Any) -> None:
    """Name, kind, resource and attributes that rules look at do not depend on how the span came."""
    subject = evidence_of(traces(full(), resource={"service.name": "app", "n": 1}), dialect).subject
    assert subject is not None
    assert (subject.name, subject.kind, subject.span_type) == ("upload", "client", None)
    assert subject.resource == {"service.name": "app", "n": 1}
    assert subject.attributes is not None
    assert (subject.attributes["number"], subject.attributes["yes"]) == (-5, True)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_ids_and_times_are_the_same_in_every_dialect(dialect: Any) -> None:
    """Key, start, end and status, whether ids are hexadecimal or base64, and enums names or numbers."""
    evidence = evidence_of(traces(full()), dialect)
    assert evidence.key.hex() == TRACE + SPAN
    assert (evidence.start_at, evidence.at) == (T0, T0 + 9_000_000_000)
    assert evidence.end is not None
    assert evidence.end.status == (2, "disk full")


LONGEST = ",".join(f"k{n}=v" for n in range(32))
GOOD_STATES = ["a=b", "ot=th:8;rv:1, 1a@sys= x,,\tk=v ", "a" * 256 + "=" + "v" * 256, LONGEST]
BAD_STATES = ["Ok", "Error", "=", "a=", "A=b", "a=b=c", "1a=b", "a=b,c", "a=ü", "a=b\n", "a" * 257 + "=b"]


@pytest.mark.parametrize("state", [*GOOD_STATES, *BAD_STATES, f"{LONGEST},a=b"])
@pytest.mark.parametrize("dialect", [_proto, strict_json])
def test_a_trace_state_that_is_none_is_left_out(dialect: Any, state: str) -> None:
    """What W3C's grammar does not know would have a collector's sampler drop the span; all else comes out unchanged."""
    link = Span.Link(trace_id=b"L" * 16, span_id=b"l" * 8, trace_state=state)
    final = final_of(dialect(traces(ended(trace_state=state, links=[link]))))
    expected = state if state in GOOD_STATES else ""
    for told in (to_message(encode_json(final)), ExportTraceServiceRequest.FromString(encode_proto(final))):
        one = told.resource_spans[0].scope_spans[0].spans[0]
        assert (one.trace_state, one.links[0].trace_state) == (expected, expected)


@pytest.mark.parametrize("parent", ["", "0" * 16, None])
def test_a_root_has_no_parent(parent: str | None) -> None:
    """An empty, all-zero or missing parent is none."""
    record = strict_json(traces(ended())).replace(
        b'"traceId"', b'"parentSpanId": %s, "traceId"' % (b"null" if parent is None else b'"%b"' % parent.encode())
    )
    assert b"parentSpanId" not in encode_json(final_of(record))
    assert describe(final_of(_proto(traces(ended(parent_span_id=b"\0" * 8)))).layers).parent_span_id == ""
