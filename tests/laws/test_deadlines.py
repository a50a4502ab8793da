"""When a span is closed, against a second reckoning of the same rules; and that no window loses a span."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.core.causes import Cause
from finalizer.core.deadlines import WIDTH, DeadlineWindows
from finalizer.core.model import Phase
from finalizer.core.terms import SECOND, Heartbeat, Terms
from tests.core.making import EPOCH, Story, at, heartbeat, start
from tests.core.watched import Watched

LAW = settings(max_examples=200, deadline=None)
TERMS = Terms(
    heartbeat=Heartbeat(interval=10 * SECOND, misses=2, min=5 * SECOND, max=60 * SECOND, allowance=1 * SECOND),
    start_grace=25 * SECOND,
    silence=100 * SECOND,
    max_duration=300 * SECOND,
)
HEAR, HOLD, LOOK = "hear", "hold", "look"
seconds = st.integers(1, 40)
doings = st.lists(st.tuples(st.sampled_from([HEAR, HOLD, LOOK]), seconds, st.sampled_from([0, 1, 8, 20])), max_size=12)


def reckoned(interval: int, done: list[tuple[str, int, int]]) -> tuple[int, Cause]:
    """Second and cause of the close: each second is looked at, and patience is counted up, not taken off."""
    clock = patience = heard = 0
    longest, beaten = interval, False
    steps = [*done, (LOOK, 1000, 0)]
    for doing, duration, declared in steps:
        for _ in range(duration):
            clock += 1
            patience += doing != HOLD
            lease = min(max((longest or 10) * 2, 5), 60) + 1
            if beaten:
                soft, cause = heard + lease, Cause.HEARTBEAT_LOST
            elif longest:
                soft, cause = max(heard + lease, 25), Cause.NO_HEARTBEAT
            else:
                soft, cause = heard + 100, Cause.TIMEOUT
            if patience >= soft and clock - 300 < patience - soft:
                return clock, cause
            if clock >= 300:
                return clock, Cause.TIMEOUT
        if doing == HEAR:
            heard, beaten, longest = patience, True, max(longest, declared)
    raise AssertionError("the backstop is always there")


@LAW
@given(interval=st.sampled_from([0, 1, 8, 40]), done=doings)
def test_nothing_is_closed_before_its_deadline(interval: int, done: list[tuple[str, int, int]]) -> None:
    """A span is closed in the very second in which it is due on its clock, with that cause: not before, not later."""
    story = Story(TERMS)
    story.tell(start(0, interval=interval))
    for doing, duration, declared in done:
        for _ in range(duration):
            if doing == HOLD:
                story.hold(1)
            else:
                story.wait_until_ns(story.clock + SECOND)
            story.look()
        if doing == HEAR:
            now = (story.clock - EPOCH) / SECOND
            story.tell(heartbeat(now, interval=declared))
    story.wait(2000)
    assert story.phase is Phase.PRESUMED
    closed = story.finals[0].closed
    second, cause = reckoned(interval, done)
    assert (closed.detected_at, closed.cause) == (at(second), cause)
    assert closed.deadline_at <= closed.detected_at


@LAW
@given(
    entries=st.lists(st.integers(0, 50 * WIDTH), max_size=60),
    takes=st.lists(st.tuples(st.integers(0, 20 * WIDTH), st.integers(1, 10), st.integers(0, 5)), max_size=20),
)
def test_windows_lose_nothing(entries: list[int], takes: list[tuple[int, int, int]]) -> None:
    """Each entry is taken once, never before its moment, and all of them in the end."""
    windows, clock = DeadlineWindows(), 0
    waiting: Counter[bytes] = Counter()
    for gap, limit, inserts in [*takes, (100 * WIDTH, 1000, len(entries))]:
        for _ in range(min(inserts, len(entries))):
            moment = entries.pop()
            key = moment.to_bytes(24, "big")
            waiting[key] += 1
            windows.insert(key, moment)
        clock += gap
        backlog = windows.backlog(clock)
        taken = windows.take(clock, limit)
        over = sum(n for key, n in waiting.items() if (int.from_bytes(key, "big") // WIDTH + 1) * WIDTH <= clock)
        assert backlog == over
        assert len(taken) == min(limit, over)
        assert all(int.from_bytes(key, "big") < clock for key in taken)
        waiting.subtract(taken)
        assert min(waiting.values(), default=0) >= 0
        assert len(windows) == waiting.total()
    assert len(windows) == 0


FLEET = range(12)
stretches = st.lists(
    st.tuples(st.frozensets(st.sampled_from(FLEET)), st.integers(1, 40), st.integers(1, 6), st.booleans()), max_size=6
)


@settings(max_examples=60, deadline=None)
@given(stretches=stretches)
def test_no_open_span_is_out_of_sight(stretches: list[tuple[frozenset[int], int, int, bool]]) -> None:
    """Whoever beats, and whatever outage, breaker or short look came between: once all is released, the silent go."""
    watched = Watched(group_of=lambda number: "ab"[number % 2], outage_least=3, breaker_least=4)
    watched.start(*FLEET)
    for beating, seconds, limit, released in stretches:
        if released:
            watched.releases.breaker(at(watched.now + 5))
            watched.releases.outage("a", at(watched.now + 5))
        watched.run(seconds, beating=beating, limit=limit)
    watched.releases.breaker(at(watched.now + 900))
    watched.releases.outage(None, at(watched.now + 900))
    watched.run(70, limit=3)
    assert watched.open() == set()
