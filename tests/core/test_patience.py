"""Time in which we could not hear does not count: patience, as stories (RATIONALE: time). Seconds after `EPOCH`."""

from __future__ import annotations

from finalizer.core.terms import SECOND
from tests.core.listening import EVERY, SETTLE, Partition, lag, settled, taken_off
from tests.core.making import at


def test_settling() -> None:
    """Nothing is closed within `settle` of the assignment, and patience stands still for just as long."""
    partition = Partition("a", clock=at(-0.25))
    reading = partition.run(SETTLE - EVERY)
    assert reading.settling
    assert not reading.may_close
    assert reading.patience == at(-0.25)
    reading = partition.run(EVERY)
    assert not reading.settling
    assert reading.may_close
    reading = partition.run(5)
    assert taken_off(partition) == SETTLE + 0.25
    assert reading.patience == reading.clock - partition.clock.taken_off


def test_a_process_frozen_for_a_minute() -> None:
    """SIGSTOP: on waking it finds an old answer first. Nothing is taken for news, and the minute does not count."""
    partition = settled()
    before = partition.read()
    partition.silence(60, looking=False)
    partition.answer("a", highwater=0)  # was asked for before the freeze, lay in the socket all the time
    partition.append("a")  # an end that came meanwhile
    reading = partition.read()
    assert reading.clock == before.clock + round(EVERY * SECOND)
    assert not reading.may_close

    partition.now += EVERY
    partition.answer("a")
    assert not partition.read().caught_up
    partition.hand_out("a")
    partition.decide("a", partition.now - 30)
    reading = partition.read()
    assert lag(partition, reading) == EVERY
    assert reading.patience - before.patience == round(EVERY * SECOND)
    assert not reading.may_close

    reading = partition.run(SETTLE)
    assert reading.patience - before.patience == round(EVERY * SECOND)
    assert reading.may_close
    assert partition.run(5).patience - before.patience == round((EVERY + 5 - EVERY) * SECOND)


def test_a_freeze_that_nobody_looked_at() -> None:
    """The gap is seen between the answers as well, where no reading was taken in between."""
    partition = settled()
    before = partition.read()
    partition.now += 60
    partition.answer("a")
    partition.now += EVERY
    partition.answer("a")
    reading = partition.read()
    assert reading.patience - before.patience == round(EVERY * SECOND)
    assert reading.blind


def test_a_broker_gone_for_ten_minutes() -> None:
    """Its first answer says "caught up" while the clients still retry: patience waits for them `settle` longer."""
    partition = settled()
    before = partition.read()
    partition.silence(600)
    reading = partition.run(2 * EVERY)
    assert lag(partition, reading) == EVERY
    assert reading.blind
    assert reading.patience - before.patience == round(EVERY * SECOND)
    partition.record("a", partition.now)
    reading = partition.run(SETTLE)
    assert reading.may_close
    assert reading.clock - before.clock > 600 * SECOND
    assert reading.patience - before.patience == round(EVERY * SECOND)


def test_a_backlog_after_a_blind_time_is_still_blind() -> None:
    """Until it is caught up again: log time that runs through the gap is not time in which the span could be heard."""
    partition = settled()
    before = partition.read()
    partition.silence(600)
    partition.append("a", 600)
    partition.answer("a")
    for second in range(600):
        partition.hand_out("a")
        partition.decide("a", SETTLE + 2 + second)
        if second % 10 == 0:
            partition.run(EVERY)
    reading = partition.read()
    assert reading.blind
    assert reading.patience - before.patience == round(EVERY * SECOND)


def test_a_backlog_after_a_restart() -> None:
    """Log time runs through an hour: it counts, for all of it was heard, but what is behind closes nothing."""
    partition = Partition("a", now=3600, clock=at(0))
    partition.append("a", 360)
    for second in range(0, 3590, 10):
        partition.hand_out("a")
        partition.decide("a", second)
        reading = partition.run(0.5 if second % 100 == 0 else 0)
        assert not reading.may_close
        assert reading.behind
        assert reading.patience == reading.clock == at(second)
    assert not partition.read().settling
    partition.hand_out("a")
    partition.decide("a", 3590)
    reading = partition.run(5)
    assert reading.may_close
    # The log told until 3590, we were there from 3600 on and settled until 3610: twenty seconds that nobody heard.
    assert taken_off(partition) == 20


def test_a_restart_while_the_broker_was_gone() -> None:
    """A quiet log says nothing of who was silent, clients or broker, while no worker looked: it does not count."""
    partition = Partition("a", now=600, clock=at(0))
    reading = partition.run(1)
    assert reading.clock == at(600.75)
    assert reading.patience == at(0)
    assert partition.run(2 * SETTLE).patience == at(21 - EVERY - SETTLE)


def test_a_restart_of_one_busy_and_one_quiet_topic() -> None:
    """The log of one topic shows that the broker was there, so the quiet of the other one counts."""
    partition = Partition("a", "b", now=3600, clock=at(0))
    partition.append("a", 36)
    for second in range(100, 3601, 100):
        partition.hand_out("a")
        partition.decide("a", second)
        partition.run(EVERY)
    partition.run(2 * SETTLE)
    assert taken_off(partition) == SETTLE


def test_a_record_right_after_a_restart_does_not_make_the_silence_before_it_count() -> None:
    """It may come before anything else is known of the log: what lay between the last word and us is still unheard."""
    partition = Partition("a", now=600, clock=at(0))
    partition.record("a", 600.1)
    assert partition.read().patience == at(0)
    assert partition.run(2 * SETTLE).patience == at(2 * SETTLE - SETTLE - EVERY)


def test_a_frame_that_reaches_across_the_assignment() -> None:
    """Its records before the assignment are the log's word, though its newest is later."""
    partition = Partition("a", now=600, clock=at(0))
    partition.append("a", 2)
    partition.hand_out("a", 2)
    partition.clock.decided("a", next_offset=2, timestamp=at(600.1), word=at(590))
    partition.run(2 * SETTLE)
    assert taken_off(partition) == 10 + SETTLE


def test_a_slow_clock_on_a_log_that_was_seen_empty() -> None:
    """Its first record says an hour ago, and cannot be older than our look: the hour is neither lived nor taken off."""
    partition = Partition("a", now=600)
    partition.clock.nothing_unread("a", at=at(600))
    partition.record("a", 600 - 3600)
    assert partition.read().clock == at(600)
    assert partition.run(2 * SETTLE).clock == at(600 + 2 * SETTLE - EVERY)
    assert taken_off(partition) == SETTLE


def test_the_first_answer_may_come_late() -> None:
    """A broker that is gone when the partition is assigned: blind from the assignment on."""
    partition = Partition("a", clock=at(0))
    reading = partition.silence(60)
    assert reading.blind
    reading = partition.run(1)
    assert reading.blind
    assert reading.patience == at(0)
    reading = partition.run(SETTLE - 2 * EVERY)
    assert reading.may_close
    assert reading.patience == at(0)


def test_overlapping_silences_are_taken_off_once() -> None:
    """Two topics blind at the same time, within `settle`: the union counts, not the sum."""
    partition = Partition("a", "b", clock=at(0))
    partition.run(5)
    partition.silence(5)
    partition.run(5, "a")
    reading = partition.run(30)
    # Blind from 5 until b answers twice after 15, and settling after that.
    assert taken_off(partition) == 15 + 2 * EVERY + SETTLE
    assert reading.may_close


def test_two_silences_are_taken_off_each() -> None:
    """A silence, an hour of hearing, another silence."""
    partition = settled()
    before = taken_off(partition)
    for _ in range(2):
        partition.silence(60)
        partition.run(3600)
    assert taken_off(partition) - before == 2 * (60 + 2 * EVERY + SETTLE)


def test_a_silence_within_the_wait_after_another() -> None:
    """A broker that comes and goes: patience goes on only after a whole `settle` of hearing."""
    partition = settled()
    before = partition.read()
    for _ in range(20):
        partition.silence(5)
        assert not partition.run(SETTLE - 1).may_close
    assert partition.read().patience - before.patience == round(EVERY * SECOND)


def test_two_seconds_without_an_answer_are_no_silence() -> None:
    """A slow answer is an answer; the clock waits for it, and then the time counts."""
    partition = settled()
    before = taken_off(partition)
    for _ in range(10):
        partition.silence(2 - EVERY)
        partition.run(EVERY)
    partition.run(1)
    assert taken_off(partition) == before


def test_what_was_taken_off_survives_a_restart() -> None:
    """The watermark carries clock and sum: a new partition goes on where the old one was."""
    partition = settled()
    partition.silence(60)
    partition.run(60)
    reading = partition.read()
    restored = Partition("a", now=partition.now, clock=reading.clock, taken_off=partition.clock.taken_off)
    assert restored.read()[:2] == reading[:2]


def test_newly_assigned_again() -> None:
    """Answers of an earlier assignment say nothing: two new ones are needed, and `settle` begins again."""
    partition = settled()
    partition.now += 30
    partition.clock.assigned(at(partition.now))
    before = partition.read()
    assert before.settling
    assert not before.caught_up
    partition.answer("a")
    assert partition.read().clock == before.clock
    reading = partition.run(SETTLE - 1)
    assert not reading.may_close
    assert reading.patience == before.patience


def test_one_silence_is_one_stop() -> None:
    """However many steps the clock makes while patience stands: as far back as stops are kept, none is lost."""
    partition = settled()
    stops = len(partition.clock.stops)
    partition.silence(60)
    partition.run(100 * SETTLE)
    assert len(partition.clock.stops) == stops + 1
    assert partition.clock.stops[-1].lost == round((60 + 2 * EVERY + SETTLE) * SECOND)
