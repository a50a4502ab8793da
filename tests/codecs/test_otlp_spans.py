"""Finished spans, and those that look finished and are not: Logfire's pending ones, Datadog's snapshots."""

from __future__ import annotations

import json
import sys
from itertools import permutations
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from finalizer import codecs
from finalizer.codecs import dead_letter, otlp_spans
from finalizer.codecs.description import describe
from finalizer.codecs.errors import Reason
from finalizer.codecs.foreign import FORMATS, decoder_of
from finalizer.codecs.otlp import MissingExtra, encode_json, encode_proto
from finalizer.core.causes import Cause
from finalizer.core.model import Evidence, Kind
from finalizer.core.terms import SECOND
from tests.codecs.otlp_making import (
    PARENT,
    base64_json,
    dotnet_json,
    ended,
    full,
    json_log,
    key_values,
    logs,
    proto_log,
    python_json,
    span,
    strict_json,
    traces,
)
from tests.codecs.reading import read_json
from tests.codecs.spans import KEY, T0, TRACE
from tests.codecs.telling import bad, heard, only, partial, presumed, refusal, reported, spans


def _proto(message: Message) -> bytes:
    return message.SerializeToString()


DIALECTS: list[Any] = [_proto, strict_json, python_json, base64_json, dotnet_json]
PENDING = b"pending!"
REAL = KEY[16:]


def pending(parent: str = "0" * 16, **fields: Any) -> Any:
    """Logfire's pending span of a real one: an id of its own, no length, the real span as its parent."""
    attributes = {"a": 1, "logfire.span_type": "pending_span", "logfire.pending_parent_id": parent}
    return ended(
        **{"span_id": PENDING, "parent_span_id": REAL, "end_time_unix_nano": T0, "attributes": attributes, **fields}
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_finished_span_is_an_end_that_carries_its_start(dialect: Any) -> None:
    """With its times and its status; a final at once."""
    found = only(spans(dialect(traces(ended(status={"code": 1})))))
    assert (found.kind, found.key, found.at, found.start_at) == (Kind.END, KEY, T0 + 9 * SECOND, T0)
    assert found.end is not None
    assert (found.end.cause, found.end.at, found.end.status) == (Cause.COMPLETED, T0 + 9 * SECOND, (1, ""))
    assert reported(found).closed.cause is Cause.COMPLETED


def test_an_unset_status_sets_nothing() -> None:
    """So the same span from two clients' words, `STATUS_CODE_UNSET` and no status at all, has the same end."""
    unset = only(spans(strict_json(traces(ended()))))
    named = only(
        spans(python_json(traces(ended())).replace(b'"status": {}', b'"status": {"code": "STATUS_CODE_UNSET"}'))
    )
    assert unset.end is not None
    assert unset.end == named.end
    assert unset.end.status is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_span_without_an_end_is_a_start(dialect: Any) -> None:
    """It tells that a span has begun, and is held to what any other start is."""
    found = only(spans(dialect(traces(span()))))
    assert (found.kind, found.at, found.start_at, found.end) == (Kind.START, T0, T0, None)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("parent", ["0" * 16, PARENT, PARENT.upper()])
def test_a_pending_span_is_the_start_of_its_parent(dialect: Any, parent: str) -> None:
    """The real span is the pending one's parent, and the real parent an attribute; zeros are a root."""
    found = only(spans(dialect(traces(pending(parent)))))
    assert (found.kind, found.key, found.at, found.start_at) == (Kind.START, KEY, T0, T0)
    final = read_json(encode_json(presumed(found)))
    assert (final.span_id, final.parent_span_id) == (REAL.hex(), "" if parent.startswith("0") else PARENT)
    assert final.attributes["logfire.span_type"] == "span"
    assert "logfire.pending_parent_id" not in final.attributes
    assert (final.attributes["a"], final.name, final.end) == (1, "upload", T0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_earlier_logfire_releases_put_a_word_behind_the_name(dialect: Any) -> None:
    """It is the pending span's, not the real one's."""
    found = only(spans(dialect(traces(pending(name="upload (pending)")))))
    assert found.subject is not None
    assert found.subject.name == "upload"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pending_and_real_span_are_one(dialect: Any) -> None:
    """In either order one final, that of the real span, with nothing left of the pending one."""
    real = ended(attributes={"a": 1, "b": 2, "logfire.span_type": "span"}, parent_span_id=bytes.fromhex(PARENT))
    batch = traces(pending(PARENT), real)
    first, second = (part for part in spans(dialect(batch)) if isinstance(part, Evidence))
    expected = encode_proto(reported(second))
    for order in permutations((first, second)):
        assert encode_proto(reported(*order)) == expected
    states, _ = heard(first)
    assert len(states[KEY].layers) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_logfires_logs_are_what_they_are(dialect: Any) -> None:
    """Finished spans without length."""
    log = ended(end_time_unix_nano=T0, attributes={"logfire.span_type": "log"})
    found = only(spans(dialect(traces(log))))
    assert (found.kind, found.at, found.start_at) == (Kind.END, T0, T0)
    assert read_json(encode_json(reported(found))).attributes["logfire.span_type"] == "log"


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("version", [1, 1747648805123.0])
def test_a_snapshot_of_a_long_running_span_is_a_heartbeat(dialect: Any, version: float) -> None:
    """Datadog: alive until the end that the snapshot states; that end and the mark are no part of the span."""
    told = [
        only(spans(dialect(traces(ended(attributes=attributes, end_time_unix_nano=T0 + seconds * SECOND)))))
        for seconds, attributes in (
            (3, {"a": 1, "_dd.partial_version": version}),
            (6, {"a": 1, "_dd.partial_version": 9}),
        )
    ]
    assert [(one.kind, one.at, one.start_at) for one in told] == [
        (Kind.HEARTBEAT, T0 + 3 * SECOND, T0),
        (Kind.HEARTBEAT, T0 + 6 * SECOND, T0),
    ]
    assert told[0].body == told[1].body
    final = read_json(encode_json(presumed(*told)))
    assert (final.end, final.attributes["a"]) == (T0 + 6 * SECOND, 1)
    assert "_dd.partial_version" not in final.attributes


@pytest.mark.parametrize("version", [0, -1, True, "1"])
def test_what_is_no_snapshot_is_an_end(version: object) -> None:
    """The finished span carries no version, or none above zero; no other value means anything."""
    found = only(spans(_proto(traces(ended(attributes={"_dd.partial_version": version})))))
    assert found.kind is Kind.END


def test_the_same_end_from_two_topics_is_one_final() -> None:
    """The stop log carries the ended span, and the finished span comes again, in either order and any encoding."""
    for stop in (json_log(traces(full()), event="stop"), proto_log(traces(full()), event="stop")):
        twice = (only(partial(strict_json(logs(stop)))), only(spans(_proto(traces(full())))))
        for order in permutations(twice):
            _, finals = heard(*order)
            assert [final.closed.revision for final in finals] == [1]


def test_a_later_end_covers_what_was_told_before() -> None:
    """Heartbeats in JSON, the end in protobuf: the end says all that they said, so one body is left to describe."""
    beats = only(partial(strict_json(logs(json_log(traces(span()))))))
    end = only(spans(_proto(traces(full_with(span())))))
    final = reported(beats, end)
    assert [layer.body for layer in final.layers] == [end.body]
    less = only(spans(_proto(traces(ended(attributes={})))))
    assert describe(reported(beats, less).layers).attributes == {"http.route": "/v1/photos"}


def full_with(other: Any) -> Any:
    """The full span, with the attributes of another one as well."""
    made = full()
    made.attributes.extend(other.attributes)
    return made


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (ended(span_id=b"\0" * 8), Reason.ZERO_ID),
        (ended(trace_id=b"\0" * 16), Reason.ZERO_ID),
        (ended(trace_id=None), Reason.MISSING_FIELD),
        (ended(span_id=b"short"), Reason.BAD_ID),
        (ended(parent_span_id=b"short"), Reason.BAD_ID),
        (ended(parent_span_id=b"no hex"), Reason.BAD_ID),
        (ended(links=[{"trace_id": b"short"}]), Reason.BAD_ID),
        (ended(start_time_unix_nano=1_747_648_800), Reason.BAD_TIME),
        (ended(end_time_unix_nano=2**64 - 1), Reason.BAD_TIME),
        (ended(start_time_unix_nano=None, end_time_unix_nano=None), Reason.MISSING_FIELD),
        (ended(kind=6), Reason.WRONG_TYPE),
        (ended(kind=-1), Reason.WRONG_TYPE),
        (ended(status={"code": 3}), Reason.WRONG_TYPE),
        (ended(status={"code": -1}), Reason.WRONG_TYPE),
        (pending(parent_span_id=b""), Reason.MISSING_FIELD),
        (pending("zz"), Reason.BAD_ID),
        (pending(attributes={"logfire.span_type": "pending_span", "logfire.pending_parent_id": 7}), Reason.BAD_ID),
    ],
)
def test_a_bad_span_costs_its_neighbours_nothing(dialect: Any, broken: Any, reason: Reason) -> None:
    """It is one part, with its own bytes and its place in the record; the spans beside it are used."""
    batch = traces(ended(), broken)
    batch.MergeFrom(traces(ended(span_id=b"3" * 8)))
    parts = spans(dialect(batch))
    assert [isinstance(part, Evidence) for part in parts] == [True, False, True]
    found = bad(parts)
    assert (found.error.reason, found.where) == (reason, "resourceSpans[0].scopeSpans[0].spans[1]")
    assert found.value == broken.SerializeToString() if dialect is _proto else found.value in dialect(batch)


def test_a_link_without_a_target_is_a_link() -> None:
    """OpenTelemetry records links with empty or zero ids where they say something else."""
    link = {"trace_id": b"\0" * 16, "trace_state": "a=b", "attributes": key_values({"n": 1})}
    for dialect in DIALECTS:
        final = reported(only(spans(dialect(traces(ended(links=[link]))))))
        ((trace_id, span_id, state, attributes),) = read_json(encode_json(final)).links
        assert (trace_id, span_id, state, attributes) == ("0" * 32, "", "a=b", {"n": 1})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"{}", Reason.MISSING_FIELD),
        (strict_json(logs(proto_log(traces(span())))), Reason.MISSING_FIELD),
        (_proto(traces()), Reason.MISSING_FIELD),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":5}]}]}', Reason.WRONG_TYPE),
        (b"\x0a\x05abc", Reason.MALFORMED),
        (b"<xml/>", Reason.MALFORMED),
    ],
)
def test_a_record_that_is_none_is_refused_whole(value: bytes | None, reason: Reason) -> None:
    """Nothing in it can be told apart."""
    assert refusal(otlp_spans.decode, value).reason is reason


def test_logs_on_a_topic_of_spans_are_refused() -> None:
    """In protobuf they look like spans of which nothing fits."""
    assert refusal(otlp_spans.decode, _proto(logs(proto_log(traces(span()))))).reason is Reason.MALFORMED
    assert bad(spans(_proto(logs(LogRecord(time_unix_nano=T0))))).error.reason is Reason.MISSING_FIELD


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_has_its_decoder(form: str) -> None:
    """By the word that the configuration has for it."""
    assert refusal(decoder_of(form), None).reason is Reason.EMPTY


@pytest.mark.parametrize("form", FORMATS)
def test_a_missing_extra_says_how_to_get_it(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without opentelemetry-proto the error names the format and the command, not a traceback of imports."""
    monkeypatch.delattr(codecs, "otlp_spans")
    monkeypatch.setitem(sys.modules, "finalizer.codecs.otlp_spans", None)
    with pytest.raises(MissingExtra, match=rf"{form} needs .* pip install 'span-finalizer\[otlp\]'"):
        decoder_of(form)


def test_text_that_is_no_hexadecimal_is_no_parent() -> None:
    """Nor is base64 that is none."""
    for parent in (b"d6ffe16bd5b6a3cx", b"d6ffe16bd5b6", b"1v/ha9W2o8E"):
        record = strict_json(traces(ended())).replace(b'"traceId"', b'"parentSpanId": "%b", "traceId"' % parent)
        assert bad(spans(record)).error.reason is Reason.BAD_ID


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dead_letter_says_the_same_of_a_foreign_span(dialect: Any) -> None:
    """Service, name, endpoint and the span itself, whatever it was sent in; bytes and NaN do not break it."""
    attributes = {"http.route": "/v1/photos", "octets": b"\xff", "nan": float("nan")}
    resource = {"service.name": "app", "service.version": "4", "octets": b"\xfe"}
    final = presumed(only(spans(dialect(traces(span(attributes=attributes), resource=resource)))))
    letter = json.loads(dead_letter.encode(final, kind="incomplete"))
    told = [letter[name] for name in ("service", "version", "span_name", "endpoint", "cause", "trace_id")]
    assert told == ["app", "4", "upload", "/v1/photos", "timeout", TRACE]
    assert {"key": "octets", "value": {"bytesValue": "/g=="}} in letter["resource"]["attributes"]
    assert {"key": "nan", "value": {"doubleValue": "NaN"}} in letter["span"]["attributes"]
