"""Processes in native JSON: their heartbeats, and the spans that name them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.evidence import EvidenceDecoder, encode
from finalizer.codecs.instance import LONGEST_ID, decode
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.state import StateCodec, Whole
from finalizer.core.fold import first_state, fold
from finalizer.core.instances import Beat
from finalizer.core.model import Coordinates, Evidence, Moment
from finalizer.core.told import Told
from tests.codecs.spans import SPAN, TRACE
from tests.core.making import EPOCH, KEY, TERMS

PLACE = Coordinates("spans.events", 0, 5, EPOCH)
BEAT = {
    "type": "instance",
    "instance_id": "pod",
    "boot_id": "one",
    "time_unix_nano": str(EPOCH),
    "heartbeat_interval_ms": 10_000,
    "resource": {"service.name": "shop"},
    "seq": 3,
}


def told(**fields: Any) -> bytes:
    """A heartbeat of a process, with other fields; None takes one away."""
    return json.dumps({name: value for name, value in (BEAT | fields).items() if value is not None}).encode()


def span(kind: str = "start", **fields: Any) -> Evidence:
    """Evidence of a span."""
    event = {"type": kind, "trace_id": TRACE, "span_id": SPAN, "time_unix_nano": str(EPOCH), "name": "x"}
    return NativeDecoder().decode(json.dumps(event | fields).encode(), PLACE)


def test_a_heartbeat_of_a_process_is_read() -> None:
    """Which process, which start of it, when by its clock, and until when the next one is to be expected."""
    assert decode(told()) == Beat("pod", "one", EPOCH, 10_000_000_000)
    assert decode(told(type=None)) == decode(told())


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"instance_id": None}, Reason.MISSING_FIELD),
        ({"instance_id": ""}, Reason.MISSING_FIELD),
        ({"boot_id": None}, Reason.MISSING_FIELD),
        ({"boot_id": "x" * (LONGEST_ID + 1)}, Reason.BAD_ID),
        ({"instance_id": 5}, Reason.WRONG_TYPE),
        ({"time_unix_nano": None}, Reason.MISSING_FIELD),
        ({"time_unix_nano": 1_747_648_800_000}, Reason.BAD_TIME),
        ({"heartbeat_interval_ms": None}, Reason.MISSING_FIELD),
        ({"heartbeat_interval_ms": 0}, Reason.MISSING_FIELD),
        ({"heartbeat_interval_ms": "soon"}, Reason.WRONG_TYPE),
        ({"type": "start"}, Reason.UNKNOWN_KIND),
        ({"v": 2}, Reason.UNKNOWN_VERSION),
    ],
)
def test_what_is_no_heartbeat_of_a_process_has_a_reason(fields: dict[str, Any], reason: Reason) -> None:
    """None of them is an exception that anybody else sees."""
    with pytest.raises(Unusable) as refused:
        decode(told(**fields))
    assert refused.value.reason is reason


def test_a_heartbeat_that_was_cut_off_is_refused_wherever_it_was_cut() -> None:
    """Byte for byte."""
    whole = told()
    for length in range(len(whole)):
        with pytest.raises(Unusable):
            decode(whole[:length])


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"instance_id": "pod", "boot_id": "one"}, ("pod", "one")),
        ({"instance_id": "pod"}, None),
        ({"boot_id": "one"}, None),
        ({"instance_id": "", "boot_id": "one"}, None),
        ({"instance_id": None, "boot_id": None}, None),
        ({"attributes": {"instance_id": "pod", "boot_id": "one"}}, None),
        ({"instance_id": "x" * (LONGEST_ID + 1), "boot_id": "one"}, None),
        ({}, None),
    ],
)
def test_a_span_names_the_process_it_lives_in(fields: dict[str, Any], named: tuple[str, str] | None) -> None:
    """With both ids, or it names none; and it is the same process where the record was re-keyed."""
    evidence = span(**fields)
    assert evidence.instance == named
    assert EvidenceDecoder({}).decode(encode(evidence, stamped=True)).instance == named


def test_many_spans_of_a_process_hold_its_name_once() -> None:
    """A process has a hundred thousand of them open."""
    one, other = (span(instance_id="po" + "d", boot_id="b1").instance for _ in range(2))
    assert one is not None
    assert other is not None
    assert all(left is right for left, right in zip(one, other, strict=True))


def test_the_latest_process_stands_whatever_the_order() -> None:
    """An operation that goes on elsewhere lives there from then on."""
    now = Moment(EPOCH, EPOCH)
    first = span(instance_id="pod", boot_id="one", seq=1)
    later = span(instance_id="pod", boot_id="two", seq=2)
    plain = span("heartbeat", attributes={"a": 1}, seq=3)
    for order in ((first, later, plain), (plain, later, first), (later, first, later)):
        state = first_state(order[0], TERMS, now)
        for evidence in order[1:]:
            state = fold(state, evidence, TERMS, now)
        assert state.told.instance == (EPOCH, 2, "pod", "two")


def test_a_stored_span_still_names_its_process() -> None:
    """A restored worker asks for the same start of the same process; what an older release stored names none."""
    state = first_state(span(instance_id="pod", boot_id="one"), TERMS, Moment(EPOCH, EPOCH))
    codec = StateCodec(["spans.events"], 0)
    ((key, value),) = codec.span(KEY, None, state)
    assert codec.read(key, value) == Whole(KEY, state, unsent=False)
    old = state.but(told=Told(progress=(EPOCH, 1, 0.5), best_progress=0.5))
    ((key, value),) = codec.span(KEY, None, old)
    assert value is not None
    field = bytes((0x98,)) + b"\xc0\x93"  # `told`: an array of eight, status none, progress an array of three
    assert value.count(field) == 1
    cut = value.replace(field, bytes((0x97,)) + field[1:]).replace(b"\x00\x00\xc0\xc0\xc0\x90", b"\x00\x00\xc0\xc0\x90")
    assert len(cut) == len(value) - 1
    assert codec.read(key, cut) == Whole(KEY, old, unsent=False)
