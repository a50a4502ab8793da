"""Deadline windows: where the timer looks for work."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given, settings

from finalizer.core.deadlines import WIDTH, DeadlineWindows
from finalizer.core.remembered import Remembered
from finalizer.core.spans import ENTRIES_TO_SPARE, Spans
from finalizer.core.state import State
from finalizer.core.terms import HOUR


def key(number: int) -> bytes:
    """A span key, one for each number."""
    return number.to_bytes(24, "big")


def test_a_key_comes_when_its_window_is_over() -> None:
    """Never before its deadline, and no later than the width of a window after it."""
    for at in (10 * WIDTH, 10 * WIDTH + 1, 11 * WIDTH - 1):
        windows = DeadlineWindows()
        windows.insert(key(1), at)
        assert windows.take(11 * WIDTH - 1, 10) == []
        assert windows.take(11 * WIDTH, 10) == [key(1)]
        assert windows.take(11 * WIDTH, 10) == []


def test_oldest_windows_first() -> None:
    """However they were inserted, the spans that wait longest are looked at first."""
    windows = DeadlineWindows()
    for number in (7, 3, 9, 1, 3):
        windows.insert(key(number), number * WIDTH)
    assert windows.take(10 * WIDTH, 3) == [key(1), key(3), key(3)]
    windows.insert(key(2), 2 * WIDTH)
    assert windows.take(10 * WIDTH, 3) == [key(2), key(7), key(9)]


def test_work_is_bounded_and_nothing_is_lost() -> None:
    """A wake-up takes what it may and the rest waits, within a window and over windows."""
    windows = DeadlineWindows()
    for number in range(1000):
        windows.insert(key(number), number // 300 * WIDTH)
    seen: list[bytes] = []
    while taken := windows.take(10 * WIDTH, 70):
        assert len(taken) <= 70
        seen += taken
        assert windows.backlog(10 * WIDTH) == len(windows) == 1000 - len(seen)
    assert sorted(seen) == [key(number) for number in range(1000)]


def test_backlog_counts_only_what_is_over() -> None:
    """The backlog is what `take` would give without a limit; windows to come do not count."""
    windows = DeadlineWindows()
    for number in range(100):
        windows.insert(key(number), (number * 37 % 100) * WIDTH)
    for clock in (0, WIDTH, 50 * WIDTH, 1000 * WIDTH):
        assert windows.backlog(clock) == min(clock // WIDTH, 100)
    assert len(windows) == 100


def test_a_gap_of_hours_costs_nothing() -> None:
    """Windows that hold nothing do not exist: a clock that jumps a year finds only what was inserted."""
    windows = DeadlineWindows()
    year = 365 * 24 * 3600 * 10**9
    windows.insert(key(1), 5)
    windows.insert(key(2), year)
    assert windows.take(year // 2, 10) == [key(1)]
    assert windows.take(2 * year, 10) == [key(2)]


def test_a_moved_span_appears_again() -> None:
    """A span that moved is in both windows: whoever takes it asks the state."""
    windows = DeadlineWindows()
    windows.insert(key(1), WIDTH)
    windows.insert(key(1), 5 * WIDTH)
    assert windows.take(3 * WIDTH, 10) == [key(1)]
    assert windows.take(6 * WIDTH, 10) == [key(1)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), max_size=60),
    st.lists(st.integers(1, 20), min_size=1, max_size=12),
)
def test_only_what_is_not_due_there_is_dropped(moves: list[tuple[int, int]], limits: list[int]) -> None:
    """Spans move, and some of them end; tidied in pieces, every window gives those who are due in it, once the pieces
    have come round, and no others."""
    windows, due = DeadlineWindows(), dict[bytes, int]()
    for place, (span, window) in enumerate(moves):
        windows.insert(key(span), window * WIDTH)
        due[key(span)] = window * WIDTH if span % 3 else -1
        windows.tidy(lambda one: due[one], limits[place % len(limits)])
    for _ in range(2 * len(moves) + 12):
        windows.tidy(lambda one: due[one], 1 + limits[0])
    entries = windows.take(100 * WIDTH, 1000)
    assert {one for one, at in due.items() if at >= 0} == set(entries)
    assert len(windows) == 0


def test_spans_that_are_over_leave_no_keys_for_an_hour() -> None:
    """Many that would be due in an hour end at once; of those who stay none is forgotten."""
    spans, hour, lasting = Spans(Remembered(HOUR, HOUR, 0)), 3600 * 10**9, State()
    lasting.wake_at = hour
    spans.states = {key(number): lasting for number in range(0, 80_000, 1000)}
    spans.open = len(spans.states)
    for number in range(80_000):
        spans.windows.insert(key(number), hour + number % 2 * WIDTH)
    for _ in range(8):
        spans.tidy(limit=10_000)
    assert len(spans.windows) <= 2 * spans.open + ENTRIES_TO_SPARE
    assert spans.states.keys() <= set(spans.windows.take(2 * hour, 80_000))
