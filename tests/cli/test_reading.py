"""What `tail` makes of a record: the same for both encodings of a final, and something for every other record."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import pytest

from finalizer.cli.reading import decoded, read_final
from finalizer.cli.show import as_json, final_line, letter_line, rejected_line
from finalizer.codecs.headers import final_headers
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, PROTO, encode_json, encode_proto
from finalizer.codecs.record_headers import Header
from finalizer.core import lifecycle
from finalizer.core.effects import Emit
from finalizer.core.model import Coordinates, Final, Moment
from finalizer.core.terms import HOUR, Terms

START_AT = 1_747_648_800_000_000_000
HERE = Coordinates("spans.events", 3, 41, START_AT)
START = {
    "type": "start",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "span_id": "00f067aa0ba902b7",
    "parent_span_id": "00f067aa0ba902b8",
    "name": "upload",
    "kind": "client",
    "time_unix_nano": str(START_AT),
    "resource": {"service.name": "mobile-app"},
    "attributes": {
        "text": "ü",
        "whole": 7,
        "zero": 0,
        "part": 0.5,
        "yes": True,
        "list": ["a", 1],
        "map": {"inner": [False]},
    },
    "links": [{"trace_id": "1" * 32, "span_id": "2" * 16, "attributes": {"n": 1}}],
    "events": [{"name": "retry", "time_unix_nano": str(START_AT + 1)}],
}


@dataclass(frozen=True, slots=True)
class Record:
    """A record as a Kafka client hands it out."""

    value: bytes | None
    key: bytes | None = START["trace_id"].encode()  # type: ignore[attr-defined]
    headers: Sequence[Header] = field(default_factory=list)
    topic: str = "spans.finalized"
    partition: int = 1
    offset: int = 5
    timestamp: int = START_AT // 1_000_000 + 4_000_000


HOSTILE = [
    ("odd", b"\xff"),
    ("null", None),
    ("dlq.reason", None),
    ("dlq.reason", b"\x1b[2J\n"),
    ("span-finalizer-cause", b"\x1b]0;x\x07"),
]


def a_final() -> Final:
    """The final of a span of which only the start was heard, an hour ago."""
    evidence = NativeDecoder().decode(json.dumps(START).encode(), HERE)
    state, _ = lifecycle.hear(None, evidence, Terms(), Moment(START_AT, START_AT))
    assert state is not None
    later = START_AT + 2 * HOUR
    _, [emitted] = lifecycle.wake(evidence.key, state, Terms(), Moment(later, later))
    assert isinstance(emitted, Emit)
    return emitted.final


def filled(value: Any) -> Any:
    """A JSON value without what means the same as being absent: protobuf leaves such fields out."""
    if isinstance(value, dict):
        return {key: filled(one) for key, one in value.items() if one not in ("", [], {}, 0)}
    return [filled(one) for one in value] if isinstance(value, list) else value


def test_both_encodings_read_the_same() -> None:
    """Ids in hex, enums as numbers, 64 bits as strings: OTLP/JSON, whatever was on the topic."""
    final = a_final()
    as_text = Record(encode_json(final), headers=list(final_headers(final, JSON)))
    as_protobuf = Record(encode_proto(final), headers=list(final_headers(final, PROTO)))
    assert filled(decoded(as_protobuf)) == filled(decoded(as_text))
    assert final_line(as_protobuf) == final_line(as_text)
    assert json.loads(as_json(as_protobuf))["headers"]["content-type"] == PROTO


def test_a_final_is_seen_with_its_times() -> None:
    """Start, end, last evidence and deadline, in nanoseconds; attributes as Python values."""
    final = a_final()
    seen = read_final(Record(encode_json(final), headers=list(final_headers(final, JSON))))
    assert (seen.cause, seen.revision, seen.status, seen.reason) == ("timeout", 1, "dead", "timeout")
    assert (seen.start_at, seen.end_at, seen.last_seen) == (START_AT, START_AT, START_AT)
    assert seen.deadline_at == START_AT + HOUR
    assert seen.span == f"{START['trace_id']}/{START['span_id']}"
    sent = START["attributes"]
    assert isinstance(sent, dict)
    assert {name: seen.attributes[name] for name in sent} == sent


@pytest.mark.parametrize(
    "value",
    [
        *(
            None,
            b"",
            b"{}",
            b"[]",
            b"null",
            b"7",
            b"\xff\x00",
            b"te\x1b[2Jxt\n",
            b'{"resourceSpans":7}',
            b'{"cause":1}',
        ),
        b'{"resourceSpans":[{}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[7]}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"","spanId":"","startTimeUnixNano":"%b",'
        b'"endTimeUnixNano":"1","attributes":[{"key":"span_finalizer.deadline_unix_nano","value":{"intValue":"%b"}}]}]}]}]}'
        % (b"9" * 30, b"9" * 30),
    ],
)
@pytest.mark.parametrize("content_type", [JSON, PROTO])
def test_what_others_wrote_to_our_topics_is_shown_all_the_same(value: bytes | None, content_type: str) -> None:
    """One printable line, and one JSON object: a stranger's record must not end `tail`."""
    record = Record(value, key=b"\xff", headers=[("content-type", content_type.encode()), *HOSTILE])
    for line in (final_line, letter_line, rejected_line):
        assert click.unstyle(line(record)).isprintable()
    told = json.loads(as_json(record))
    assert (told["key"], told["headers"]["odd"]) == ({"base64": "/w=="}, {"base64": "/w=="})


def test_what_a_client_named_cannot_write_to_the_terminal() -> None:
    """A span's name may hold anything; on the screen it is text."""
    final = a_final()
    value = encode_json(final).replace(b'"name":"upload"', b'"name":"\\u001b[2Jup\\nload"')
    line = final_line(Record(value, headers=list(final_headers(final, JSON))))
    assert "\x1b[2J" not in line
    assert "\n" not in line
