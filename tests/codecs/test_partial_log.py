"""Partial-span logs in all their dialects: what each says, and what of a batch cannot be used."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf.message import Message

from finalizer.codecs import partial_log
from finalizer.codecs.description import describe
from finalizer.codecs.errors import Reason
from finalizer.codecs.go_duration import go_duration
from finalizer.codecs.otlp import encode_json
from finalizer.core.causes import Cause
from finalizer.core.model import Evidence, Kind
from finalizer.core.terms import HOUR, MINUTE, SECOND
from tests.codecs.otlp_making import (
    SOURCE,
    base64_json,
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
    theirs,
    to_message,
    traces,
)
from tests.codecs.reading import read_json
from tests.codecs.spans import KEY, SPAN, T0, TRACE
from tests.codecs.telling import bad, heard, only, partial, presumed, refusal, reported


def _proto(message: Message) -> bytes:
    return message.SerializeToString()


def _snake_json(message: Message) -> bytes:
    text = strict_json(message).decode()
    for camel, snake in (
        ("resourceLogs", "resource_logs"),
        ("scopeLogs", "scope_logs"),
        ("logRecords", "log_records"),
        ("timeUnixNano", "time_unix_nano"),
        ("stringValue", "string_value"),
    ):
        text = text.replace(f'"{camel}"', f'"{snake}"')
    return text.encode()


ENCODINGS: list[Any] = [_proto, strict_json, base64_json, _snake_json]
BODIES = [
    pytest.param(proto_log, id="proto"),
    *(pytest.param(lambda b, d=d, **t: json_log(b, d, **t), id=d.__name__) for d in (strict_json, python_json)),
    *(pytest.param(lambda b, d=d, **t: json_log(b, d, **t), id=d.__name__) for d in (base64_json, dotnet_json)),
]


def evidence(record: Any, encode: Any = strict_json, **resource: Any) -> Evidence:
    """The evidence in a batch of one log."""
    return only(partial(encode(logs(record, resource=resource))))


@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize("body", BODIES)
def test_a_heartbeat_carries_its_span(encode: Any, body: Any) -> None:
    """Any body in any encoding of the log: the span with its start, alive at the time of the log, and its interval."""
    found = evidence(body(traces(full())), encode)
    assert (found.kind, found.key, found.at, found.start_at) == (Kind.HEARTBEAT, KEY, T0 + 5 * SECOND, T0)
    assert (found.interval, found.end, found.seq, found.source) == (5 * SECOND, None, -1, SOURCE)
    told = theirs(to_message(encode_json(presumed(found)))).resource_spans[0].scope_spans[0].spans[0]
    expected = theirs(traces(full())).resource_spans[0].scope_spans[0].spans[0]
    assert (told.links, told.events, told.flags) == (expected.links, expected.events, expected.flags)
    ours = {"error.type", "partial.gc"}
    assert [item for item in told.attributes if item.key not in ours] == list(expected.attributes)


@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize("body", BODIES)
def test_stop_carries_the_ended_span(encode: Any, body: Any) -> None:
    """The end that the span reports, not the time of the log; with its start and status."""
    found = evidence(body(traces(full()), event="stop", at=T0 + 11 * SECOND), encode)
    assert (found.kind, found.at, found.start_at) == (Kind.END, T0 + 9 * SECOND, T0)
    assert found.end is not None
    assert (found.end.cause, found.end.at, found.end.status) == (Cause.COMPLETED, T0 + 9 * SECOND, (2, "disk full"))
    assert theirs(to_message(encode_json(reported(found)))) == theirs(traces(full()))


def test_a_heartbeat_alone_is_enough() -> None:
    """Some clients never send a start: one that only beat has its start, its name, and its last moment as its end."""
    last = evidence(proto_log(traces(span()), at=T0 + 15 * SECOND))
    final = read_json(encode_json(presumed(evidence(proto_log(traces(span()))), last)))
    assert (final.name, final.start, final.end) == ("upload", T0, T0 + 15 * SECOND)


def test_attributes_grow() -> None:
    """Each heartbeat carries the span as it is by then; the final has all, and one body is kept of the many."""
    told = [
        evidence(json_log(traces(span(attributes={str(n): n for n in range(count)})), at=T0 + count * SECOND))
        for count in (1, 2, 3)
    ]
    states, _ = heard(*told)
    assert len(states[KEY].layers) == 1
    assert describe(states[KEY].layers).attributes == {"0": 0, "1": 1, "2": 2}


@pytest.mark.parametrize("body", BODIES)
def test_the_logs_resource_fills_what_the_spans_lacks(body: Any) -> None:
    """Merged name by name, the span's own word wins; what the processor says of itself is dropped."""
    resource = {"service.name": "log", "host.name": "h", "n": 1, "b": b"\x00", "partial.x": "y"}
    for own, expected in (
        ({"service.name": "app", "n": 2}, {"service.name": "app", "n": 2, "host.name": "h", "b": b"\x00"}),
        ({}, {name: value for name, value in resource.items() if name != "partial.x"}),
    ):
        for encode in ENCODINGS:
            found = evidence(body(traces(span(), resource=own)), encode, **resource)
            assert found.subject is not None
            assert found.subject.resource == expected


def test_a_span_without_any_resource_has_the_logs() -> None:
    """.NET's early processors write a null for it."""
    body = dotnet_json(traces(span())).replace(
        b'"resource": {"attributes": [', b'"resource": null, "x": {"attributes": ['
    )
    found = evidence(log(body.decode(), body_type="json"), **{"service.name": "log"})
    assert found.subject is not None
    assert found.subject.resource == {"service.name": "log"}


@pytest.mark.parametrize("content", ["text", "bytes", "raw"])
@pytest.mark.parametrize("encode", ENCODINGS)
def test_a_body_may_be_text_or_bytes(content: str, encode: Any) -> None:
    """Base64 as text, base64 as bytes, and protobuf in bytes, which need no base64; JSON in bytes."""
    data = traces(span()).SerializeToString()
    text = base64.b64encode(data)
    bodies: dict[str, str | bytes] = {"text": text.decode(), "bytes": text, "raw": data}
    body = bodies[content]
    assert evidence(log(body), encode).key == KEY
    assert evidence(log(body, body_type="proto"), encode).key == KEY
    assert evidence(log(strict_json(traces(span())), body_type="json"), encode).key == KEY


def test_json_in_the_place_of_protobuf_is_told_by_its_brace() -> None:
    """Base64 never begins with one, so a processor that does not name its body is understood."""
    assert evidence(log(strict_json(traces(span())).decode())).key == KEY


@pytest.mark.parametrize("event", ["heartbeat", "stop"])
@pytest.mark.parametrize("encode", ENCODINGS)
def test_a_log_without_a_body_speaks_of_its_own_span(event: str, encode: Any) -> None:
    """By the ids of the log; it tells no start."""
    found = evidence(log(None, event=event), encode)
    assert (found.key, found.at, found.start_at, found.body, found.subject) == (KEY, T0 + 5 * SECOND, None, None, None)
    assert (found.end is not None) == (event == "stop")


def test_several_spans_in_a_body_are_several_spans() -> None:
    """Each with the time and the interval of the log."""
    batch = traces(span(), span(span_id=b"2" * 8), resource={"service.name": "app"})
    batch.MergeFrom(traces(span(span_id=b"3" * 8, trace_id=b"t" * 16), resource={"service.name": "other"}))
    for record in (proto_log(batch), json_log(batch)):
        parts = partial(strict_json(logs(record)))
        found = [part for part in parts if isinstance(part, Evidence)]
        assert [part.key for part in found] == [KEY, KEY[:16] + b"2" * 8, b"t" * 16 + b"3" * 8]
        assert [part.subject.resource for part in found if part.subject] == [{"service.name": "app"}] * 2 + [
            {"service.name": "other"}
        ]
        assert {(part.at, part.interval) for part in found} == {(T0 + 5 * SECOND, 5 * SECOND)}


def test_a_batch_of_many_resources_traces_and_spans() -> None:
    """One record of a collector holds the logs of many processes; each log keeps its own resource."""
    batch = logs(json_log(traces(span())), proto_log(traces(span(span_id=b"2" * 8))), resource={"r": 1})
    batch.MergeFrom(logs(proto_log(traces(ended()), event="stop"), resource={"r": 2}))
    for encode in ENCODINGS:
        found = [part for part in partial(encode(batch)) if isinstance(part, Evidence)]
        assert [part.kind for part in found] == [Kind.HEARTBEAT, Kind.HEARTBEAT, Kind.END]
        assert [part.subject.resource["r"] for part in found if part.subject and part.subject.resource] == [1, 1, 2]


@pytest.mark.parametrize("encode", ENCODINGS)
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (log("x", event="heartbeat"), Reason.MALFORMED),
        (log("eHh4", event="stop"), Reason.MALFORMED),
        (log("{", body_type="json"), Reason.MALFORMED),
        (log("[]", body_type="json/v1"), Reason.WRONG_TYPE),
        (log("{}", body_type="json/v1"), Reason.MISSING_FIELD),
        (log('{"resourceSpans":[]}', body_type="json/v1"), Reason.MISSING_FIELD),
        (log("x", body_type="json/v2"), Reason.UNKNOWN_VERSION),
        (log("x", event="start"), Reason.UNKNOWN_KIND),
        (log("x", event=None), Reason.MISSING_FIELD),
        (proto_log(traces(span()), frequency="soon"), Reason.WRONG_TYPE),
        (proto_log(traces(span()), at=5), Reason.BAD_TIME),
        (proto_log(traces(span()), at=0), Reason.MISSING_FIELD),
        (proto_log(traces(span()), at=0, event="stop"), Reason.MISSING_FIELD),
        (log(None, at=0), Reason.MISSING_FIELD),
        (proto_log(traces(span(start_time_unix_nano=1))), Reason.BAD_TIME),
        (proto_log(traces(span(trace_id=b"\0" * 16))), Reason.ZERO_ID),
        (proto_log(traces(span(span_id=b"x"))), Reason.BAD_ID),
        (json_log(traces(span(span_id=None))), Reason.MISSING_FIELD),
        (json_log(traces(span(kind=9))), Reason.WRONG_TYPE),
    ],
)
def test_a_bad_log_costs_its_neighbours_nothing(encode: Any, record: Any, reason: Reason) -> None:
    """It is one part, with its own bytes and its place in the record; the logs beside it are used."""
    batch = logs(proto_log(traces(span())), record, json_log(traces(span())))
    parts = partial(encode(batch))
    assert [isinstance(part, Evidence) for part in parts] == [True, False, True]
    found = bad(parts)
    assert found.error.reason is reason
    assert found.where.startswith("resourceLogs[0].scopeLogs[0].logRecords[1]")
    if ".body." not in found.where:
        own = record.SerializeToString()
        assert found.value == own if encode is _proto else found.value in encode(batch)


def test_a_bad_span_in_a_body_is_told_by_its_place() -> None:
    """Within the log, and that within the record; its bytes are those of the span."""
    batch = traces(span(), span(span_id=b"\0" * 8))
    for record, own in ((proto_log(batch), batch.resource_spans[0].scope_spans[0].spans[1].SerializeToString()),):
        parts = partial(strict_json(logs(proto_log(traces(span())), record)))
        place = "resourceLogs[0].scopeLogs[0].logRecords[1].body.resourceSpans[0].scopeSpans[0].spans[1]"
        assert (bad(parts).where, bad(parts).value, len(parts)) == (place, own, 3)
    found = bad(partial(strict_json(logs(json_log(batch)))))
    assert json.loads(found.value)["spanId"] == "0" * 16


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"{}", Reason.MISSING_FIELD),
        (b'{"resourceLogs":[]}', Reason.MISSING_FIELD),
        (b'{"resourceLogs":{}}', Reason.WRONG_TYPE),
        (b'{"resourceLogs":[5]}', Reason.WRONG_TYPE),
        (b'{"resourceLogs":[', Reason.MALFORMED),
        (b"start", Reason.MALFORMED),
        (b"\x0a", Reason.MALFORMED),
        (b"\n{}", Reason.MALFORMED),
    ],
)
def test_a_record_that_is_none_is_refused_whole(value: bytes | None, reason: Reason) -> None:
    """Nothing in it can be told apart."""
    assert refusal(partial_log.decode, value).reason is reason


def test_json_may_begin_with_blanks() -> None:
    """A line feed is also how protobuf begins; a pretty-printed record is JSON all the same."""
    record = strict_json(logs(proto_log(traces(span()))))
    for blank in (b" ", b"\n", b"\r\n\t ", b"\n\n"):
        assert only(partial(blank + record)).key == KEY
        assert only(partial(blank + json.dumps(json.loads(record), indent=2).encode())).key == KEY


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5000ms", 5 * SECOND),
        ("1m30s", 90 * SECOND),
        ("1.5h", 90 * MINUTE),
        ("1h0m0.5s", HOUR + SECOND // 2),
        (".5s", SECOND // 2),
        ("+3s", 3 * SECOND),
        ("7us8µs9μs", 24_000),
        ("10ns", 10),
        ("0", 0),
        ("1" * 30 + "h", 2**62),
    ],
)
def test_go_durations(text: str, expected: int) -> None:
    """As `time.ParseDuration` reads them, no longer than 146 years."""
    assert go_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "ms", "-5s", "5 s", "5S", "1.2.3s", "٣s", "5s ", "1s" * 40])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A unit is needed, and a frequency is never negative."""
    record = log(traces(span()).SerializeToString(), frequency=text or " ")
    assert bad(partial(strict_json(logs(record)))).error.reason is Reason.WRONG_TYPE


def test_a_heartbeat_without_a_frequency_declares_none() -> None:
    """Then the terms say how often it should beat."""
    assert evidence(log(traces(span()).SerializeToString(), frequency=None)).interval == 0


def test_a_stop_without_an_end_is_at_its_log() -> None:
    """What else could it be; a client that stops a span has ended it."""
    found = evidence(proto_log(traces(span()), event="stop"))
    assert found.end is not None
    assert (found.end.at, found.at, found.start_at) == (T0 + 5 * SECOND, T0 + 5 * SECOND, T0)


def test_the_time_of_observation_stands_in_for_the_logs_own() -> None:
    """Some bridges set only that."""
    record = proto_log(traces(span()), at=0)
    record.observed_time_unix_nano = T0 + 6 * SECOND
    assert {evidence(record, encode).at for encode in (_proto, strict_json)} == {T0 + 6 * SECOND}


def test_an_attribute_of_early_dotnet_clients_is_text() -> None:
    """They wrote the attribute's value without the object around it."""
    body = strict_json(traces(span())).replace(b'{"stringValue": "/v1/photos"}', b'"/v1/photos"')
    assert b'"value": "/v1' in body
    found = evidence(log(body.decode(), body_type="json"))
    assert found.subject is not None
    assert found.subject.attributes == {"http.route": "/v1/photos"}
    assert found.key.hex() == (TRACE + SPAN)
