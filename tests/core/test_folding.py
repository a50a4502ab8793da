"""Folding: evidence is joined, whatever its order and repeats (RATIONALE: folding)."""

from __future__ import annotations

from itertools import permutations

import pytest

from finalizer.core.causes import StatusCode
from finalizer.core.fold import join_layers, merge_layers
from finalizer.core.lifecycle import layers_with
from finalizer.core.model import Kind, Layer, Lifecycle, Status
from tests.core.making import Story, Words, at, end, evidence, heartbeat, start, words


def joined(*told: tuple[float, int, Words]) -> list[bytes]:
    """The bytes of the layers after joining (event time, seq, body) in this order."""
    layers: tuple[Layer, ...] = ()
    for seconds, seq, body in told:
        layers = join_layers(layers, heartbeat(seconds, seq=seq, body=body), body)
    return [layer.body.data for layer in layers]


def test_layers_stand_in_the_order_of_records() -> None:
    """Event time, then sequence number, then bytes: the order of arrival does not show."""
    told = [(1, 5, words("a", "p")), (2, 1, words("b", "q")), (2, 2, words("c", "r")), (2, 2, words("d", "s"))]
    for order in permutations(told):
        assert joined(*order) == [b"a", b"b", b"c", b"d"]


def test_what_later_records_cover_is_dropped() -> None:
    """A heartbeat that carries the whole span replaces the ones before it, in any order of arrival."""
    told = [
        (1, -1, words("start", "name", "host")),
        (2, -1, words("first", "name", "host", "progress")),
        (3, -1, words("note", "note")),
        (4, -1, words("second", "name", "host", "progress")),
    ]
    for order in permutations(told):
        assert joined(*order) == [b"note", b"second"]


def test_repeats_add_nothing() -> None:
    """The same record twice, also one that was covered already, leaves the layers as they are."""
    old, new = (1, -1, words("old", "x")), (2, -1, words("new", "x"))
    layers = join_layers((), heartbeat(1, body=old[2]), old[2])
    assert join_layers(layers, heartbeat(1, body=old[2]), old[2]) is layers
    assert joined(old, new, old, new) == joined(new, old, old) == [b"new"]


def test_late_layers_are_merged_in_order() -> None:
    """What came after a presumed close takes its place in the order of records."""
    one, two, three = (Layer(at(n), -1, words(str(n), str(n))) for n in (1, 2, 3))
    assert merge_layers((one, three), (two,)) == (one, two, three)
    assert merge_layers((one, three), ()) == (one, three)


def test_layers_with_is_what_the_terms_look_at() -> None:
    """The terms see the span as it will be once this evidence is joined."""
    story = Story()
    story.tell(start(0, body=words("a", "x")))
    assert story.state is not None
    seen = layers_with(story.state, heartbeat(1, body=words("b", "y")))
    assert [layer.body.data for layer in seen] == [b"a", b"b"]


def test_times_are_joined() -> None:
    """start is the earliest told, last seen the latest, seq the highest."""
    story = Story()
    story.tell(
        heartbeat(9, start=3, seq=4), heartbeat(7, heard=10, start=2, seq=9), heartbeat(8, heard=11, start=5, seq=1)
    )
    state = story.state
    assert state is not None
    assert (state.start_at, state.last_seen, state.seq) == (at(2), at(9), 9)


def test_declared_times_are_joined_to_the_longest() -> None:
    """Of several intervals or timeouts that a client declared, the longest stands, whatever came last."""
    story = Story()
    story.tell(start(0, interval=5, timeout=100), heartbeat(1, interval=9), start(0, heard=2, interval=7, timeout=80))
    state = story.state
    assert state is not None
    assert (state.interval, state.timeout) == (9 * 10**9, 100 * 10**9)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_latest_status_before_the_end_stands(order: tuple[int, ...]) -> None:
    """By event time, not by arrival; UNSET takes nothing back."""
    codes = (StatusCode.OK, StatusCode.ERROR, StatusCode.UNSET)
    story = Story()
    story.tell(start(0))
    for place, n in enumerate(order):
        story.tell(heartbeat(n, heard=10 + place, status=Status(codes[n])))
    story.tell(end(20))
    assert story.last.closed.status == Status(StatusCode.ERROR)


def test_what_only_some_spans_tell_is_joined() -> None:
    """Progress, lifecycle and session by their own order; a plain span keeps nothing of the kind."""
    story = Story()
    story.tell(start(0))
    assert story.state is not None
    plain = story.state.told
    story.tell(heartbeat(1))
    assert story.state.told is plain
    story.tell(heartbeat(5, progress=0.5), heartbeat(4, heard=6, progress=0.9), evidence(Kind.HEARTBEAT, 7, session=90))
    story.tell(evidence(Kind.LIFECYCLE, 8, session=50, lifecycle=Lifecycle.BACKGROUND))
    told = story.state.told
    assert (told.progress, told.best_progress, told.progressed) == ((at(5), -1, 0.5), 0.9, at(6))
    assert (told.session_expires_at, told.lifecycle, told.paused) == (at(90), (at(8), -1, Lifecycle.BACKGROUND), at(8))
