"""How records are parted into frames changes nothing (RATIONALE: remembered).

At one moment, that is: between two frames the timer may look, so where time passes a deadline may be over, a span
evicted, or one forgotten, and then it does matter what was heard by then.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.core.model import End, Moment, SpanKey
from finalizer.core.remembered import Remembered
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.core.terms import HOUR
from finalizer.pipeline import Encoding, Output, Road
from finalizer.policy.load import load
from finalizer.sim.broker import Record
from tests.core.making import at
from tests.course.running import EVENTS, event, key

LAW = settings(max_examples=300, deadline=None)
POLICY = load(
    """
    rules:
      - {name: strict, match: {name: strict}, terms: {late_end: dead_letter}}
      - {name: deaf, match: {name: deaf}, terms: {late_end: drop}}
    """
)
NOW = Moment(at(20), at(20))

names = st.sampled_from(["upload", "strict", "deaf"])
told: dict[str, st.SearchStrategy[Any]] = {
    "start": st.fixed_dictionaries({"name": names}),
    "heartbeat": st.fixed_dictionaries({}, optional={"seq": st.integers(1, 2)}),
    "lifecycle": st.just({"state": "background"}),
    "end": st.fixed_dictionaries(
        {},
        optional={
            "name": names,
            "start_time_unix_nano": st.just(at(0)),
            "reason": st.sampled_from(["partial", "abandoned", "restarted", "cancelled"]),
            "status": st.sampled_from([{"code": "ok"}, {"code": "error", "message": "m"}]),
        },
    ),
}


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """One event of one of two spans: many ends, since it is they that meet."""
    kind = draw(st.sampled_from(["start", "heartbeat", "lifecycle", "end", "end", "end"]))
    fields: dict[str, Any] = draw(told[kind])
    return event(kind, draw(st.integers(1, 4)), span=draw(st.integers(1, 2)), **fields)


def decided(frames: Sequence[Sequence[Record]]) -> tuple[list[Output], dict[SpanKey, State | End | None]]:
    """What is written of these frames, and what is known of each span afterwards: its whole state, or its end."""
    spans = Spans(Remembered(24 * HOUR, HOUR, 2**30))
    road = Road(POLICY, spans, decoders={EVENTS: NativeDecoder().decode}, encoding=Encoding(encode_json, JSON))
    outputs = [output for frame in frames for output in road.hear(EVENTS, frame, NOW).outputs]
    known = {one: spans.states.get(one) or spans.memory.end_of(one) for one in (key(1), key(2))}
    return outputs, known


@LAW
@given(st.lists(events(), min_size=1, max_size=8), st.data())
def test_frames_do_not_matter(values: list[bytes], data: st.DataObject) -> None:
    """The same finals and letters, byte for byte and in the same order, and the same is known afterwards."""
    records = [Record(EVENTS, 0, number, at(10) // 1_000_000, None, value) for number, value in enumerate(values)]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(records)))))
    frames = [records[first:last] for first, last in pairwise([0, *cuts, len(records)])]
    assert decided(frames) == decided([records])
