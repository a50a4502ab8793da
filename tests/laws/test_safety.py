"""What holds of the safeties whatever happens: who is cut off is not closed, and nothing goes beyond its bound."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.core.safety import Breaker, Releases
from finalizer.core.terms import MINUTE, SECOND, Heartbeat, Terms
from tests.core.making import at
from tests.core.watched import INTERVAL, Watched

LAW = settings(max_examples=100, deadline=None)


@LAW
@given(
    count=st.integers(12, 60),
    misses=st.integers(2, 5),
    allowance=st.sampled_from([SECOND // 2, SECOND, 2 * SECOND]),
    before=st.floats(6, 40),
    cut=st.floats(1, 120),
)
def test_whoever_comes_back_after_an_outage_was_never_closed(
    count: int, misses: int, allowance: int, before: float, cut: float
) -> None:
    """A group beats, is cut off as a whole at any moment and for any time below `max_pause`, and beats again."""
    watched = Watched(
        terms=Terms(heartbeat=Heartbeat(interval=INTERVAL * SECOND, required=True, misses=misses, allowance=allowance))
    )
    everybody = range(count)
    watched.start(*everybody)
    assert watched.run(before, beating=everybody) == []
    assert watched.run(cut) == []
    assert watched.run(INTERVAL * 4, beating=everybody) == []
    assert watched.watch.outages.held == ()


@LAW
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 200), st.integers(0, 100)), max_size=40))
def test_the_breaker_never_lets_more_through_than_its_share(steps: list[tuple[int, int, int]]) -> None:
    """Over any window: of those that were open in it, no more than half are closed, however they come due."""
    breaker = Breaker(window=MINUTE, least=10, max_share=0.5, releases=Releases())
    now, open_spans = 0, 0
    closed: list[tuple[int, int]] = []
    for wait, opened, due in steps:
        now += wait
        open_spans += opened
        room = breaker.room(open_spans, at(now))
        closing = min(due, open_spans) if room is None else min(due, open_spans, room)
        breaker.count(closing, at(now))
        open_spans -= closing
        closed.append((now, closing))
        lately = sum(count for when, count in closed if when > now - 55)
        assert room is None or lately <= 0.5 * (open_spans + lately) + 0.5 or closing == 0


@LAW
@given(st.data())
def test_evictions_take_the_longest_silent_and_keep_the_bound(data: st.DataObject) -> None:
    """Whatever is opened and heard in between: each that goes has been silent for no less time than any that stays."""
    bound = data.draw(st.integers(1, 12))
    watched = Watched(max_spans=bound)
    number = 0
    for _ in range(data.draw(st.integers(1, 15))):
        watched.now += data.draw(st.integers(0, 3))
        opened = data.draw(st.integers(0, 8))
        watched.start(*range(number, number + opened))
        number += opened
        speaking = data.draw(st.lists(st.sampled_from(sorted(watched.open())), max_size=5)) if watched.open() else []
        watched.beat(*speaking)
        heard = {one: watched.heard(one) for one in watched.open()}
        gone = watched.take(watched.watch.crowded(watched.moment, limit=100))
        assert len(gone) == max(0, len(heard) - bound)
        staying = watched.open()
        assert watched.spans.open == len(staying) == len(heard) - len(gone)
        assert not gone or not staying or max(heard[one] for one in gone) <= min(heard[one] for one in staying)
