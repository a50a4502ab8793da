"""What marks let a partition of evidence believe (RATIONALE: re-keying). Seconds after `EPOCH`."""

from __future__ import annotations

from finalizer.core.clock import PartitionClock
from finalizer.core.sources import Sources, Vouched, Voucher
from finalizer.core.terms import SECOND
from tests.core.listening import SETTLE, Partition
from tests.core.making import at

PLACES = (("logs", 0), ("logs", 1))


def mark(partition: int, seconds: float, *deaf: tuple[float, float], caught_up: bool = True) -> Vouched:
    """What a mark says of one partition of `logs`."""
    return Vouched("logs", partition, at(seconds), caught_up=caught_up, deaf=tuple((at(a), at(b)) for a, b in deaf))


def evidence(*, clock: float = 0) -> tuple[PartitionClock, Sources]:
    """The clock of a partition that is made of re-keyed evidence alone, restored with what it knew at `clock`."""
    sources = Sources(PLACES)
    partition = PartitionClock((), settle=SETTLE * SECOND, clock=at(clock), sources=sources)
    partition.assigned(at(clock))
    return partition, sources


def test_the_clock_is_the_minimum_over_all_sources() -> None:
    """What one source has not vouched for may still come: the slowest one counts."""
    clock, sources = evidence()
    sources.told(mark(0, 50))
    sources.told(mark(1, 20))
    assert clock.advance(at(50)).clock == at(20)
    sources.told(mark(1, 60))
    assert clock.advance(at(60)).clock == at(50)


def test_a_source_that_nobody_vouched_for_holds_the_clock() -> None:
    """After a restart nothing is closed until each source has been heard of again, and it is told which are missing."""
    clock, sources = evidence(clock=10)
    sources.told(mark(0, 100))
    reading = clock.advance(at(100))
    assert reading.clock == at(10)
    assert not reading.may_close
    assert sources.unmarked == (("logs", 1),)
    sources.told(mark(1, 100))
    reading = clock.advance(at(100))
    assert reading.clock == at(100)
    assert reading.may_close
    assert not sources.unmarked


def test_a_new_source_holds_the_clock() -> None:
    """A topic got another partition: until somebody vouches for it, it may hold anything."""
    clock, sources = evidence()
    for partition in (0, 1):
        sources.told(mark(partition, 50))
    sources.expect([*PLACES, ("logs", 2)])
    for partition in (0, 1):
        sources.told(mark(partition, 90))
    assert clock.advance(at(90)).clock == at(0)
    sources.told(mark(2, 80))
    assert clock.advance(at(90)).clock == at(80)


def test_an_old_mark_takes_nothing_back() -> None:
    """A worker that was frozen writes what was true before: marks only raise, and the newest one's word counts."""
    clock, sources = evidence()
    for partition in (0, 1):
        sources.told(mark(partition, 50))
    sources.told(mark(0, 30, caught_up=False))
    reading = clock.advance(at(50))
    assert reading.clock == at(50)
    assert reading.caught_up


def test_what_sources_could_not_hear_is_taken_off_once() -> None:
    """Both were deaf at the same time for a while: patience loses the union, in pieces or at once."""
    clock, sources = evidence()
    for partition in (0, 1):
        sources.told(mark(partition, 10))
    clock.advance(at(10))
    sources.told(mark(0, 25, (20, 25)))
    sources.told(mark(0, 50, (25, 30)))
    sources.told(mark(1, 50, (25, 40)))
    reading = clock.advance(at(50))
    assert reading.clock == at(50)
    assert reading.clock - reading.patience == 20 * SECOND


def test_deaf_time_ahead_of_the_clock_outlives_a_restart() -> None:
    """A source was deaf while another lagged: what the clock has yet to pass is stored with the watermark."""
    clock, sources = evidence()
    sources.told(mark(0, 100, (50, 90)))
    sources.told(mark(1, 20))
    clock.advance(at(100))
    again = Sources(PLACES)
    restored = PartitionClock(
        (), settle=SETTLE * SECOND, clock=at(20), taken_off=clock.taken_off, deaf=clock.deaf_ahead, sources=again
    )
    for partition in (0, 1):
        again.told(mark(partition, 110))
    reading = restored.advance(at(110))
    assert reading.clock - reading.patience == 40 * SECOND


def test_direct_topics_and_sources_are_one_clock() -> None:
    """Direct inputs are further topics of the same clock: whoever is slowest holds it."""
    sources = Sources(PLACES[:1])
    partition = Partition("events", clock=at(0), sources=sources)
    partition.run(SETTLE + 1)
    assert partition.read().clock == at(0)
    sources.told(mark(0, 5))
    assert partition.read().clock == at(5)
    sources.told(mark(0, 100))
    reading = partition.read()
    assert at(10) < reading.clock < at(11)
    assert reading.may_close


def test_a_mark_tells_each_deaf_moment_until_it_was_heard() -> None:
    """A mark that failed to be written is no reason to forget: the next one tells the same time again, and more."""
    partition = Partition("logs")
    voucher = Voucher(("logs", 0), partition.clock)
    partition.run(SETTLE / 2)
    first = voucher.vouch(at(partition.now), paused=False)
    partition.run(SETTLE)
    second = voucher.vouch(at(partition.now), paused=False)
    assert first.deaf[-1][1] == first.clock
    assert second.deaf[-1] == (at(0), at(SETTLE))
    voucher.told(second)
    partition.run(1)
    assert voucher.vouch(at(partition.now), paused=False).deaf == ()


def test_a_gap_in_what_the_source_heard_is_told() -> None:
    """The broker of the source was away for a while: that time, and `settle` after it, is in the marks."""
    partition = Partition("logs")
    voucher = Voucher(("logs", 0), partition.clock)
    partition.run(SETTLE + 1)
    voucher.told(voucher.vouch(at(partition.now), paused=False))
    gone = partition.now
    partition.silence(5)
    assert voucher.vouch(at(partition.now), paused=False).blind
    partition.run(SETTLE + 1)
    (deaf,) = voucher.vouch(at(partition.now), paused=False).deaf
    assert deaf[0] == at(gone)
    assert deaf[1] >= at(gone + 5 + SETTLE)
