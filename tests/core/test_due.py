"""When a span is due, and with which cause (RATIONALE: deadlines). Seconds after the start of the story."""

from __future__ import annotations

import pytest

from finalizer.core.causes import Cause, StatusCode
from finalizer.core.effects import DeadLetter
from finalizer.core.model import Evidence, Kind, Lifecycle, Phase, Status
from finalizer.core.terms import HOUR, MINUTE, SECOND, Heartbeat, Terms
from tests.core.making import EPOCH, Story, at, end, evidence, heartbeat, lifecycle, start

DAY = 24 * 3600


def closes_at(story: Story, seconds: float, cause: Cause) -> None:
    """Nothing is written until that moment, and then a final with this cause, of which it is the deadline."""
    assert story.wait(seconds - 0.000_001) == []
    (emit,) = story.wait(seconds)
    assert emit is story.effects[-1]
    closed = story.last.closed
    assert closed.cause is cause
    assert closed.deadline_at == at(seconds)
    assert closed.detected_at == at(seconds)


@pytest.mark.parametrize(
    ("terms", "told", "seconds", "cause"),
    [
        pytest.param(Terms(), [start(0)], 3600, Cause.TIMEOUT, id="silence: a span that does not beat, one hour"),
        pytest.param(
            Terms(),
            [start(0), start(0, heard=100)],
            3700,
            Cause.TIMEOUT,
            id="silence: from the last evidence of any kind",
        ),
        pytest.param(Terms(), [start(0, interval=20)], 62, Cause.NO_HEARTBEAT, id="3 intervals + 2 s where declared"),
        pytest.param(
            Terms(), [start(0, interval=5)], 30, Cause.NO_HEARTBEAT, id="before the first beat start_grace, if longer"
        ),
        pytest.param(
            Terms(), [start(0, interval=5), heartbeat(20)], 37, Cause.HEARTBEAT_LOST, id="after it the interval alone"
        ),
        pytest.param(
            Terms(), [start(0), heartbeat(5)], 97, Cause.HEARTBEAT_LOST, id="it has beaten: the interval of the terms"
        ),
        pytest.param(
            Terms(heartbeat=Heartbeat(required=True, interval=10 * SECOND)),
            [start(0)],
            32,
            Cause.NO_HEARTBEAT,
            id="required by the terms",
        ),
        pytest.param(
            Terms(heartbeat=Heartbeat(misses=5, allowance=0)),
            [heartbeat(0, start=0, interval=2)],
            10,
            Cause.HEARTBEAT_LOST,
            id="misses and allowance of the terms",
        ),
        pytest.param(
            Terms(heartbeat=Heartbeat(min=1 * SECOND)),
            [heartbeat(0, start=0, interval=0.1)],
            3,
            Cause.HEARTBEAT_LOST,
            id="never less than min",
        ),
        pytest.param(
            Terms(), [heartbeat(0, start=0, interval=3600)], 602, Cause.HEARTBEAT_LOST, id="never more than max"
        ),
        pytest.param(
            Terms(),
            [heartbeat(0, start=0), heartbeat(10, interval=5)],
            27,
            Cause.HEARTBEAT_LOST,
            id="an interval declared later brings the deadline nearer",
        ),
        pytest.param(
            Terms(silence=3 * 24 * HOUR),
            [start(0)],
            DAY,
            Cause.TIMEOUT,
            id="max_duration: the backstop, always present",
        ),
        pytest.param(
            Terms(), [start(-500, heard=0, timeout=600)], 600, Cause.TIMEOUT, id="a span's own timeout, in heard time"
        ),
        pytest.param(
            Terms(max_duration=10 * MINUTE),
            [start(0, timeout=3600)],
            600,
            Cause.TIMEOUT,
            id="a span's own timeout is capped by the terms",
        ),
        pytest.param(
            Terms(), [start(0, session=45)], 45, Cause.SESSION_EXPIRED, id="the session, whoever beats or not"
        ),
        pytest.param(
            Terms(),
            [start(0, session=45), evidence(Kind.HEARTBEAT, 40, session=80)],
            80,
            Cause.SESSION_EXPIRED,
            id="a session that was prolonged",
        ),
        pytest.param(
            Terms(), [start(0), lifecycle(10, Lifecycle.BACKGROUND)], 1810, Cause.BACKGROUNDED, id="background_grace"
        ),
        pytest.param(
            Terms(),
            [start(0, interval=5), lifecycle(10, Lifecycle.BACKGROUND), heartbeat(20)],
            1820,
            Cause.BACKGROUNDED,
            id="background_grace replaces the heartbeat deadline",
        ),
        pytest.param(
            Terms(),
            [start(0), lifecycle(10, Lifecycle.TERMINATE)],
            1810,
            Cause.BACKGROUNDED,
            id="terminated by the system",
        ),
        pytest.param(
            Terms(),
            [start(0, interval=10), lifecycle(10, Lifecycle.BACKGROUND), lifecycle(500, Lifecycle.FOREGROUND)],
            532,
            Cause.NO_HEARTBEAT,
            id="until it is in the foreground again",
        ),
        pytest.param(
            Terms(),
            [
                start(0),
                lifecycle(20, Lifecycle.BACKGROUND),
                evidence(Kind.LIFECYCLE, 10, heard=21, lifecycle=Lifecycle.FOREGROUND),
            ],
            1821,
            Cause.BACKGROUNDED,
            id="a lifecycle record that was overtaken changes nothing",
        ),
    ],
)
def test_deadline(terms: Terms, told: list[Evidence], seconds: float, cause: Cause) -> None:
    """Each rule of the deadlines, to the nanosecond: nothing before it, a final with its cause at it."""
    story = Story(terms)
    story.tell(*told)
    closes_at(story, seconds, cause)


def test_progress_that_stands_still_is_stalled() -> None:
    """A span that beats is closed `progress_timeout` after its progress last rose, if the terms ask for it."""
    beats = [heartbeat(5.0 * n, start=0, progress=min(0.1 * n, 0.5), interval=5) for n in range(30)]
    patient, strict = Story(), Story(Terms(progress_timeout=60 * SECOND))
    assert patient.tell(*beats) == []
    strict.tell(*beats)
    closed = strict.finals[0].closed
    assert (closed.cause, closed.deadline_at, closed.progress) == (Cause.STALLED, at(25 + 60), 0.5)


def test_progress_may_start_below_zero_or_go_back() -> None:
    """Only the highest progress yet counts, and the first one told counts as progress whatever it is."""
    story = Story(Terms(progress_timeout=60 * SECOND))
    assert story.tell(heartbeat(0, start=0, progress=-5), heartbeat(30, progress=-4), heartbeat(50, progress=-5)) == []
    closes_at(story, 90, Cause.STALLED)


def test_without_progress_nothing_stalls() -> None:
    """A span that never told any progress is not held to it."""
    story = Story(Terms(progress_timeout=10 * SECOND))
    assert story.tell(start(0), heartbeat(60)) == []


def test_hours_between_heartbeats() -> None:
    """A device that sleeps declares a long interval: the cap on the lease is the terms', and may be raised there."""
    story = Story(Terms(heartbeat=Heartbeat(max=12 * HOUR)))
    hours = [heartbeat(3600.0 * n, start=0, interval=3 * 3600) for n in (0, 3, 6)]
    assert story.tell(*hours) == []
    closes_at(story, 6 * 3600 + 9 * 3600 + 2, Cause.HEARTBEAT_LOST)


def test_evidence_without_its_start_waits_orphan_grace() -> None:
    """Then it is a dead letter `missing_start` from its first evidence on, however often it beats; no final."""
    story = Story()
    story.tell(*(heartbeat(10.0 * n) for n in range(6)))
    assert story.wait(59.999_999) == []
    (letter,) = story.wait(60)
    assert isinstance(letter, DeadLetter)
    assert letter.final.start_at is None
    assert (letter.final.closed.cause, letter.final.closed.revision) == (None, 0)


def test_the_client_s_clock_is_not_asked() -> None:
    """Deadlines run on heard time: a client an hour ahead, or behind, is due like any other."""
    for skew in (-3600, 3600):
        story = Story()
        story.tell(start(skew, heard=0, interval=10), heartbeat(skew + 8, heard=8))
        closes_at(story, 40, Cause.HEARTBEAT_LOST)
        assert story.last.closed.end_at == at(skew + 8)


def test_time_in_which_we_could_not_hear_does_not_count() -> None:
    """Heartbeat, silence and orphan deadlines run on patience; max_duration and sessions on the clock."""
    story = Story()
    story.tell(start(0, interval=10), heartbeat(8))
    story.hold(600)
    closes_at(story, 640, Cause.HEARTBEAT_LOST)

    story = Story()
    story.tell(start(0, timeout=300))
    story.hold(299)
    closes_at(story, 300, Cause.TIMEOUT)


def test_evidence_heard_after_a_blind_time_is_as_fresh_as_any() -> None:
    """What was heard after patience stood still gets its whole lease."""
    story = Story()
    story.tell(start(0, interval=10), heartbeat(8))
    story.hold(600)
    story.tell(heartbeat(620))
    closes_at(story, 652, Cause.HEARTBEAT_LOST)


def test_of_two_deadlines_the_one_passed_longer_ago_is_the_cause() -> None:
    """Where a late look finds several deadlines passed, the first one counts."""
    for timeout, cause, seconds in ((100, Cause.NO_HEARTBEAT, 62), (50, Cause.TIMEOUT, 50)):
        story = Story()
        story.tell(start(0, interval=20, timeout=timeout))
        closes_at(story, seconds, cause)

        late = Story()
        late.tell(start(0, interval=20, timeout=timeout))
        late.clock = at(5000)
        late.look()
        closed = late.last.closed
        assert (closed.cause, closed.deadline_at, closed.detected_at) == (cause, at(seconds), at(5000))


def test_the_end_is_the_last_evidence_never_now() -> None:
    """However late we look, the end of a presumed span is the event time of its last evidence."""
    story = Story()
    story.tell(start(0), heartbeat(7, heard=9, seq=41))
    story.wait(10**6)
    closed = story.last.closed
    assert (closed.end_at, closed.last_seen, closed.seq) == (at(7), at(7), 41)
    assert story.last.start_at == EPOCH


@pytest.mark.parametrize(
    ("cause", "terms", "told", "code"),
    [
        (Cause.TIMEOUT, Terms(), [start(0)], StatusCode.ERROR),
        (Cause.SESSION_EXPIRED, Terms(), [start(0, session=9)], StatusCode.UNSET),
        (Cause.BACKGROUNDED, Terms(), [start(0), lifecycle(1, Lifecycle.BACKGROUND)], StatusCode.UNSET),
    ],
)
def test_status_of_a_presumed_final(cause: Cause, terms: Terms, told: list[Evidence], code: StatusCode) -> None:
    """It is the cause's, unless the client had set one before."""
    story = Story(terms)
    story.tell(*told)
    story.wait(10**6)
    assert (story.last.closed.cause, story.last.closed.status) == (cause, Status(code))

    story = Story(terms)
    story.tell(*told, evidence(Kind.LIFECYCLE, 2, status=Status(StatusCode.OK, "fine")))
    story.wait(10**6)
    assert story.last.closed.status == Status(StatusCode.OK, "fine")


def test_a_wake_up_that_finds_nothing_due_asks_for_the_next() -> None:
    """Heartbeats do not move the timer: it looks, finds the span alive, and comes again when it may be due."""
    story = Story()
    story.tell(start(0, interval=10), heartbeat(10))
    assert story.state is not None
    first = story.state.wake_at
    story.tell(heartbeat(20))
    assert story.state.wake_at == first
    story.wait_until_ns(first)
    assert story.phase is Phase.OPEN
    assert story.state.wake_at == at(52)


def test_a_reopened_span_keeps_its_backstop() -> None:
    """A start that comes after `missing_start` opens the span; max_duration still counts from the first evidence."""
    story = Story(Terms(max_duration=10 * MINUTE))
    story.tell(heartbeat(0), start(-1, heard=100))
    assert story.phase is Phase.OPEN
    story.tell(*(heartbeat(100.0 + 10 * n) for n in range(49)))
    closes_at(story, 600, Cause.TIMEOUT)
    assert story.tell(end(601)) != []


def test_time_taken_off_after_it_was_heard() -> None:
    """Heard while an hour that nobody could hear was not known yet: it is due one lease after the first look at it."""
    story = Story()
    story.tell(start(0, interval=20))
    story.taken_off = 3600 * SECOND
    assert story.wait(62) == []
    assert story.wait(62 + 64 - 0.000_001) == []
    assert len(story.wait(62 + 64)) == 1
    assert story.last.closed.cause is Cause.NO_HEARTBEAT


@pytest.mark.parametrize(
    ("terms", "told", "lease"),
    [
        (Terms(background_grace=10 * MINUTE), lifecycle(0, Lifecycle.BACKGROUND), 600),
        (Terms(progress_timeout=10 * MINUTE, silence=HOUR), heartbeat(0, progress=0.5, interval=400), 600),
    ],
    ids=["backgrounded", "stalled"],
)
def test_time_taken_off_after_it_was_heard_counts_for_nothing_that_runs_from_then(
    terms: Terms, told: Evidence, lease: int
) -> None:
    """The same for what counts from a lifecycle record, or from the last progress: not an outage later."""
    story = Story(terms)
    story.tell(start(0), told)
    story.taken_off = 3600 * SECOND
    assert story.wait(lease) == []
    assert len(story.wait(lease + lease + 2)) == 1
