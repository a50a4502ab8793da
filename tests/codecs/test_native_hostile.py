"""Whatever bytes come, the answer is evidence or a reason; never another exception."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finalizer.codecs.description import describe
from finalizer.codecs.errors import MAX_DETAIL, Reason, Unusable
from finalizer.codecs.native_event import MAX_RECORD_DEPTH
from finalizer.codecs.values import MAX_DEPTH
from finalizer.core.model import Layer
from tests.codecs.spans import KEY, T0, UPLOAD, decode, end, heartbeat, start
from tests.codecs.strategies import records

WHOLE = json.dumps(UPLOAD | {"links": [{"trace_id": "a" * 32, "span_id": "b" * 16}], "status": {"code": 1}}).encode()


def said(error: Unusable) -> Reason:
    """The reason of a refusal, whose detail fits into a header and a log line."""
    assert error.detail.isprintable()
    assert len(error.detail) <= MAX_DETAIL
    return error.reason


def outcome(value: bytes | None) -> Reason | None:
    """None where the record is used, and can be described; else why not."""
    try:
        evidence = decode(value)
    except Unusable as error:
        return said(error)
    if evidence.body is not None:
        describe((Layer(evidence.at, evidence.seq, evidence.body),))
    return None


def test_a_record_cut_off_anywhere_is_malformed() -> None:
    """A record truncated at any byte is refused as malformed, or, cut off whole, as empty."""
    assert outcome(WHOLE) is None
    assert {outcome(WHOLE[:length]) for length in range(1, len(WHOLE))} == {Reason.MALFORMED}


@pytest.mark.parametrize("value", [None, b""])
def test_a_record_without_value_is_empty(value: bytes | None) -> None:
    """A tombstone says nothing of a span."""
    assert outcome(value) is Reason.EMPTY


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b" ", Reason.MALFORMED),
        (b"\x00\x00\x00\x00\x07schema", Reason.MALFORMED),
        (b"[]", Reason.WRONG_TYPE),
        (b"null", Reason.WRONG_TYPE),
        (b'"start"', Reason.WRONG_TYPE),
        (b"{}", Reason.MISSING_FIELD),
        (WHOLE + b"{}", Reason.MALFORMED),
        (b"\xef\xbb\xbf" + WHOLE, Reason.MALFORMED),
        (WHOLE.replace(b"Pixel 8", b"Pixel \xff"), Reason.MALFORMED),
        (WHOLE.replace(b"Pixel 8", b"Pixel \\ud800"), Reason.MALFORMED),
        (WHOLE.replace(b"Pixel 8", b"\\udc00 8"), Reason.MALFORMED),
        (WHOLE.replace(b"Pixel 8", b"\xed\xa0\x80"), Reason.MALFORMED),
        (WHOLE.replace(b'"Pixel 8"', b"NaN"), Reason.MALFORMED),
        (WHOLE.replace(b'"Pixel 8"', b"Infinity"), Reason.MALFORMED),
        (WHOLE.replace(b'"Pixel 8"', b"1e999"), Reason.WRONG_TYPE),
        (WHOLE.replace(b'"Pixel 8"', b'{"x":-1e999}'), Reason.WRONG_TYPE),
        (WHOLE.replace(b'"Pixel 8"', b"1" * 6000), Reason.WRONG_TYPE),
        (WHOLE.replace(b'"Pixel 8"', b"[" + b"1" * 6000 + b"]"), Reason.WRONG_TYPE),
        (WHOLE.replace(b"5000", b"5" * 6000), Reason.WRONG_TYPE),
        (WHOLE.replace(b'"1747648800000000000"', b"1" * 6000), Reason.BAD_TIME),
        (WHOLE.replace(b"1747648800000000000", b"1" * 6000), Reason.BAD_TIME),
    ],
)
def test_broken_json_has_a_reason(value: bytes, reason: Reason) -> None:
    """Broken text, lone surrogates, numbers that are none: each is refused for what it is."""
    assert outcome(value) is reason


def test_the_last_of_two_equal_names_counts() -> None:
    """JSON allows a name twice; the last one stands."""
    evidence = decode(start(attributes={"a": 1}).replace(b'{"a": 1}', b'{"a": 1, "a": 2}'))
    assert evidence.subject is not None
    assert evidence.subject.attributes == {"a": 2}


@pytest.mark.parametrize("opened", [b"[", b'{"x":'])
def test_a_value_may_be_nested_sixteen_deep(opened: bytes) -> None:
    """Sixteen arrays or objects inside each other are an attribute; seventeen are refused."""
    closed = {b"[": b"]"}.get(opened, b"}")

    def nested(depth: int) -> bytes:
        return start(attributes={"a": "?"}).replace(b'"?"', opened * depth + b"1" + closed * depth)

    assert outcome(nested(MAX_DEPTH)) is None
    assert outcome(nested(MAX_DEPTH + 1)) is Reason.TOO_DEEP
    assert outcome(nested(400)) is Reason.TOO_DEEP
    assert outcome(nested(200_000)) is Reason.TOO_DEEP


@pytest.mark.parametrize("depth", [MAX_RECORD_DEPTH, 300, 900, 5000, 200_000])
@pytest.mark.parametrize("opened", [b"[", b'{"x":'])
def test_depth_counts_even_where_nobody_looks(opened: bytes, depth: int) -> None:
    """A field we ignore may not be so deep that reading the body again depends on where we are called from."""
    closed = {b"[": b"]"}.get(opened, b"}")
    value = start(ignored="?").replace(b'"?"', opened * depth + b"1" + closed * depth)
    assert outcome(value) is Reason.TOO_DEEP


def test_brackets_in_text_and_in_a_row_are_not_depth() -> None:
    """Only what is open at the same time is deep."""
    assert outcome(start(attributes={"a": '[[{{"\\' * 200, "b": [["x"]] * 200})) is None


@pytest.mark.parametrize(
    "attributes",
    [
        {"a": "x" * 10_000_000},
        {f"name-{number}": number for number in range(200_000)},
        {"a": [["x"] * 10] * 100_000},
        {"n" * 5_000_000: "\x00" * 500_000},
    ],
    ids=["one", "many", "nested", "long name"],
)
def test_ten_megabytes_of_attributes_are_evidence(attributes: dict[str, object]) -> None:
    """A large record is a record: what does not fit later is left out of its final, not refused here."""
    assert outcome(start(attributes=attributes)) is None


@given(st.binary(max_size=200))
def test_random_bytes_have_a_reason(value: bytes) -> None:
    """No bytes make the decoder raise anything but `Unusable`."""
    assert outcome(value) is not None


@settings(max_examples=300)
@given(st.randoms(use_true_random=False), st.sampled_from([WHOLE, end(reason="partial"), heartbeat(progress=0.5)]))
def test_a_damaged_record_is_used_or_refused(chance: random.Random, whole: bytes) -> None:
    """Bytes changed, lost or doubled anywhere: evidence or a reason."""
    damaged = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(damaged))
        match chance.randrange(3):
            case 0:
                damaged[place] = chance.choice(b'"{}[]:,\\0 \xff\x00e-')
            case 1:
                del damaged[place : place + chance.randint(1, 8)]
            case _:
                damaged[place:place] = damaged[place : place + chance.randint(1, 30)]
        if not damaged:
            return
    outcome(bytes(damaged))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([*UPLOAD, "status", "progress", "reason", "state", "links", "events", "op_id"]), json_values)
@example("timeout_ms", float("inf"))
@example("time_unix_nano", float("nan"))
def test_any_value_in_any_field_is_used_or_refused(field: str, value: object) -> None:
    """No value of no field makes the decoder raise anything but `Unusable`."""
    outcome(json.dumps(UPLOAD | {field: value}).encode())


@given(records("start", st.integers(T0, T0 + 9)))
def test_every_well_formed_record_is_used(value: bytes) -> None:
    """Nothing that the format allows is refused, whatever values it has."""
    assert decode(value).key == KEY
