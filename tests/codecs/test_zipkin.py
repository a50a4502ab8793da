"""Zipkin v2 JSON: what each span says in OTLP's words, and what is refused because it cannot be told safely."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finalizer.codecs import zipkin
from finalizer.codecs.errors import Reason
from finalizer.codecs.otlp import encode_json, encode_proto
from finalizer.codecs.parts import BadPart, Part
from finalizer.codecs.verdict import PREFIX
from finalizer.core.model import Evidence, Kind
from tests.codecs.otlp_making import PARENT, SOURCE
from tests.codecs.reading import read_json, read_proto
from tests.codecs.spans import KEY, SPAN, T0, TRACE
from tests.codecs.telling import only, presumed, refusal, reported

WHOLE: dict[str, Any] = {
    "traceId": TRACE,
    "id": SPAN,
    "parentId": PARENT,
    "name": "get /v1",
    "kind": "CLIENT",
    "timestamp": T0 // 1000,
    "duration": 9_000_000,
    "localEndpoint": {"serviceName": "app", "ipv4": "10.0.0.1", "port": 8080},
    "remoteEndpoint": {"serviceName": "db", "ipv6": "::1", "port": 5432},
    "annotations": [{"timestamp": T0 // 1000 + 5, "value": "wire.send"}],
    "tags": {"http.path": "/v1", "error": "disk full", "otel.scope.name": "lib", "otel.scope.version": "2"},
}


def decoded(*spans: Any) -> list[Part]:
    """What a record of these spans holds."""
    return zipkin.decode(json.dumps(list(spans)).encode(), SOURCE)


def test_a_span_with_a_duration_is_an_end_that_carries_its_start() -> None:
    """All that Zipkin can say is there, under the names that a stock collector gives it."""
    found = only(decoded(WHOLE))
    assert (found.kind, found.key, found.at, found.start_at) == (Kind.END, KEY, T0 + 9_000_000_000, T0)
    final = reported(found)
    told = read_json(encode_json(final))
    assert repr(told) == repr(read_proto(encode_proto(final)))
    assert (told.name, told.kind, told.parent_span_id, told.scope) == ("get /v1", 3, PARENT, "lib")
    assert (told.status, told.events) == ((2, "disk full"), [(T0 + 5000, "wire.send", {})])
    assert told.resource == {"service.name": "app", "net.host.ip": "10.0.0.1", "net.host.port": 8080}
    assert {name: value for name, value in told.attributes.items() if not name.startswith(PREFIX)} == {
        "http.path": "/v1",
        "error": "disk full",
        "peer.service": "db",
        "net.peer.ip": "::1",
        "net.peer.port": 5432,
    }


def test_a_span_without_a_duration_is_a_start() -> None:
    """Its final, if it is heard of no more, has its name and its start."""
    found = only(decoded({name: value for name, value in WHOLE.items() if name != "duration"}))
    assert (found.kind, found.at, found.start_at) == (Kind.START, T0, T0)
    assert read_json(encode_json(presumed(found))).name == "get /v1"


def test_a_short_trace_id_is_filled_with_zeros() -> None:
    """Zipkin's trace ids may have 64 bits; one span may stand alone in its record."""
    bare = {"traceId": TRACE[16:], "id": SPAN, "timestamp": T0 // 1000, "duration": 1}
    found = only(zipkin.decode(json.dumps(bare).encode(), SOURCE))
    assert found.key.hex() == "0" * 16 + TRACE[16:] + SPAN


@pytest.mark.parametrize(
    ("tags", "status"), [({"otel.status_code": "OK"}, (1, "")), ({"error": "true"}, (2, "")), ({}, None)]
)
def test_the_status_is_in_the_tags(tags: dict[str, str], status: Any) -> None:
    """OpenTelemetry's own tags, else Zipkin's `error`."""
    found = only(decoded(WHOLE | {"tags": tags}))
    assert found.end is not None
    assert found.end.status == status


def test_a_server_that_shares_its_clients_ids_does_not_end_its_clients_span() -> None:
    """Both have the same ids, in one record or in two; only the client's span is used, the other says what to set."""
    client = {name: value for name, value in WHOLE.items() if name != "duration"}
    started, refused = decoded(client, WHOLE | {"kind": "SERVER", "shared": True})
    assert isinstance(started, Evidence)
    assert started.kind is Kind.START
    assert isinstance(refused, BadPart)
    assert (refused.error.reason, "supportsJoin" in refused.error.detail) == (Reason.BAD_ID, True)
    assert only(decoded(WHOLE | {"shared": False})).kind is Kind.END


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (WHOLE | {"shared": True}, Reason.BAD_ID),
        (WHOLE | {"timestamp": None}, Reason.MISSING_FIELD),
        (WHOLE | {"timestamp": 1}, Reason.BAD_TIME),
        (WHOLE | {"timestamp": 2**63}, Reason.WRONG_TYPE),
        (WHOLE | {"duration": -1}, Reason.WRONG_TYPE),
        (WHOLE | {"duration": 2**63 // 1000 - 1}, Reason.BAD_TIME),
        (WHOLE | {"traceId": "0"}, Reason.ZERO_ID),
        (WHOLE | {"id": "x"}, Reason.BAD_ID),
        (WHOLE | {"kind": "OTHER"}, Reason.WRONG_TYPE),
        (WHOLE | {"tags": {"otel.status_code": "?"}}, Reason.WRONG_TYPE),
        (WHOLE | {"localEndpoint": {"port": 10**30}}, Reason.WRONG_TYPE),
        ({}, Reason.WRONG_TYPE),
        (5, Reason.WRONG_TYPE),
    ],
)
def test_a_bad_span_costs_its_neighbours_nothing(broken: Any, reason: Reason) -> None:
    """It is one part, with its own bytes and its place; a span shared by client and server has no id of its own."""
    parts = decoded(WHOLE, broken, WHOLE)
    assert [isinstance(part, Evidence) for part in parts] == [True, False, True]
    assert isinstance(parts[1], BadPart)
    assert (parts[1].error.reason, parts[1].where, json.loads(parts[1].value)) == (reason, "[1]", broken)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (b'{"a":NaN}', Reason.MALFORMED),
        (b'{"a":"\\ud800"}', Reason.MALFORMED),
        (b'{"a":"[{,\\"","b":,}', Reason.MALFORMED),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", Reason.TOO_DEEP),
    ],
)
def test_a_span_that_breaks_the_parser_costs_its_neighbours_nothing(broken: bytes, reason: Reason) -> None:
    """A list that cannot be read as a whole is cut by its brackets: a batch is of strangers."""
    whole = json.dumps(WHOLE).encode()
    parts = zipkin.decode(b" [" + whole + b", " + broken + b"," + whole + b"]\n", SOURCE)
    assert [isinstance(part, Evidence) for part in parts] == [True, False, True]
    assert isinstance(parts[1], BadPart)
    assert (parts[1].error.reason, parts[1].where, parts[1].value) == (reason, "[1]", broken)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"[{NaN}]{}", Reason.MALFORMED),
        (b"[{NaN}][{}]", Reason.MALFORMED),
        (b"[{NaN},5]", Reason.MALFORMED),
        (b'["x",{NaN}]', Reason.MALFORMED),
        (b"[[NaN]]", Reason.MALFORMED),
        (b'[{"NaN}]', Reason.MALFORMED),
        (None, Reason.EMPTY),
        (b"[]", Reason.MISSING_FIELD),
        (b"[{", Reason.MALFORMED),
        (b"[" * 100_000, Reason.TOO_DEEP),
        (b"\x0a\x05abc", Reason.MALFORMED),
    ],
)
def test_a_record_that_is_none_is_refused_whole(value: bytes | None, reason: Reason) -> None:
    """Protobuf is not read: Zipkin's Kafka reporters send JSON."""
    assert refusal(zipkin.decode, value).reason is reason
