"""Processes whose heartbeats count for their spans: what is known of them, and what follows for a span."""

from __future__ import annotations

from finalizer.core.causes import Cause
from finalizer.core.clock import Reading
from finalizer.core.instances import Instances
from finalizer.core.model import Kind, Lifecycle, Moment
from finalizer.core.state import State
from finalizer.core.terms import SECOND, Terms
from tests.core.living import LEASE, POD, TERMS, Living, beats, heard_until, listening
from tests.core.making import at, evidence
from tests.core.watched import key

OTHER = "other"


def test_a_span_lives_as_long_as_its_process() -> None:
    """It never beats by itself. When its process stops, it is missed in time, and ends with the last heartbeat."""
    watched = Living(listening())
    watched.opens(1)
    assert watched.goes_on(301, "one") == []
    assert watched.goes_on(300 + LEASE + 1) == [1]
    assert watched.close_of(1) == (Cause.HEARTBEAT_LOST, 300, 300 + LEASE)


def test_what_a_process_says_is_not_written_into_its_spans() -> None:
    """Otherwise the changelog would grow with the spans after all."""
    watched = Living(listening())
    watched.opens(1)
    before = watched.spans.states[key(1)]
    watched.goes_on(200, "one")
    assert not watched.watch.righted
    assert watched.spans.states[key(1)].but(wake_at=0) == before.but(wake_at=0)


def test_many_spans_of_one_process_are_no_outage() -> None:
    """None of them beats, and all of them live: the beats that they owe are those of their process."""
    watched = Living(listening())
    for number in range(40):
        watched.opens(number)
    assert watched.goes_on(200, "one") == []
    assert watched.watch.outages.pauses == ()


def test_the_slower_of_two_intervals_counts() -> None:
    """A span that promised to beat every second leaves it to its process, which beats every ten."""
    watched = Living(listening())
    watched.opens(1, interval=1)
    assert watched.goes_on(101, "one") == []
    assert watched.goes_on(100 + LEASE + 1) == [1]


def test_a_newer_start_replaces_the_older_one_after_the_grace() -> None:
    """Not before: the client that comes back may know the real ends."""
    watched = Living(listening())
    watched.opens(1)
    watched.goes_on(61, "one")
    watched.goes_on(70)
    watched.opens(2, "two")
    assert watched.goes_on(130, "two") == []
    assert watched.goes_on(200, "two") == [1]
    assert watched.close_of(1) == (Cause.INSTANCE_REPLACED, 60, 130)


def test_a_process_that_crashes_for_ever_gives_no_more_grace() -> None:
    """Its spans are closed after the first of its newer starts; who came long before is forgotten."""
    watched = Living(listening())
    watched.opens(1)
    watched.goes_on(1, "one")
    assert watched.goes_on(21, "two") == []
    for number in range(40):
        watched.goes_on(watched.now + 10, f"crash {number}")
    assert watched.close_of(1) == (Cause.INSTANCE_REPLACED, 0, 70)
    assert len(watched.view) == 16


def test_an_older_start_that_is_heard_again_is_not_replaced() -> None:
    """Two processes with one name: neither closes what is the other's, while both beat."""
    watched = Living(listening())
    watched.opens(1)
    watched.opens(2, "two")
    assert watched.goes_on(301, "one", "two") == []
    assert sorted(watched.goes_on(400)) == [1, 2]
    assert watched.close_of(2)[0] is Cause.HEARTBEAT_LOST


def test_a_start_that_is_not_known_yet_is_not_replaced_by_the_one_before_it() -> None:
    """Spans and processes come by different topics: the first span of a new start may be first."""
    view = listening()
    beats(view, 0)
    watched = Living(view)
    watched.now = 20
    watched.opens(1, "two")
    assert view.replaced(watched.spans.states[key(1)], TERMS, watched.moment) is None


def test_one_whose_older_heartbeats_are_compacted_away_is_replaced_by_its_last_word() -> None:
    """A worker that starts later finds only the newer start in the topic."""
    watched = Living(listening())
    watched.opens(1)
    watched.now = 20
    beats(watched.view, 20, "two")
    deadline = watched.view.replaced(watched.spans.states[key(1)], TERMS, watched.moment)
    assert deadline is not None
    assert deadline.at == at(80)


def test_a_time_in_which_nobody_could_be_heard_counts_against_nobody() -> None:
    """Afterwards each process has all its time again to be heard."""
    watched = Living(listening())
    watched.opens(1)
    watched.goes_on(61, "one")
    heard_until(watched.view, 62, blind=True)
    assert watched.run(200) == []
    assert watched.goes_on(watched.now + LEASE) == []
    assert watched.goes_on(watched.now + 2) == [1]
    assert watched.close_of(1)[:2] == (Cause.HEARTBEAT_LOST, 60)


def test_nothing_is_decided_beyond_what_was_heard() -> None:
    """A topic that lags holds its spans, and no others."""
    view = listening()
    watched = Living(view)
    watched.terms = Terms(silence=40 * SECOND, heartbeat=TERMS.heartbeat)
    watched.opens(1)
    watched.start(2)
    view.follow(Reading(at(20), at(20), False, False, False, False, True))
    assert watched.run(100) == [2]
    beats(view, 95)
    assert watched.goes_on(95 + LEASE - 1) == []
    assert watched.goes_on(95 + LEASE + 1) == [1]


def test_the_backstop_holds_for_a_process_that_lives() -> None:
    """A span that its program forgot is closed after `max_duration`, however well the process is."""
    watched = Living(listening())
    watched.terms = Terms(max_duration=100 * SECOND)
    watched.opens(1)
    assert watched.goes_on(102, "one") == [1]
    assert watched.close_of(1)[0] is Cause.TIMEOUT


def test_a_paused_span_is_not_kept_alive_by_its_process() -> None:
    """It said that it went to the background; only it can say that it is back."""
    view = listening()
    beats(view, 50)
    watched = Living(view)
    watched.opens(1)
    watched._hear(1, evidence(Kind.LIFECYCLE, 1, lifecycle=Lifecycle.BACKGROUND, key=key(1)))
    state = watched.spans.states[key(1)]
    assert view.alive(state, Moment(at(60), at(60))) is state


def test_who_was_forgotten_for_want_of_room_gets_the_benefit_of_the_doubt() -> None:
    """He may have been heard until the last moment of anybody who was forgotten. Those heard longest ago go first."""
    view = listening(most=2)
    beats(view, 0, instance="old")
    beats(view, 10, instance=POD)
    beats(view, 20, instance="old")
    beats(view, 30, instance="new")
    assert len(view) == 2
    alive = view.alive(_state(view), Moment(at(60), at(60)))
    assert (alive.heard, alive.beats) == (at(10), False)


def test_a_process_that_was_deleted_from_its_topic_is_not_known_any_more() -> None:
    """Whoever reads the topic later finds the same: nothing, and of the others all."""
    view = listening()
    beats(view, 10, "one")
    beats(view, 20, "two")
    beats(view, 20, instance=OTHER)
    view.retract(POD)
    view.retract("nobody")
    assert len(view) == 1
    assert not view.alive(_state(view), Moment(at(60), at(60))).beats


def _state(view: Instances) -> State:
    watched = Living(view)
    watched.opens(1)
    return watched.spans.states[key(1)]
