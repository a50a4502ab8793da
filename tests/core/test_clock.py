"""The partition clock, as stories (RATIONALE: time). Seconds after `EPOCH`."""

from __future__ import annotations

from finalizer.core.clock import PartitionClock
from tests.core.listening import EVERY, Partition, lag, settled
from tests.core.making import EPOCH, at


def test_a_quiet_partition_follows_the_wall() -> None:
    """Answers every 250 ms and no records: the clock stays within half a second, and spans of the quiet are closed."""
    partition = settled()
    for _ in range(100):
        reading = partition.run(EVERY)
        assert lag(partition, reading) == EVERY
        assert reading.may_close


def test_an_empty_topic_is_quiet_too() -> None:
    """No record ever: position and high water mark are 0, and that is caught up."""
    reading = Partition("a").run(1)
    assert reading.caught_up
    assert reading.clock == at(0.75)


def test_one_answer_is_not_enough() -> None:
    """The wall is followed to the arrival of the answer before the latest one: there must be one."""
    partition = Partition("a", clock=at(-100))
    partition.now = 0.25
    partition.answer("a")
    reading = partition.read()
    assert reading.caught_up
    assert reading.clock == at(-100)
    partition.now = 0.5
    partition.answer("a")
    assert partition.read().clock == at(0.25)


def test_records_move_the_clock_before_anything_is_known_of_the_wall() -> None:
    """The running maximum of what was decided; an older record does not take it back."""
    partition = Partition("a")
    partition.append("a", 10)
    partition.answer("a")
    for seconds, clock in ((-50, -50), (-40, -40), (-45, -40)):
        partition.hand_out("a")
        partition.decide("a", seconds)
        assert partition.read().clock == at(clock)
    assert partition.clock.topic_time("a") == at(-40)


def test_a_partition_without_answers_stands_still() -> None:
    """However long somebody looks: no answer, no time."""
    partition = settled()
    before = partition.read()
    after = partition.silence(600)
    assert (after.clock, after.patience) == (before.clock, before.patience)
    assert after.behind
    assert after.blind
    assert not after.may_close


def test_unread_records_hold_the_clock() -> None:
    """While the latest answer told of records that were not handed out, the wall says nothing."""
    partition = settled()
    held = partition.read().clock
    partition.append("a", 5)
    reading = partition.run(5)
    assert reading.clock == held
    assert not reading.caught_up
    assert reading.behind
    assert not reading.blind
    assert not reading.may_close


def test_undecided_records_hold_the_clock() -> None:
    """Handed out is not decided: the end that a span waits for may be in the frame that is being decided."""
    partition = settled()
    held = partition.read().clock
    partition.append("a")
    partition.hand_out("a")
    reading = partition.run(1)
    assert reading.clock == held
    assert not reading.caught_up
    partition.decide("a", partition.now - 0.9)
    reading = partition.read()
    assert reading.caught_up
    assert lag(partition, reading) == EVERY


def test_an_answer_that_brings_records_counts_them_as_handed_out() -> None:
    """A position that advances with an answer holds the clock until its records are decided."""
    partition = settled()
    held = partition.read().clock
    partition.append("a", 3)
    partition.positions["a"] = 3
    assert partition.run(1).clock == held
    partition.decide("a", partition.now)
    assert partition.read().caught_up


def test_offsets_without_records_are_passed_over() -> None:
    """A transaction marker moves the position and nothing is there to decide: the clock goes on."""
    partition = settled()
    partition.record("a", partition.now)
    partition.append("a")
    partition.positions["a"] += 1
    partition.clock.skipped("a", position=partition.positions["a"])
    reading = partition.run(1)
    assert reading.caught_up
    assert lag(partition, reading) == EVERY


def test_a_marker_behind_undecided_records_does_not_hide_them() -> None:
    """Passing over a marker says nothing of the records before it."""
    partition = settled()
    partition.append("a", 2)
    partition.hand_out("a")
    partition.positions["a"] += 1
    partition.clock.skipped("a", position=partition.positions["a"])
    assert not partition.run(1).caught_up
    partition.clock.decided("a", next_offset=1, timestamp=at(partition.now))
    assert partition.read().caught_up


def test_reading_may_begin_anywhere() -> None:
    """A restored partition begins at its watermark: what lies below is decided."""
    partition = Partition("a", clock=at(-5))
    partition.ends["a"] = partition.positions["a"] = 1000
    partition.clock.skipped("a", position=1000)
    assert partition.run(1).clock == at(0.75)


def test_the_slowest_topic_holds_the_clock() -> None:
    """The minimum over topics: one that has unread records, or no answers, holds all."""
    partition = settled("a", "b")
    held = partition.read().clock
    partition.append("b", 5)
    partition.record("a", partition.now)
    assert partition.run(1).clock == held
    partition.hand_out("b", 5)
    partition.decide("b", partition.now)
    assert lag(partition, partition.read()) == EVERY

    silent = settled("a", "b")
    held = silent.read().clock
    reading = silent.run(5, "a")
    assert reading.clock == held
    assert reading.blind
    assert not reading.may_close


def test_a_topic_that_never_answered_holds_the_clock_at_its_start() -> None:
    """0 at the first deployment, the watermark's clock on a restore."""
    for start in (0, at(-100)):
        partition = Partition("a", "b", clock=start)
        partition.record("a", 0)
        reading = partition.run(60, "a")
        assert reading.clock == start
        assert not reading.may_close


def test_nothing_is_closed_before_it_was_caught_up_once() -> None:
    """Neither without any answer, nor where `assigned` was never told."""
    fresh = PartitionClock(["a"], settle=0)
    assert not fresh.advance(EPOCH).may_close
    fresh.decided("a", next_offset=0, timestamp=EPOCH)
    assert not fresh.advance(EPOCH).may_close
    fresh.assigned(EPOCH)
    assert not fresh.advance(EPOCH).may_close


def test_the_clock_never_goes_back() -> None:
    """Also where it had followed the wall, and the next records are older than that."""
    partition = settled()
    before = partition.read()
    partition.record("a", -100)
    assert partition.read().clock >= before.clock
