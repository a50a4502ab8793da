"""Whatever bytes come, in whichever encoding: evidence, a bad part or a reason; never another exception."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from finalizer.codecs import otlp_spans, partial_log, zipkin
from finalizer.codecs.description import describe
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.otlp import encode_json, encode_proto
from finalizer.codecs.parts import BadPart, DecodeBatch
from finalizer.codecs.refusal import MAX_OTLP_DEPTH
from finalizer.core.model import Evidence, Kind, Layer
from tests.codecs.otlp_making import (
    SOURCE,
    dotnet_json,
    ended,
    full,
    json_log,
    log,
    logs,
    proto_log,
    python_json,
    span,
    strict_json,
    to_message,
    traces,
)
from tests.codecs.spans import KEY, T0
from tests.codecs.telling import bad, partial, reported, spans
from tests.codecs.test_native_hostile import said


def _proto(message: Message) -> bytes:
    return message.SerializeToString()


BATCH = traces(full(), ended(span_id=b"2" * 8))
LOGS = logs(json_log(BATCH), proto_log(BATCH, event="stop"), log(None), resource={"r": "s"})
FEW_LOGS = logs(json_log(traces(span())), log(None))
ZIPKIN = json.dumps([{"traceId": "1", "id": "2" * 16, "timestamp": T0 // 1000, "tags": {"a": "b"}}] * 2).encode()
RECORDS: list[tuple[DecodeBatch, bytes]] = [
    (otlp_spans.decode, _proto(BATCH)),
    (otlp_spans.decode, strict_json(BATCH)),
    (otlp_spans.decode, dotnet_json(BATCH)),
    (partial_log.decode, _proto(LOGS)),
    (partial_log.decode, strict_json(LOGS)),
    (partial_log.decode, python_json(LOGS)),
    (zipkin.decode, ZIPKIN),
]
IDS = ["spans-proto", "spans-json", "spans-dotnet", "logs-proto", "logs-json", "logs-python", "zipkin"]
SHORT = [*RECORDS[:3], (partial_log.decode, _proto(FEW_LOGS)), (partial_log.decode, strict_json(FEW_LOGS)), RECORDS[-1]]
whole = pytest.mark.parametrize(("decode", "record"), RECORDS, ids=IDS)


def outcome(decode: DecodeBatch, value: bytes) -> Reason | None:
    """None where something in the record is used, and can be described and written; else why not."""
    try:
        parts = decode(value, SOURCE)
    except Unusable as error:
        return said(error)
    assert parts
    reasons = [said(part.error) for part in parts if isinstance(part, BadPart)]
    for part in parts:
        if isinstance(part, Evidence):
            usable(part)
        else:
            assert part.where
    return reasons[0] if len(reasons) == len(parts) else None


def usable(evidence: Evidence) -> None:
    """It can be described, and its final be written in both encodings."""
    if evidence.body is not None:
        describe((Layer(evidence.at, evidence.seq, evidence.body),))
    if evidence.kind is Kind.END and evidence.start_at is not None:
        final = reported(evidence)
        to_message(encode_json(final))
        encode_proto(final)


@pytest.mark.parametrize(("decode", "record"), SHORT)
def test_a_record_cut_off_anywhere_is_refused_or_read_up_to_there(decode: DecodeBatch, record: bytes) -> None:
    """JSON cut off is malformed; protobuf may end between two batches, and then says what it says."""
    assert outcome(decode, record) is None
    for length in range(1, len(record)):
        reason = outcome(decode, record[:length])
        assert reason is not None or record[:1] == b"\x0a"
        if record[:1] != b"\x0a":
            assert reason is Reason.MALFORMED


@whole
@settings(max_examples=150)
@given(chance=st.randoms(use_true_random=False))
def test_a_damaged_record_is_used_or_refused(decode: DecodeBatch, record: bytes, chance: random.Random) -> None:
    """Bytes changed, lost or doubled anywhere."""
    damaged = bytearray(record)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(damaged))
        match chance.randrange(3):
            case 0:
                damaged[place] = (
                    chance.choice(b'"{}[]:,\\0 \xff\x00\x0ae-') if chance.random() < 0.5 else chance.randrange(256)
                )
            case 1:
                del damaged[place : place + chance.randint(1, 8)]
            case _:
                damaged[place:place] = damaged[place : place + chance.randint(1, 30)]
    outcome(decode, bytes(damaged))


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x0a", b"{", b"\n{", b'{"resourceSpans":[', b"["]))
def test_random_bytes_have_a_reason(value: bytes, begin: bytes) -> None:
    """None of the decoders raises anything but `Unusable`."""
    for decode in (otlp_spans.decode, partial_log.decode, zipkin.decode):
        if begin + value:
            outcome(decode, begin + value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("_dd.partial_version"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


def _with(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = _with(value[path[0]], path[1:], new)
    return changed


@settings(max_examples=400)
@given(st.data(), st.sampled_from([record for record in RECORDS if record[1][:1] in b"{["]), json_values)
def test_any_value_in_any_place_is_used_or_refused(
    data: st.DataObject, record: tuple[DecodeBatch, bytes], value: object
) -> None:
    """Wrong types, huge integers, NaN: wherever they stand."""
    decode, text = record
    made = json.loads(text)
    place = data.draw(st.sampled_from(_places(made)))
    outcome(decode, json.dumps(_with(made, place, value)).encode())


def deep(depth: int, opened: bytes, closed: bytes) -> bytes:
    """Brackets inside each other."""
    return opened * depth + b"1" + closed * depth


@pytest.mark.parametrize("place", [b'"name": "upload"', b'"/v1/photos"', b'"flags": 1'])
@pytest.mark.parametrize("opened", [(b"[", b"]"), (b'{"x":', b"}"), (b'{"arrayValue":{"values":[', b"]}}")])
@pytest.mark.parametrize("depth", [MAX_OTLP_DEPTH, 400, 990, 100_000])
def test_a_span_without_end_of_nesting_costs_its_neighbours_nothing(
    place: bytes, opened: tuple[bytes, bytes], depth: int
) -> None:
    """In a field we read or in one we do not; however deep, it is one bad part, and its bytes are its own."""
    batch = strict_json(traces(ended(flags=1), ended(span_id=b"2" * 8)))
    record = batch.replace(place, b'"x": ' + deep(depth, *opened) + b", " + place, 1)
    if place == b'"/v1/photos"':
        record = batch.replace(b'{"stringValue": %b}' % place, deep(depth, *opened), 1)
    parts = spans(record)
    assert [isinstance(part, Evidence) for part in parts] == [False, True]
    found = bad(parts)
    assert found.error.reason in {Reason.TOO_DEEP, Reason.WRONG_TYPE}
    assert (found.where, found.value in record) == ("resourceSpans[0].scopeSpans[0].spans[0]", True)
    assert found.value.count(opened[0]) >= depth


def test_nesting_that_is_sane_is_used() -> None:
    """Lists in lists, as deep as anybody has them."""
    value: Any = "leaf"
    for _ in range(16):
        value = [{"inner": value}]
    for dialect in (_proto, strict_json):
        evidence = next(part for part in spans(dialect(traces(ended(attributes={"a": value})))))
        assert isinstance(evidence, Evidence)
        usable(evidence)


def field(tag: int, content: bytes) -> bytes:
    """A field of bytes, as protobuf has it."""
    size, length = len(content), b""
    while size > 0x7F:
        length, size = length + bytes((size & 0x7F | 0x80,)), size >> 7
    return bytes((tag,)) + length + bytes((size,)) + content


@pytest.mark.parametrize("depth", [60, 10_000])
def test_protobuf_nested_without_end_costs_its_neighbours_nothing(depth: int) -> None:
    """Protobuf's own limit is a hundred messages."""
    value = b""
    for _ in range(depth):
        value = field(0x2A, field(0x0A, value))
    nested = ended().SerializeToString() + field(0x4A, field(0x0A, b"a") + field(0x12, value))
    two = field(0x12, nested) + field(0x12, ended(span_id=b"2" * 8).SerializeToString())
    parts = spans(field(0x0A, field(0x12, two)))
    assert [isinstance(part, Evidence) for part in parts] == [False, True]
    assert (bad(parts).error.reason, bad(parts).value) == (Reason.MALFORMED, nested)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "half a surrogate": lambda text: text.replace(b"PLACE", rb"\ud800"),
    "no UTF-8": lambda text: text.replace(b"PLACE", b"\xff"),
    "NaN": lambda text: text.replace(b'"PLACE"', b"NaN"),
    "a number beyond all": lambda text: text.replace(b'"PLACE"', b"1e999"),
    "a bracket too few": lambda text: text.replace(b'"PLACE"', b'"[{["'),
}


@pytest.mark.parametrize("how", BROKEN)
def test_text_that_is_none_costs_its_neighbours_nothing(how: str) -> None:
    """A span that breaks the whole record for a parser is cut out by its brackets."""
    batch = traces(ended(attributes={"a": "PLACE"}), ended(span_id=b"2" * 8))
    for made in (batch, logs(log("PLACE"), log(None))):
        decode = spans if isinstance(made, TracesData) else partial
        record = BROKEN[how](strict_json(made))
        parts = decode(record)
        assert isinstance(parts[1], Evidence), parts
        assert isinstance(parts[0], Evidence if decode is spans and how == "a bracket too few" else BadPart)
        assert not isinstance(parts[0], BadPart) or parts[0].value in record


def test_protobuf_text_that_is_none_costs_its_neighbours_nothing() -> None:
    """A stock collector passes on what is not UTF-8, and a parser refuses the whole batch for it."""
    batch = traces(
        ended(), ended(span_id=b"2" * 8, name="PLACE"), ended(span_id=b"3" * 8), scope_url="u", resource_url="v"
    )
    record = _proto(batch).replace(b"PLACE", b"\xff\xfe\xfd\xfc\xfb")
    parts = spans(record)
    assert [isinstance(part, Evidence) for part in parts] == [True, False, True]
    found = bad(parts)
    assert (found.where, found.error.reason) == ("resourceSpans[0].scopeSpans[0].spans[1]", Reason.MALFORMED)
    assert found.value in record
    alone = [
        part.body
        for part in spans(_proto(traces(ended(), scope_url="u", resource_url="v")))
        if isinstance(part, Evidence)
    ]
    assert [part.body for part in parts if isinstance(part, Evidence)][:1] == alone
    stop = proto_log(traces(ended()), event="stop")
    record = _proto(logs(log(None), log("PLACE"), stop, log("?"), resource={"a": 1}))
    parts = partial(record.replace(b"PLACE", b"\xff\xfe\xfd\xfc\xfb"))
    assert [isinstance(part, Evidence) for part in parts] == [True, False, True, False]
    assert [part.where[-2] for part in parts if isinstance(part, BadPart)] == ["1", "3"]


def test_a_resource_that_is_none_takes_only_its_own_spans_along() -> None:
    """Each of them is a bad part; those of other resources are used."""
    batch = traces(ended(), ended(span_id=b"2" * 8), resource={"a": "PLACE"})
    batch.MergeFrom(traces(ended(span_id=b"3" * 8)))
    for record in (
        _proto(batch).replace(b"PLACE", b"\xff" * 5),
        strict_json(batch).replace(b'"PLACE"', b"[[5]]"),
    ):
        parts = spans(record)
        assert [isinstance(part, Evidence) for part in parts] == [False, False, True]


@pytest.mark.parametrize("dialect", [_proto, strict_json])
def test_ten_megabytes_of_attributes_are_evidence(dialect: Any) -> None:
    """A large span is a span: what does not fit later is left out of its final, not refused here."""
    large = ended(attributes={"a": "x" * 10_000_000} | {f"n{number}": number for number in range(20_000)})
    found = spans(dialect(traces(large, ended())))
    assert all(isinstance(part, Evidence) for part in found)
    assert isinstance(found[0], Evidence)
    assert len(encode_json(reported(found[0]), max_bytes=1_000_000)) <= 1_000_000


@pytest.mark.parametrize("dialect", [_proto, strict_json])
def test_of_two_attributes_of_one_name_the_last_one_counts(dialect: Any) -> None:
    """OTLP forbids it, and clients do it."""
    twice = ended(attributes={"a": 1})
    twice.attributes.append(KeyValue(key="a", value=AnyValue(int_value=2)))
    (found,) = spans(dialect(traces(twice)))
    assert isinstance(found, Evidence)
    assert found.subject is not None
    assert found.subject.attributes == {"a": 2}


def test_of_two_fields_of_one_name_the_last_one_counts() -> None:
    """As JSON parsers do it."""
    (found,) = spans(strict_json(traces(ended())).replace(b'"name": "upload"', b'"name": "x", "name": "upload"'))
    assert isinstance(found, Evidence)
    assert found.subject is not None
    assert found.subject.name == "upload"


@pytest.mark.parametrize("dialect", [_proto, strict_json])
@pytest.mark.parametrize(
    ("start_at", "end_at", "used"),
    [(T0, T0 - 1, True), (T0, 2**63 - 1, True), (0, T0, True), (T0, 2**63, False), (1, T0, False), (T0, 1, False)],
)
def test_times_at_the_edges(dialect: Any, start_at: int, end_at: int, *, used: bool) -> None:
    """An end before its start is at its start; nought is no time; beyond 63 bits, or before 2000, is a bad one."""
    (part,) = spans(dialect(traces(ended(start_time_unix_nano=start_at, end_time_unix_nano=end_at))))
    assert isinstance(part, Evidence) is used
    if isinstance(part, Evidence):
        assert (part.key, part.start_at) == (KEY, start_at or None)
        usable(part)


def test_a_resource_too_large_for_all_its_spans_is_refused_with_them() -> None:
    """Each body stands for itself; a small record must not become gigabytes."""
    many = [ended(span_id=number.to_bytes(8, "big")) for number in range(1, 200)]
    batch = traces(*many, resource={"a": "x" * 400_000})
    for record in (_proto(batch), strict_json(batch), _proto(batch).replace(b"/v1/photos", b"\xff" * 10, 1)):
        parts = spans(record)
        assert {part.error.reason for part in parts if isinstance(part, BadPart)} == {Reason.TOO_LARGE}
        assert len(parts) == len(many)


@pytest.mark.parametrize("text", [b'"' + b'\\"' * 500_000, b"{" * 500_000, b'{"a":"' * 200_000, b"\x0a\x00" * 500_000])
def test_a_malformed_megabyte_is_refused_in_time(text: bytes) -> None:
    """Looking for the good parts of a bad batch takes no longer for being made to."""
    for decode in (otlp_spans.decode, partial_log.decode, zipkin.decode):
        outcome(decode, b'{"resourceLogs":' + text)
        outcome(decode, text)


def test_a_body_within_a_log_may_be_as_bad_as_it_likes() -> None:
    """Nested without end, cut off, or no JSON: one bad part, whatever encoding the log is in."""
    bodies = [
        "[" * 100_000,
        '{"resourceSpans":' + "[" * 100_000,
        '{"a":"\\ud800"}',
        '{"resourceSpans":[{"resource":5}]}',
    ]
    good = proto_log(traces(span()))
    for encode in (_proto, strict_json):
        for body in bodies:
            parts = partial(encode(logs(good, log(body, body_type="json"), good)))
            assert [isinstance(part, Evidence) for part in parts] == [True, False, True]
