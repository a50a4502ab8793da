"""More is open than memory has room for: who goes, and that no more go than must."""

from __future__ import annotations

from collections.abc import Container

import pytest

from finalizer.core import crowd
from finalizer.core.causes import Cause
from finalizer.core.effects import DeadLetter, Emit
from finalizer.core.lifecycle import weight
from finalizer.core.model import SpanKey
from tests.core.watched import Watched, key


def evict(watched: Watched, limit: int = 10**6) -> list[int]:
    """Close whoever must go."""
    return watched.take(watched.watch.crowded(watched.moment, limit=limit))


def test_the_longest_silent_go_first_and_no_more_than_must() -> None:
    """Ten places, fifteen spans: the five of which nothing was heard for longest, in that order."""
    watched = Watched(max_spans=10)
    for number in range(15):
        watched.start(number)
        watched.now += 1
    watched.beat(0, 1)
    assert evict(watched) == [2, 3, 4, 5, 6]
    assert evict(watched) == []
    assert not watched.watch.crowd.over


def test_they_are_written_out_never_dropped() -> None:
    """An evicted span has a final: cause `evicted`, end at its last evidence, no deadline that anybody missed."""
    watched = Watched(max_spans=1)
    watched.start(1, 2)
    evict(watched)
    (effect,) = watched.closed[1].effects
    assert isinstance(effect, Emit)
    closed = effect.final.closed
    assert (closed.cause, closed.end_at, closed.deadline_at) == (Cause.EVICTED, closed.last_seen, 0)


def test_a_span_without_a_start_becomes_a_dead_letter() -> None:
    """Names are never invented, not for want of memory either."""
    watched = Watched(max_spans=1)
    watched.beat(1)
    watched.now += 1
    watched.start(2)
    evict(watched)
    (effect,) = watched.closed[1].effects
    assert isinstance(effect, DeadLetter)


def test_the_bound_may_be_of_bytes() -> None:
    """As many go as it takes for the rest to weigh no more than it may."""
    watched = Watched()
    watched.start(*range(10))
    one = weight(watched.spans.states[key(0)])
    watched.watch.crowd._max_bytes = 4 * one + 1
    assert evict(watched) == [0, 1, 2, 3, 4, 5]


def test_a_bounded_number_at_a_time() -> None:
    """The rest goes the next time: a worker that is over its bound still answers."""
    watched = Watched(max_spans=3)
    watched.start(*range(10))
    assert evict(watched, limit=4) == [0, 1, 2, 3]
    assert evict(watched, limit=4) == [4, 5, 6]


def test_one_pass_serves_many_evictions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four times the bound is poured in: passes over all spans are rare, and it is always the most silent who goes."""
    passes = []
    whole = crowd.Crowd._make_ready

    def counted(self: crowd.Crowd, going: Container[SpanKey]) -> None:
        passes.append(1)
        whole(self, going)

    monkeypatch.setattr(crowd.Crowd, "_make_ready", counted)
    bound = 17_000
    watched = Watched(max_spans=bound)
    gone = []
    for number in range(4 * bound):
        watched.start(number)
        watched.now = number / 1000
        if number % 1000 == 999:
            gone += evict(watched)
            assert watched.spans.open <= bound
    assert gone == list(range(3 * bound))
    assert len(passes) <= 3 * bound // 1000
    assert watched.open() == set(range(3 * bound, 4 * bound))


def test_who_was_heard_since_a_pass_is_not_taken_by_it() -> None:
    """A pass notes who was silent then; who has spoken since goes after those who have not."""
    watched = Watched(max_spans=10)
    watched.start(*range(11))
    assert evict(watched) == [0]
    watched.now += 1
    watched.beat(*range(1, 9))
    watched.start(20, 21, 22)
    assert evict(watched) == [9, 10, 1]


def test_no_more_bytes_go_at_once_than_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest goes with the next look; one span goes in any case, however large it is."""
    watched = Watched(max_spans=1)
    watched.start(1, 2, 3, 4)
    each = weight(watched.spans.states[key(1)])
    monkeypatch.setattr(crowd, "BYTES_AT_ONCE", 2 * each)
    assert evict(watched) == [1, 2]
    assert evict(watched) == [3]
    watched.start(5)
    monkeypatch.setattr(crowd, "BYTES_AT_ONCE", 1)
    assert evict(watched) == [4]
