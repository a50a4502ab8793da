"""What each field of a native event means, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finalizer.codecs.errors import MAX_DETAIL, Reason, Unusable
from finalizer.codecs.ids import span_key
from finalizer.codecs.native import MAX_REASON, NativeDecoder
from finalizer.codecs.native_event import MAX_MESSAGE
from finalizer.codecs.times import YEAR_2000
from finalizer.core.causes import Cause, StatusCode
from finalizer.core.model import End, Kind, Lifecycle, Status, Subject
from tests.codecs.spans import KEY, SOURCE, SPAN, T0, TRACE, UPLOAD, decode, end, heartbeat, record, start


def refused(value: bytes | None) -> Unusable:
    """Why the record is refused."""
    with pytest.raises(Unusable) as caught:
        decode(value)
    return caught.value


def test_a_start_tells_all_it_says() -> None:
    """A start's time is its start; what it describes goes into its body, byte for byte, and before the rules."""
    value = json.dumps(UPLOAD).encode()
    evidence = decode(value)
    assert (evidence.kind, evidence.key, evidence.at, evidence.start_at) == (Kind.START, KEY, T0, T0)
    assert (evidence.source, evidence.heard_at, evidence.seq) == (SOURCE, SOURCE.heard_at, 1)
    assert evidence.interval == 5_000_000_000
    assert evidence.body is not None
    assert evidence.body.data == value
    subject: Subject | None = evidence.subject
    assert subject is not None
    assert (subject.name, subject.span_type, subject.kind) == ("upload", "upload", "client")
    assert (subject.resource, subject.attributes) == (UPLOAD["resource"], UPLOAD["attributes"])


def test_a_bare_end_has_no_body() -> None:
    """An end that describes nothing adds no layer to its span, and nothing for rules to look at."""
    evidence = decode(end(seq=7))
    assert evidence.end == End(Cause.COMPLETED, evidence.at)
    assert (evidence.body, evidence.subject, evidence.start_at, evidence.status) == (None, None, None, None)


@pytest.mark.parametrize("field", ["name", "span_type", "session_id", "op_id", "trace_state"])
def test_any_record_may_describe_its_span(field: str) -> None:
    """What describes a span counts on every kind of record, not only on starts."""
    evidence = decode(heartbeat(**{field: "x"}))
    assert evidence.body is not None
    assert evidence.subject is not None


@pytest.mark.parametrize("moment", [T0, str(T0)])
def test_times_are_numbers_or_strings_of_digits(moment: object) -> None:
    """64-bit numbers may stand as strings, as in OTLP/JSON."""
    assert decode(start(time_unix_nano=moment)).at == T0


def test_times_reach_from_2000_to_the_end_of_64_bits() -> None:
    """The first and the last moment that a span may have."""
    for moment in (YEAR_2000, 2**63 - 1):
        evidence = decode(heartbeat(time_unix_nano=moment, start_time_unix_nano=moment))
        assert (evidence.at, evidence.start_at) == (moment, moment)


@pytest.mark.parametrize(
    ("moment", "looks_like"),
    [
        (T0 // 10**9, "seconds"),
        (T0 // 10**6, "milliseconds"),
        (str(T0 // 10**6), "milliseconds"),
        (T0 // 10**3, "microseconds"),
        (T0 / 10**9, "seconds"),
        (-1, "year 2000"),
        (2**63, "64 bits"),
        (str(10**30), "64 bits"),
        ("yesterday", "no number"),
        (f" {T0}", "no number"),
        ("1_747648800000000000", "no number"),
        ("", "no number"),
        ([], "no number"),
    ],
)
@pytest.mark.parametrize("field", ["time_unix_nano", "start_time_unix_nano", "session_expires_unix_nano"])
def test_a_time_in_another_unit_is_refused_by_name(field: str, moment: object, looks_like: str) -> None:
    """A wrong unit would close spans decades early or late; the detail says which unit it looks like."""
    error = refused(heartbeat(**{field: moment}))
    assert error.reason is Reason.BAD_TIME
    assert field in error.detail
    assert looks_like in error.detail


def test_heartbeats_and_ends_may_carry_their_start() -> None:
    """Some clients never send a start: `start_time_unix_nano` on any other record tells it. Zero tells nothing."""
    assert decode(heartbeat(start_time_unix_nano=str(T0))).start_at == T0
    assert decode(end(start_time_unix_nano=T0)).start_at == T0
    assert decode(end(start_time_unix_nano=0)).start_at is None


def test_what_is_declared_is_in_nanoseconds() -> None:
    """Milliseconds become nanoseconds, fractions included; zero is absent; "for ever" stays within 64 bits."""
    evidence = decode(start(heartbeat_interval_ms=0.5, timeout_ms=2**63 - 1, session_expires_unix_nano=str(T0 + 1)))
    assert (evidence.interval, evidence.timeout, evidence.session_expires_at) == (500_000, 2**62, T0 + 1)
    evidence = decode(start(heartbeat_interval_ms=0, timeout_ms=1e300, session_expires_unix_nano="0"))
    assert (evidence.interval, evidence.timeout, evidence.session_expires_at) == (0, 2**62, 0)


@pytest.mark.parametrize("code", [2, "error", "ERROR", "Error", "STATUS_CODE_ERROR"])
def test_a_status_code_has_many_spellings(code: object) -> None:
    """A code is a number, a word in any usual case, or OTLP's name; before the end it is the status set so far."""
    status = Status(StatusCode.ERROR, "disk full")
    said = {"code": code, "message": "disk full"}
    reported = decode(end(status=said)).end
    assert reported is not None
    assert reported.status == status
    assert decode(heartbeat(status=said)).status == status


@pytest.mark.parametrize("status", [{}, {"code": "unset"}, {"code": 0, "message": "x"}, {"code": None}])
def test_unset_sets_nothing(status: dict[str, Any]) -> None:
    """Unset is no status: it does not replace one that was set before."""
    assert decode(end(status=status)).end == End(Cause.COMPLETED, decode(end()).at)
    assert decode(heartbeat(status=status)).status is None


@pytest.mark.parametrize(
    ("reason", "cause", "word"),
    [
        ("partial", Cause.PARTIAL, ""),
        ("abandoned", Cause.ABANDONED, ""),
        ("restarted", Cause.RESTARTED, ""),
        ("cancelled", Cause.COMPLETED, "cancelled"),
        ("timeout", Cause.COMPLETED, "timeout"),
        ("", Cause.COMPLETED, ""),
    ],
)
def test_the_reason_of_an_end_is_its_cause_or_its_own_word(reason: str, cause: Cause, word: str) -> None:
    """Three words name a cause; any other is the client's own word for a span that it completed."""
    reported = decode(end(reason=reason)).end
    assert reported is not None
    assert (reported.cause, reported.reason) == (cause, word)


def test_words_that_are_kept_with_the_state_are_bounded() -> None:
    """Reason and status message are held with every open span, so their length has a limit; lines become one."""
    reported = decode(end(reason="a\nb" + "x" * 1000, status={"code": 1, "message": "m" * 10_000})).end
    assert reported is not None
    assert reported.status is not None
    assert reported.reason == ("a b" + "x" * 1000)[:MAX_REASON]
    assert len(reported.status.message) == MAX_MESSAGE


@pytest.mark.parametrize("state", list(Lifecycle))
def test_a_lifecycle_record_tells_a_state(state: Lifecycle) -> None:
    """`background`, `foreground` and `terminate`, of one span."""
    evidence = decode(record("lifecycle", state=state.name.lower()))
    assert (evidence.kind, evidence.lifecycle) == (Kind.LIFECYCLE, state)


def test_an_input_of_one_kind_needs_no_type() -> None:
    """On a topic that carries one kind the input's kind stands in for a missing type, and for that only."""
    decoder = NativeDecoder(kind=Kind.HEARTBEAT)
    assert decoder.decode(record("heartbeat", type=None), SOURCE).kind is Kind.HEARTBEAT
    assert decoder.decode(end(), SOURCE).kind is Kind.END
    assert refused(record("heartbeat", type=None)).reason is Reason.MISSING_FIELD


def test_ids_in_any_case_are_one_span() -> None:
    """Ids are hexadecimal in any case."""
    assert decode(start(trace_id=TRACE.upper(), span_id=SPAN.upper())).key == KEY


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("trace_id", TRACE[:-1], Reason.BAD_ID),
        ("trace_id", TRACE + "00", Reason.BAD_ID),
        ("trace_id", f"{TRACE[:14]}  {TRACE[16:]}", Reason.BAD_ID),
        ("trace_id", "x" * 32, Reason.BAD_ID),
        ("trace_id", "é" * 32, Reason.BAD_ID),
        ("trace_id", "", Reason.BAD_ID),
        ("trace_id", None, Reason.MISSING_FIELD),
        ("trace_id", "0" * 32, Reason.ZERO_ID),
        ("trace_id", 5, Reason.BAD_ID),
        ("span_id", SPAN + " ", Reason.BAD_ID),
        ("span_id", SPAN[:14] + "  ", Reason.BAD_ID),
        ("span_id", None, Reason.MISSING_FIELD),
        ("span_id", "0" * 16, Reason.ZERO_ID),
        ("parent_span_id", "1", Reason.BAD_ID),
        ("parent_span_id", " " * 16, Reason.BAD_ID),
        ("links", [{"trace_id": TRACE, "span_id": "0" * 16}], Reason.ZERO_ID),
        ("links", [{"trace_id": "zz", "span_id": SPAN}], Reason.BAD_ID),
        ("links", [{"span_id": SPAN}], Reason.WRONG_TYPE),
        ("events", [{"time_unix_nano": 5, "name": "x"}], Reason.BAD_TIME),
        ("name", None, Reason.MISSING_FIELD),
        ("name", "", Reason.MISSING_FIELD),
        ("time_unix_nano", None, Reason.MISSING_FIELD),
        ("time_unix_nano", 0, Reason.BAD_TIME),
        ("v", 2, Reason.UNKNOWN_VERSION),
        ("type", "begin", Reason.UNKNOWN_KIND),
        ("type", "instance", Reason.UNKNOWN_KIND),
        ("kind", "bystander", Reason.WRONG_TYPE),
        ("kind", 6, Reason.WRONG_TYPE),
        ("seq", -1, Reason.WRONG_TYPE),
        ("progress", 1.01, Reason.WRONG_TYPE),
        ("progress", -0.1, Reason.WRONG_TYPE),
        ("progress", "NaN", Reason.WRONG_TYPE),
        ("timeout_ms", -1, Reason.WRONG_TYPE),
        ("heartbeat_interval_ms", "soon", Reason.WRONG_TYPE),
        ("status", {"code": "fine"}, Reason.WRONG_TYPE),
        ("status", "ok", Reason.WRONG_TYPE),
        ("attributes", ["a"], Reason.WRONG_TYPE),
        ("attributes", {"a": 2**63}, Reason.WRONG_TYPE),
        ("attributes", {"a": {"b": [-(2**63) - 1]}}, Reason.WRONG_TYPE),
    ],
)
def test_what_cannot_be_meant_is_refused(field: str, value: object, reason: Reason) -> None:
    """A refusal names its reason, on one printable line that names the field."""
    error = refused(start(**{field: value}))
    assert error.reason is reason
    assert error.detail.isprintable()
    assert len(error.detail) <= MAX_DETAIL
    if field not in {"type", "v"}:
        assert field.partition("_ms")[0] in error.detail


def test_ids_do_not_lend_each_other_characters() -> None:
    """48 hexadecimal characters are two ids only if the first has 32 of them."""
    for trace_id, span_id in ((TRACE + "00", SPAN[2:]), (TRACE[2:], SPAN + "00"), (TRACE, f"{SPAN[:8]} {SPAN[8:]}")):
        with pytest.raises(Unusable) as caught:
            span_key(trace_id, span_id)
        assert caught.value.reason is Reason.BAD_ID
    assert span_key(TRACE, SPAN) == KEY


def test_a_lifecycle_record_without_a_state_is_refused() -> None:
    """`state` is what a lifecycle record is about."""
    assert refused(record("lifecycle")).reason is Reason.MISSING_FIELD
    assert refused(record("lifecycle", state="asleep")).reason is Reason.WRONG_TYPE


def test_null_is_as_good_as_absent() -> None:
    """Serializers that write every field write null for those they have not."""
    event = dict.fromkeys(UPLOAD) | {"v": None, "type": "heartbeat", "trace_id": TRACE, "span_id": SPAN}
    evidence = decode(json.dumps(event | {"time_unix_nano": T0, "events": None, "links": None}).encode())
    assert (evidence.kind, evidence.seq, evidence.body, evidence.interval) == (Kind.HEARTBEAT, -1, None, 0)


def test_unknown_fields_are_ignored() -> None:
    """A newer client may send what this release does not know."""
    assert decode(start(colour="red", nested={"a": [1]})).key == KEY
