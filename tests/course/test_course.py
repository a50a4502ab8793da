"""The course of a partition: which frames go on where the last one ended, and what time does to what was decided."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from finalizer.core.crowd import BYTES_AT_ONCE
from finalizer.core.model import Coordinates, Evidence, Phase
from finalizer.course import Decided
from finalizer.following import Hole
from finalizer.pipeline import Topic
from tests.core.making import at
from tests.course.running import ENDS, EVENTS, Running, event, key, marks, seconds


def causes(decided: Sequence[Decided]) -> list[str]:
    """Causes of the finals in these decisions."""
    return [
        dict(output.headers)["span-finalizer-cause"].decode()
        for one in decided
        for output in one.decision.outputs
        if output.topic is Topic.FINALIZED
    ]


def test_a_frame_that_goes_on_is_taken_and_a_hole_is_not() -> None:
    """What is missing between two frames is never processed over."""
    course = Running().course
    assert course.follows(EVENTS, begin=0, end=10)
    assert course.follows(EVENTS, begin=10, end=12)
    with pytest.raises(Hole, match="expected offset 12, the frame begins at 13"):
        course.follows(EVENTS, begin=13, end=14)


def test_a_frame_from_before_the_seek_is_no_hole() -> None:
    """After a restore frames may come early (dropped) or from the group's older offset (taken, and passed over), until
    what was sought for comes. None of them makes the partition doubtful."""
    running = Running()
    running.hear(0, *[event("start", 0, span=span) for span in range(1, 101)])
    course = running.course
    course.read_on()
    assert not course.follows(EVENTS, begin=150, end=160)
    assert course.follows(EVENTS, begin=20, end=40)
    assert course.follows(EVENTS, begin=100, end=110)


def test_records_that_are_decided_are_passed_over() -> None:
    """A frame that is read twice changes nothing, and its watermark does not go back."""
    running = Running()
    running.hear(0, event("start", 0), event("end", 0))
    running.ends[EVENTS] = 0
    again = running.hear(1, event("start", 0), event("end", 0))
    assert again.records == 0
    assert not again.decision
    assert marks(again.watermark) == {EVENTS: 1}


def test_a_frame_of_markers_moves_the_watermark() -> None:
    """Positions that were passed over are read: a restart does not ask for them again."""
    running = Running()
    decided = running.course.hear(EVENTS, [], end=7, stamped=True, now=0)
    assert marks(decided.watermark) == {EVENTS: 6}


def test_what_finishes_while_another_topic_is_not_heard_yet_is_remembered() -> None:
    """The partition's clock stands until every topic was heard. What closes meanwhile is remembered from the time at
    which it was heard; by the clock it would be forgotten with the first answer of the other topic."""
    running = Running(EVENTS, ENDS)
    (finished,) = causes([running.hear(10, event("start", 9), event("end", 10))])
    assert finished == "completed"
    assert running.answered(10.5, EVENTS, ENDS) == running.answered(11, EVENTS, ENDS) == []
    assert running.course.reading is not None
    assert seconds(running.course.reading.clock) == 10.5
    again = running.hear(11, event("start", 9), event("end", 10))
    assert causes([again]) == []
    assert running.course.spans.states == {}


def test_evidence_heard_after_a_gap_is_not_younger_than_it_is() -> None:
    """On a `CreateTime` input nothing is older than the topic's clock was when the frame came. The frame itself does
    not make its records younger: it may hold all that was sent in a minute of which we heard nothing."""
    running = Running()
    running.goes_on(0, 10)
    running.answered(60)
    running.hear(
        60.5, event("start", 20), event("heartbeat", 40), event("heartbeat", 60), stamps=[20, 40, 60], stamped=False
    )
    state = running.course.spans.states[key()]
    assert (seconds(state.first.heard_at), seconds(state.last.heard_at)) == (20, 60)


def test_a_record_that_cannot_be_decided_costs_its_neighbours_nothing() -> None:
    """Deciding is pure, so a frame that raises is decided again record by record; the one that raises is rejected."""
    running = Running()
    decode = running.decoders[EVENTS]

    def fails_on_two(value: bytes | None, source: Coordinates) -> Evidence:
        if value is not None and b"%032x" % 2 in value:
            raise ValueError("two")
        return decode(value, source)

    running.decoders[EVENTS] = fails_on_two
    decided = running.hear(0, *[event("start", 0, span=span) for span in (1, 2, 3)])
    assert set(running.course.spans.states) == {key(1), key(3)}
    (rejected,) = decided.decision.outputs
    assert (rejected.topic, rejected.value) == (Topic.REJECTED, event("start", 0, span=2))
    assert [(record.offset, str(error)) for record, error in running.undecided] == [(1, "two")]
    assert marks(decided.watermark) == {EVENTS: 2}


def test_large_spans_are_closed_a_few_at_a_time() -> None:
    """What is closed at once is in memory at once, so a timer's work is bounded by bytes as well."""
    running = Running()
    count, large = 30, "x" * 2**20
    for span in range(1, count + 1):
        running.hear(0, event("start", 0, span=span, heartbeat_interval_ms=1000, attributes={"a": large}))
    decisions = running.goes_on(0, 60)
    closed = [causes([one]) for one in decisions]
    assert sum(map(len, closed)) == count
    assert max(map(len, closed)) == BYTES_AT_ONCE // 2**20


def test_what_a_timer_decides_moves_no_watermark() -> None:
    """Only evidence says how far was read."""
    running = Running()
    running.hear(0, event("heartbeat", 0))
    (decided,) = running.goes_on(0, 12)
    assert decided.watermark is None
    (output,) = decided.decision.outputs
    assert json.loads(output.value or b"")["cause"] == "missing_start"


def test_a_restored_course_goes_on_as_the_one_before() -> None:
    """What is closed stays closed, and what was decided and not sent is sent as it was decided."""
    running = Running()
    heard = running.hear(0, event("start", 0, timeout_ms=8000), event("heartbeat", 0, span=2))
    changes = running.writes(heard)[0].changes
    decided = running.goes_on(0, 12)
    unsent, sent = running.writes(*decided)
    after = Running(now=60, changelog=[*changes, *unsent.changes])
    assert after.restored.unsent == {key(1), key(2)}
    again, spans = after.course.unsent(after.restored.unsent)
    assert [output.value for output in again.outputs] == [output.value for output in sent.outputs]
    assert [span for span, _ in spans] == [key(1), key(2)]
    assert after.course.spans.open == 0
    assert causes(after.goes_on(60, 90)) == []
    assert Running(now=60, changelog=[*changes, *unsent.changes, *sent.changes]).restored.unsent == set()


def test_what_a_look_at_a_span_has_changed_is_durable() -> None:
    """Evidence that was heard before its clock knew of an outage is younger than patience allows, and is put right
    when the timer looks at it. A restart finds it put right."""
    before = Running(EVENTS, ENDS)
    before.goes_on(0, 10)
    changes = before.writes(before.hear(10, event("start", 10, span=2)))[0].changes
    running = Running(EVENTS, ENDS, now=100, changelog=changes)
    beats = (event("start", 100, heartbeat_interval_ms=5000), event("heartbeat", 100))
    heard = running.hear(100.25, *beats)
    for decided in (heard, *running.goes_on(100.25, 125), running.hear(125, event("heartbeat", 125))):
        changes = [*changes, *(change for write in running.writes(decided) for change in write.changes)]
    state = running.course.spans.states[key()]
    assert state.phase is Phase.OPEN
    found = Running(EVENTS, ENDS, now=130, changelog=changes).restored.states[key()]
    assert (found.heard, found.opened) == (state.heard, state.opened)


def test_a_restart_before_the_first_look_delays_nothing() -> None:
    """Evidence that was heard before its clock knew of an outage is put right as soon as a restored partition may
    close, not when it would be due by what was noted then."""
    before = Running(EVENTS, ENDS)
    before.goes_on(0, 10)
    changes = before.writes(before.hear(10, event("start", 10, span=2)))[0].changes
    running = Running(EVENTS, ENDS, now=1000, changelog=changes)
    heard = running.hear(1000.25, event("start", 1000, heartbeat_interval_ms=5000))
    for decided in (heard, *running.goes_on(1000.25, 1005)):
        changes = [*changes, *(change for write in running.writes(decided) for change in write.changes)]
    changes = [*changes, *running.writes(running.hear(1005, event("heartbeat", 1005, span=3)))[0].changes]
    assert running.course.spans.states[key()].phase is Phase.OPEN
    again = Running(EVENTS, ENDS, now=1006, changelog=changes)
    again.hear(1007, event("heartbeat", 1007, span=3))
    assert "no_heartbeat" in causes(again.goes_on(1007, 1050))


def test_what_is_decided_late_is_as_fresh_as_when_it_was_heard() -> None:
    """Evidence that waited unread through an outage has its whole lease after it: what was taken off since it was heard
    is not counted against it."""
    running = Running()
    running.goes_on(0, 20)
    waited = (event("start", 20, heartbeat_interval_ms=5000), event("heartbeat", 20))
    running.hear(80, *waited, event("heartbeat", 80, span=2), stamps=[20.5, 20.5, 80])
    assert causes(running.goes_on(80, 101)) == []
    assert causes(running.goes_on(101, 105)) == ["heartbeat_lost"]
    closed = running.course.spans.states[key()].closed
    assert closed is not None
    assert 101 < seconds(closed.deadline_at) < 102


def test_a_producers_stamp_counts_up_to_the_arrival_of_its_frame() -> None:
    """What is stamped in the future was heard when it came, however long its frame waited before it was decided."""
    running = Running()
    running.goes_on(0, 20)
    running.hear(23, event("start", 3600), stamps=[3600], stamped=False, arrived=21)
    assert seconds(running.course.spans.states[key()].first.heard_at) == 21


def test_a_stamp_from_the_future_tells_nothing_of_what_is_unread() -> None:
    """On a `CreateTime` input it is no time at all: the clock goes to where everything was read for certain, which is
    the answer before the one with that stamp. What landed since it was asked for may still come, and a start did."""
    running = Running()
    running.goes_on(0, 20)
    running.hear(20.5, event("heartbeat", 20), stamps=[20.5], stamped=False)
    running.goes_on(20.5, 25)
    told = running.hear(26, event("start", 3600, span=2), stamps=[3600], stamped=False)
    assert told.watermark is not None
    assert seconds(told.watermark.clock) == 25
    assert running.course.tick(at(26)) is None
    running.hear(26.1, event("start", 19), stamps=[19], stamped=False)
    assert running.course.spans.states[key()].phase is Phase.OPEN
