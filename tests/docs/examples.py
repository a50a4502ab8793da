"""The examples of the README: what the road makes of a client that dies, of a record that is none, and their sizes.

Nothing here is written by hand but what the clients send: the road, the terms of the page's own finalizer.yaml and the
encoders make the rest.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import click

from finalizer.cli.show import final_line, letter_line, rejected_line
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, PROTO, encode_json, encode_proto
from finalizer.codecs.state import StateCodec
from finalizer.core.model import Moment, SpanKey
from finalizer.core.remembered import FINGERPRINT_BYTES, Remembered, packed
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.core.terms import SECOND
from finalizer.pipeline import Decision, EncodeFinal, Encoding, Output, Road, Topic
from finalizer.policy.load import load
from tests.docs.page import README, sample

TOPIC, PARTITION = "spans.events", 2
BORN = 1_747_648_800 * SECOND
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LOOKED_AT = BORN + 22 * SECOND + 320_000_000
"""200 ms after the example's deadline."""
WIDTH = 116
ELLIPSIS = "{ … as in the final … }"


class Sent(NamedTuple):
    """A record as the broker has it; satisfies the road's `Record`."""

    value: bytes | None
    offset: int
    timestamp: int
    key: bytes | None = TRACE.encode()
    headers: Sequence[tuple[str, bytes]] = ()


class Read(NamedTuple):
    """An output record as a consumer sees it."""

    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int


def event(kind: str, seconds: int, /, **fields: Any) -> dict[str, Any]:
    """A native event of the example's span, so many seconds after its birth."""
    return {
        "v": 1,
        "type": kind,
        "trace_id": TRACE,
        "span_id": SPAN,
        "time_unix_nano": str(BORN + seconds * SECOND),
        **fields,
    }


START = event(
    "start",
    0,
    name="upload",
    span_type="upload",
    kind="client",
    resource={"service.name": "mobile-app", "service.version": "4.2.0", "os.name": "Android"},
    attributes={"device.model.name": "Pixel 9", "network.connection.type": "wifi", "http.route": "/v1/photos"},
    heartbeat_interval_ms=5000,
    seq=1,
)
BEAT = event("heartbeat", 5, progress=0.4, seq=2)
END = event("end", 9, status={"code": "ok"}, seq=3)
GARBAGE = {key: value for key, value in event("end", 9).items() if key != "time_unix_nano"} | {
    "time_unix_nano": BORN // 1_000_000_000
}


class Told(NamedTuple):
    """What became of a story: the last decision, and the states before and after it."""

    decision: Decision
    states: dict[SpanKey, State]

    def output(self, topic: Topic) -> Output:
        """The one record for this topic."""
        (one,) = [output for output in self.decision.outputs if output.topic is topic]
        return one


@cache
def lost() -> Told:
    """Start, heartbeat, nothing: closed when its deadline has passed."""
    road = new_road()
    for number, sent in enumerate((START, BEAT)):
        _hear(road, sent, number)
    open_states = dict(road.spans.states)
    return Told(road.wake(Moment(LOOKED_AT, LOOKED_AT), limit=10), open_states)


@cache
def finished(encode: EncodeFinal = encode_json, content_type: str = JSON) -> Told:
    """Start, heartbeat, end."""
    road = new_road(encode, content_type)
    for number, sent in enumerate((START, BEAT)):
        _hear(road, sent, number)
    return Told(_hear(road, END, 2), {})


@cache
def unusable() -> Told:
    """An end whose time is in seconds."""
    return Told(_hear(new_road(), GARBAGE, 7), {})


def sent() -> str:
    """What the client of the example sends before it dies."""
    return _fence("json", "\n".join(line_of(one) for one in (START, BEAT)))


def final() -> str:
    """The final of a span that was lost: headers, then the value."""
    output = lost().output(Topic.FINALIZED)
    return _record(output, pretty(json.loads(output.value or b"")))


def dead_letter() -> str:
    """The dead letter of the same span, without what stands in the final already."""
    output = lost().output(Topic.DLQ)
    letter = {**json.loads(output.value or b""), "resource": ELLIPSIS, "span": ELLIPSIS}
    return _record(output, pretty(letter).replace(f'"{ELLIPSIS}"', ELLIPSIS))


def rejected() -> str:
    """A record that could not be used, byte for byte."""
    output = unusable().output(Topic.REJECTED)
    return _record(output, (output.value or b"").decode())


def tail() -> str:
    """The same records as `finalizer tail` shows them."""
    finals = [finished().output(Topic.FINALIZED), lost().output(Topic.FINALIZED)]
    lines = [
        "$ finalizer tail",
        *(final_line(_read(output, at)) for output, at in zip(finals, (9, 22), strict=True)),
        "$ finalizer tail dlq",
        letter_line(_read(lost().output(Topic.DLQ), 22)),
        "$ finalizer tail rejected",
        rejected_line(_read(unusable().output(Topic.REJECTED), 9)),
    ]
    return _fence("text", "\n".join(map(click.unstyle, lines)))


def sizes() -> str:
    """What the example's span takes, wherever it is kept."""
    codec = StateCodec([TOPIC], PARTITION)
    (key, state), *_ = lost().states.items()
    [(whole_key, whole)] = codec.span(key, None, state)
    born = new_road()
    _hear(born, START, 0)
    _hear(born, BEAT, 1)
    before = born.spans.states[key]
    _hear(born, event("heartbeat", 10, seq=3), 2)
    [(hot_key, hot)] = codec.span(key, before, born.spans.states[key])
    [remembered] = finished().decision.finished.values()
    rows = [
        ("its start, as the client sent it", len(line_of(START))),
        ("open: its record in the changelog, written at its start", len(whole_key + (whole or b""))),
        ("open: what a heartbeat writes to the changelog", len(hot_key + (hot or b""))),
        ("finished: its part of a record in the changelog", len(packed(remembered))),
        ("finished: in memory, counted against `remember.max_bytes`", FINGERPRINT_BYTES),
        ("its final in `otlp_json`", _size(finished().output(Topic.FINALIZED))),
        ("its final in `otlp_proto`", _size(finished(encode_proto, PROTO).output(Topic.FINALIZED))),
        ("the same, presumed, in `otlp_json`", _size(lost().output(Topic.FINALIZED))),
        ("its dead letter", _size(lost().output(Topic.DLQ))),
    ]
    lines = [f"| {what} | {size:,} |" for what, size in rows]
    return "\n".join(["| the example's span | bytes |", "| --- | ---: |", *lines])


def new_road(encode: EncodeFinal = encode_json, content_type: str = JSON) -> Road:
    """The road of one partition, with the page's own terms and nothing open."""
    policy = load(sample(README.read_text()))
    remember = policy.remember
    spans = Spans(Remembered(remember.presumed, remember.finished, remember.max_bytes))
    return Road(
        policy,
        spans,
        decoders={TOPIC: NativeDecoder().decode},
        encoding=Encoding(encode, content_type),
        number=PARTITION,
    )


def _hear(road: Road, event: dict[str, Any], number: int) -> Decision:
    """Decide one record, which the broker had 120 ms after it was sent."""
    at = (BORN + number * 5 * SECOND) // 1_000_000 + 120
    return road.hear(TOPIC, [Sent(line_of(event).encode(), 1041 + number, at)], Moment(at * 1_000_000, at * 1_000_000))


def line_of(event: dict[str, Any]) -> str:
    """The event as it is sent."""
    return json.dumps(event, separators=(",", ":"))


def _read(output: Output, seconds: int) -> Read:
    return Read(output.value, list(output.headers), (BORN + seconds * SECOND) // 1_000_000 + 300)


def _size(output: Output) -> int:
    return len(output.value or b"")


def _record(output: Output, value: str) -> str:
    headers = [f"  {name}: {text.decode()}" for name, text in output.headers]
    return _fence("text", "\n".join([f"key: {(output.key or b'').decode()}", "headers:", *headers, "value:", value]))


def pretty(value: Any, indent: int = 0) -> str:
    """JSON with as much on one line as fits."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + indent <= WIDTH:
        return flat
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {pretty(one, indent + 2)}" for key, one in value.items()]
        opening, closing = "{}"
    else:
        items = [pretty(one, indent + 2) for one in value]
        opening, closing = "[]"
    inside = (",\n" + " " * (indent + 2)).join(items)
    return f"{opening}\n{' ' * (indent + 2)}{inside}\n{' ' * indent}{closing}"


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"
