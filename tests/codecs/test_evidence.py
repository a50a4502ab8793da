"""Re-keyed evidence: what went in comes out, from wherever it was heard, and nothing else does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.codecs.body import NativeBody
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.evidence import (
    VERSION,
    EvidenceDecoder,
    NewerFormat,
    decode_mark,
    encode,
    encode_mark,
    is_mark,
)
from finalizer.codecs.native import NativeDecoder
from finalizer.core.causes import FACTS, Cause, StatusCode
from finalizer.core.model import Coordinates, End, Evidence, Kind, Lifecycle, Status
from finalizer.core.sources import Vouched
from tests.codecs.spans import SPAN, T0, TRACE
from tests.codecs.strategies import histories

CHECK = settings(max_examples=300, deadline=None)
SOURCE = Coordinates("otlp_logs", 7, 12_345, T0)
BODY = json.dumps({"type": "start", "trace_id": TRACE, "span_id": SPAN, "time_unix_nano": T0, "name": "upload"})

moments = st.integers(0, 2**63 - 1)
coordinates = st.builds(Coordinates, st.text(min_size=1, max_size=9), st.integers(0, 2**31 - 1), moments, moments)
statuses = st.none() | st.builds(Status, st.sampled_from(StatusCode), st.text(max_size=9))
ends = st.builds(End, st.sampled_from([one for one in Cause if FACTS[one].reported]), moments, statuses, st.text())
pieces = st.builds(
    Evidence,
    kind=st.sampled_from([kind for kind in Kind if kind is not Kind.DUE]),
    key=st.binary(min_size=24, max_size=24),
    at=moments,
    source=coordinates,
    seq=st.integers(-1, 2**63 - 1),
    start_at=st.none() | moments,
    body=st.none() | st.just(NativeBody(BODY.encode())),
    subject=st.none(),
    end=st.none() | ends,
    status=statuses,
    progress=st.none() | st.floats(0, 1),
    interval=moments,
    timeout=moments,
    session_expires_at=moments,
    lifecycle=st.none() | st.sampled_from(Lifecycle),
)
vouched = st.builds(
    Vouched,
    st.text(min_size=1, max_size=9),
    st.integers(0, 2**31 - 1),
    moments,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(st.tuples(moments, moments), max_size=3).map(tuple),
    moments,
)


@CHECK
@given(pieces, st.booleans())
def test_evidence_comes_back_as_it_was(evidence: Evidence, stamped: bool) -> None:
    """All that the law reads is kept, the coordinates and the heard time of the source among it."""
    found = EvidenceDecoder({}).decode(encode(evidence, stamped=stamped))
    assert found.body == evidence.body
    for field in Evidence.__match_args__:
        if field != "subject":
            assert getattr(found, field) == getattr(evidence, field)


@CHECK
@given(histories)
def test_rules_see_the_same_span(history: tuple[bytes, ...]) -> None:
    """What rules match is the same, whether evidence was read from its input or re-keyed."""
    for value in history:
        direct = NativeDecoder().decode(value, SOURCE)
        rekeyed = EvidenceDecoder({}).decode(encode(direct, stamped=True))
        if direct.subject is None:
            assert rekeyed.subject is None
            continue
        assert rekeyed.subject is not None
        for name in ("name", "span_type", "kind"):
            assert (getattr(rekeyed.subject, name) or None) == (getattr(direct.subject, name) or None)
        for name in ("resource", "attributes"):
            told = {key: one for key, one in (getattr(direct.subject, name) or {}).items() if one is not None}
            assert getattr(rekeyed.subject, name).keys() == told.keys()


def test_what_a_slow_producer_stamped_is_heard_no_earlier_than_its_source() -> None:
    """A `CreateTime` before what the source was vouched for came after it all the same; the broker's own is exact."""
    evidence = NativeDecoder().decode(BODY.encode(), SOURCE)
    decoder = EvidenceDecoder({("otlp_logs", 7): T0 + 5})
    assert decoder.decode(encode(evidence, stamped=False)).heard_at == T0 + 5
    assert decoder.decode(encode(evidence, stamped=True)).heard_at == T0
    assert EvidenceDecoder({("otlp_logs", 6): T0 + 5}).decode(encode(evidence, stamped=False)).heard_at == T0


def test_what_is_no_evidence_is_unusable() -> None:
    """Cut off anywhere, empty, or somebody else's: told as unusable, and in no other way."""
    value = encode(NativeDecoder().decode(BODY.encode(), SOURCE), stamped=True)
    for bad in (None, b"", *(value[:end] for end in range(1, len(value))), b'{"v":1}', value + b"\0"):
        assert not is_mark(bad)
        with pytest.raises(Unusable) as raised:
            EvidenceDecoder({}).decode(bad)
        assert raised.value.reason is Reason.MALFORMED


@CHECK
@given(st.lists(vouched, max_size=4))
def test_marks_come_back_as_they_were(said: list[Vouched]) -> None:
    """A mark says of each source what its writer vouched for, and is not taken for evidence."""
    value = encode_mark(said)
    assert is_mark(value)
    assert decode_mark(value) == said
    with pytest.raises(Unusable):
        EvidenceDecoder({}).decode(value)


def test_a_mark_that_is_cut_off_is_unusable() -> None:
    """It vouches for nothing."""
    value = encode_mark([Vouched("otlp_logs", 7, T0, deaf=((1, 2),))])
    for end in range(2, len(value)):
        with pytest.raises(Unusable):
            decode_mark(value[:end])


def test_a_newer_format_is_not_bad_data() -> None:
    """What a newer release wrote is neither rejected nor passed over: the worker must not go on."""
    with pytest.raises(NewerFormat, match=f"format {VERSION + 1}"):
        is_mark(bytes((VERSION + 1, 0)) + b"whatever")


def test_what_nests_without_end_is_unusable() -> None:
    """A stranger's record costs itself: neither decoder may run into the interpreter's own limit."""
    more = b"\x91" * 100_000 + b"\xc0"
    mark = encode_mark([Vouched("otlp_logs", 7, T0)])
    longer = mark[:3] + bytes([mark[3] + 1]) + mark[4:] + more
    for decode, bad in (
        (decode_mark, longer),
        (decode_mark, mark[:2] + more),
        (EvidenceDecoder({}).decode, b"\x01\x00" + more),
    ):
        with pytest.raises(Unusable):
            decode(bad)
