"""A heartbeat that carries a span which has not changed: what it costs in the changelog, what is restored from it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.codecs.description import describe
from finalizer.codecs.state import StateCodec
from finalizer.core.lifecycle import hear
from finalizer.core.model import Evidence, Moment
from finalizer.core.state import State
from finalizer.core.terms import SECOND
from tests.codecs.otlp_making import SOURCE, ended, json_log, log, logs, proto_log, span, strict_json, traces
from tests.codecs.spans import KEY, T0, TERMS, heartbeat
from tests.codecs.spans import decode as native
from tests.codecs.telling import only, partial, spans
from tests.codecs.test_state import compacted, restored

CODEC = StateCodec([SOURCE.topic], SOURCE.partition)
Records = list[tuple[bytes, bytes | None]]


def beat(seconds: int, *, record: Any = proto_log, **fields: Any) -> Evidence:
    """A heartbeat that carries the whole span, so many seconds after its start."""
    made = record(traces(span(**fields)), at=T0 + seconds * SECOND)
    found = only(partial(strict_json(logs(made))))
    return found.but(source=SOURCE.but(heard_at=T0 + seconds * SECOND))


def bare(seconds: int, source: Any = None) -> Evidence:
    """A heartbeat that carries nothing: a log without a body, or a native one."""
    if source is None:
        return only(partial(strict_json(logs(log(None, at=T0 + seconds * SECOND)))))
    return native(heartbeat(time_unix_nano=T0 + seconds * SECOND), source)


def written(told: Iterable[Evidence]) -> tuple[State, Records]:
    """The state after this evidence, and all that the changelog got."""
    state: State | None = None
    log: Records = []
    for piece in told:
        before = state
        state, _ = hear(before, piece, TERMS, Moment(piece.heard_at, piece.heard_at))
        assert state is not None
        if state is not before:
            log += CODEC.span(KEY, before, state)
    assert state is not None
    return state.but(wake_at=0), log


def is_whole(key: bytes) -> bool:
    """True for the key of a whole state, False for that of a hot value."""
    return key[:1] == b"s"


@pytest.mark.parametrize("record", [proto_log, json_log])
@pytest.mark.parametrize(
    "fields", [{}, {"status": {"code": 2, "message": "disk full"}}], ids=["unset", "with a status"]
)
def test_an_unchanged_span_is_written_once_whatever_the_order(record: Any, fields: dict[str, Any]) -> None:
    """Of any order of heartbeats one record is whole, all others are hot values of at most 40 bytes."""
    beats = [beat(seconds, record=record, **fields) for seconds in (5, 10, 15, 20)]
    states = set()
    for order in permutations(beats):
        state, log = written(order)
        assert [key for key, _ in log if is_whole(key)] == [b"s" + KEY]
        assert all(len(value or b"") <= 40 for key, value in log if not is_whole(key))
        assert restored(log, CODEC) == restored(compacted(log), CODEC) == state
        states.add((state.layers[0].at, state.told.status, state.last_seen))
    status = (T0 + 20 * SECOND, -1, 2, "disk full") if fields else None
    assert states == {(T0 + 20 * SECOND, status, T0 + 20 * SECOND)}


def test_a_snapshot_that_differs_in_its_time_alone_is_no_change() -> None:
    """Datadog's carry the time by then as their end; that is not kept."""
    told = [
        only(
            spans(
                traces(
                    ended(end_time_unix_nano=T0 + n * SECOND, attributes={"_dd.partial_version": n})
                ).SerializeToString()
            )
        )
        for n in (1, 2, 3)
    ]
    _, log = written(told)
    assert [is_whole(key) for key, _ in log] == [True, False, False]


def test_a_changed_span_is_written_whole() -> None:
    """Another attribute, another status, a link more: each is worth a record."""
    before = beat(5)
    changed: list[dict[str, Any]] = [
        {"attributes": {"a": 1}},
        {"status": {"code": 2}},
        {"links": [{"span_id": b"x" * 8}]},
    ]
    for fields in changed:
        later = beat(10, **fields)
        _, log = written((before, later, beat(15)))
        assert [is_whole(key) for key, _ in log][:2] == [True, True]


def test_what_was_said_again_is_not_forgotten_by_a_heartbeat_that_says_nothing() -> None:
    """The hot value of a heartbeat without a body replaces the one that said when the body was heard last."""
    state, log = written((beat(5), beat(10), bare(15), bare(20)))
    assert [is_whole(key) for key, _ in log] == [True, False, True, False]
    assert restored(log, CODEC) == restored(compacted(log), CODEC) == state
    assert state.layers[0].at == T0 + 10 * SECOND


changes: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"attributes": {"a": 1}}, {"attributes": {}}, {"status": {"code": 2}}, {"status": {"code": 1}}]
)
histories = st.lists(
    st.one_of(
        st.tuples(st.integers(1, 6), changes).map(lambda made: beat(made[0], **made[1])),
        st.integers(1, 6).map(bare),
        st.integers(1, 6).map(lambda seconds: bare(seconds, SOURCE)),
        st.integers(1, 6).map(lambda n: native(heartbeat(time_unix_nano=T0 + n * SECOND, attributes={"n": n}), SOURCE)),
        st.integers(1, 6).map(lambda n: native(heartbeat(time_unix_nano=T0 + n * SECOND, progress=n / 6), SOURCE)),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=300)
@given(histories)
def test_what_is_restored_is_what_was_in_memory(told: list[Evidence]) -> None:
    """Whatever was said again, changed, or said by another kind of client in between; compacted, too."""
    state, log = written(told)
    assert restored(log, CODEC) == restored(compacted(log), CODEC) == state


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 4), changes), min_size=1, max_size=4))
def test_the_order_of_arrival_changes_nothing(made: list[tuple[int, Any]]) -> None:
    """A span that goes back to what it said before is what it said last, however late the rest arrives."""
    told = [beat(seconds, **fields) for seconds, fields in made]
    found = set()
    for order in permutations(told):
        state, _ = written(order)
        description = describe(state.layers)
        found.add((repr(description), state.told.status, state.last_seen))
    assert len(found) == 1
