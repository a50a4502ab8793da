"""Records, states and finals that the tests of the codecs are made of."""

from __future__ import annotations

import json
from typing import Any

from finalizer.codecs.native import NativeDecoder
from finalizer.core import lifecycle
from finalizer.core.effects import DeadLetter, Emit
from finalizer.core.model import Coordinates, Evidence, Final, Moment
from finalizer.core.state import State
from finalizer.core.terms import HOUR, SECOND, Terms

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
KEY = bytes.fromhex(TRACE + SPAN)
T0 = 1_747_648_800_000_000_000
SOURCE = Coordinates("spans.events", 3, 1041, T0 + 120_000_000)
TERMS = Terms(rule="uploads", policy="9f2c41d07a6be835")

UPLOAD: dict[str, Any] = {
    "v": 1,
    "type": "start",
    "trace_id": TRACE,
    "span_id": SPAN,
    "parent_span_id": "d6ffe16bd5b6a3c1",
    "name": "upload",
    "span_type": "upload",
    "kind": "client",
    "time_unix_nano": str(T0),
    "resource": {"service.name": "mobile-app", "service.version": "4.2.0", "os.name": "Android"},
    "attributes": {"device.model.name": "Pixel 8", "network.connection.type": "wifi", "http.route": "/v1/photos"},
    "heartbeat_interval_ms": 5000,
    "session_id": "s-81",
    "seq": 1,
}
"""A start as a mobile client sends it."""


def record(kind: str, /, **fields: Any) -> bytes:
    """A native record of the span; a field that is None is left out."""
    event = {"type": kind, "trace_id": TRACE, "span_id": SPAN, "time_unix_nano": T0, **fields}
    return json.dumps({name: value for name, value in event.items() if value is not None}).encode()


def start(**fields: Any) -> bytes:
    """A start named upload, at T0."""
    return record("start", **{"name": "upload", **fields})


def heartbeat(**fields: Any) -> bytes:
    """A heartbeat, five seconds after T0."""
    return record("heartbeat", **{"time_unix_nano": T0 + 5 * SECOND, **fields})


def end(**fields: Any) -> bytes:
    """An end, nine seconds after T0."""
    return record("end", **{"time_unix_nano": T0 + 9 * SECOND, **fields})


def decode(value: bytes | None, source: Coordinates = SOURCE) -> Evidence:
    """The evidence in a native record."""
    return NativeDecoder().decode(value, source)


def heard(*records: bytes) -> tuple[State | None, Final | None]:
    """The state after these records, one offset after the other, and the last final that they brought about."""
    state, final = None, None
    for number, value in enumerate(records):
        source = Coordinates(SOURCE.topic, SOURCE.partition, SOURCE.offset + number, SOURCE.heard_at + number * SECOND)
        now = Moment(source.heard_at, source.heard_at)
        state, effects = lifecycle.hear(state, decode(value, source), TERMS, now)
        for effect in effects:
            if isinstance(effect, Emit | DeadLetter):
                final = effect.final
    return state, final


def reported(*records: bytes) -> Final:
    """The final of a span whose end is among the records."""
    _, final = heard(*records)
    assert final is not None
    return final


def presumed(*records: bytes) -> Final:
    """The final of a span that is heard of no more; a dead letter's where nobody told the start."""
    state, _ = heard(*records)
    assert state is not None
    later = T0 + 1000 * HOUR
    _, effects = lifecycle.wake(KEY, state, TERMS, Moment(later, later))
    (effect,) = effects
    assert isinstance(effect, Emit | DeadLetter)
    return effect.final
