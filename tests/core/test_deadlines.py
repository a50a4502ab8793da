"""Deadline windows: where the timer looks for work."""

from __future__ import annotations

from finalizer.core.deadlines import WIDTH, DeadlineWindows


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
