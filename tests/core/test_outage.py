"""Outage or death: whose beats come, whose do not, and what follows for the group that they belong to."""

from __future__ import annotations

import pytest

from finalizer.core.due import beat_came
from finalizer.core.model import Kind, Lifecycle
from finalizer.core.pause import Pause
from finalizer.core.safety import Happened
from finalizer.core.terms import MINUTE, SECOND, Heartbeat, Terms
from tests.core.making import Story, at, evidence, heartbeat, start
from tests.core.making import lifecycle as lifecycle_record
from tests.core.watched import TERMS, Watched

EVERYBODY = range(40)


def running(**settings: object) -> Watched:
    """Forty spans that have been beating for half a minute."""
    watched = Watched(**settings)  # type: ignore[arg-type]
    watched.start(*EVERYBODY)
    assert watched.run(30, beating=EVERYBODY) == []
    return watched


def happened(watched: Watched) -> list[Happened]:
    """What there is to tell."""
    return [one.what for one in watched.watch.news]


@pytest.mark.parametrize(
    ("told", "seconds", "came"),
    [
        ([start(interval=5)], 5.9, True),
        ([start(interval=5)], 6.1, False),
        ([start(), heartbeat(1)], 30.9, True),
        ([start(), heartbeat(1)], 32.1, False),
        ([start(interval=60), heartbeat(1)], 40, None),
        ([start()], 500, None),
        ([heartbeat(1)], 500, None),
        ([start(interval=5), lifecycle_record(1, Lifecycle.BACKGROUND)], 500, None),
    ],
)
def test_whose_beat_came(told: list[object], seconds: float, came: bool | None) -> None:
    """A beat is missing half an allowance after it was owed; none is owed without a promise, a start, a foreground."""
    story = Story()
    for one in told:
        story.hear(one)  # type: ignore[arg-type]
    assert story.state is not None
    assert beat_came(story.state, story.terms, at(seconds), within=30 * SECOND) is came


def test_nobody_is_closed_while_nobody_of_a_group_can_be_heard() -> None:
    """The road is cut for ten minutes: no span is closed, and whoever comes back afterwards lives on."""
    watched = running()
    assert watched.run(600) == []
    assert happened(watched) == [Happened.OUTAGE_SUSPECTED]
    assert watched.watch.outages.held == ("app",)
    assert watched.run(60, beating=EVERYBODY) == []
    assert happened(watched) == [Happened.OUTAGE_OVER]


def test_who_does_not_come_back_is_closed_with_the_patience_that_was_left() -> None:
    """Half of them come back: the others have all the time that they had when the road was cut, and not more."""
    watched = running()
    watched.run(600)
    back = EVERYBODY[:25]
    assert watched.run(12, beating=back) == []
    assert watched.run(10, beating=back) == list(EVERYBODY[25:])
    assert not any(closing.after.closed.outage_suspected for closing in watched.closed.values() if closing.after.closed)


def test_ordinary_deaths_are_closed_in_time() -> None:
    """Three in four of a group die at once: that is more life than an outage leaves, so they are closed as ever."""
    watched = running()
    assert watched.run(18, beating=EVERYBODY[:10]) == list(EVERYBODY[10:])


def test_too_few_are_no_outage() -> None:
    """Below the least number of spans that owe beats, silence is just silence."""
    watched = running(outage_least=41)
    assert watched.run(18) == list(EVERYBODY)


def test_each_group_is_judged_alone() -> None:
    """One group is cut off: its spans are held; a single death in the other is closed in time."""
    watched = running(group_of=lambda number: "cut" if number < 20 else "fine")
    assert watched.run(60, beating=EVERYBODY[21:]) == [20]
    assert watched.watch.outages.held == ("cut",)


def test_after_the_longest_pause_it_counts_as_death_and_says_so() -> None:
    """`max_pause` over: all are closed at once, marked; the group is not suspected again before it was well."""
    watched = running()
    assert watched.run(900) == []
    assert watched.run(20) == list(EVERYBODY)
    assert happened(watched) == [Happened.OUTAGE_SUSPECTED, Happened.OUTAGE_OVERRULED]
    for closing in watched.closed.values():
        assert closing.after.closed is not None
        assert closing.after.closed.outage_suspected


def test_an_operator_releases_a_group() -> None:
    """A release overrules the suspicion of that group, and none is suspected while it lasts; others are held on."""
    watched = running(group_of=lambda number: "a" if number < 20 else "b")
    watched.run(60)
    watched.releases.outage("a", at(watched.now + 900))
    assert watched.run(2) == list(range(20))
    assert watched.watch.outages.held == ("b",)
    watched.releases.outage(None, at(watched.now + 900))
    assert watched.run(2) == list(range(20, 40))


def test_while_released_nothing_is_suspected() -> None:
    """A release in advance: an operator who knows that a fleet is shut down has it closed in time."""
    watched = running()
    watched.releases.outage(None, at(watched.now + 900))
    assert watched.run(18) == list(EVERYBODY)


def test_hard_deadlines_are_not_held() -> None:
    """`max_duration` is a promise about time, not about hearing: it is kept in an outage, and the final is marked."""
    terms = Terms(heartbeat=TERMS.heartbeat, max_duration=2 * MINUTE)
    watched = running(terms=terms)
    assert watched.run(89) == []
    assert watched.run(2) == list(EVERYBODY)
    closed = watched.closed[0].after.closed
    assert closed is not None
    assert closed.outage_suspected


def test_a_restart_goes_on_with_what_was_stored() -> None:
    """What is stored of a suspicion is enough: a new watch over the same spans holds them, for as long as the old."""
    watched = running()
    watched.run(300)
    (pause,) = watched.watch.outages.pauses
    again = _with_spans_of(watched)
    again.watch.outages.pauses = (pause,)
    assert again.run(590) == []
    assert again.run(40) == list(EVERYBODY)


def test_a_restart_without_anything_stored_suspects_at_once() -> None:
    """Even if the suspicion itself was lost: the spans alone tell it, before the first of them is closed."""
    watched = running()
    watched.run(300)
    again = _with_spans_of(watched)
    assert again.run(100) == []
    assert again.watch.outages.held == ("app",)


def test_young_spans_that_never_beat_are_held_too() -> None:
    """A fleet starts and is cut off before its first beat: `start_grace` is over for one of them first, not for all."""
    watched = Watched()
    for number in EVERYBODY:
        watched.start(number)
        watched.run(0.1)
    assert watched.run(600) == []


def test_two_misses_are_enough_to_tell() -> None:
    """With `misses: 2` all beats are missing before the first span is due; nobody is closed before it is known."""
    terms = Terms(heartbeat=Heartbeat(interval=5 * SECOND, required=True, misses=2, allowance=SECOND // 2))
    watched = running(terms=terms)
    assert watched.run(300) == []


def test_a_pause_that_is_long_over_is_forgotten() -> None:
    """A day later it weighs on nobody, and on no watermark."""
    watched = running()
    watched.run(60)
    watched.run(30, beating=EVERYBODY)
    assert [pause.over for pause in watched.watch.outages.pauses] == [True]
    later = watched.moment.__class__(at(100_000), at(100_000))
    watched.watch.outages.look(later, watched.spans, lambda _: TERMS, lambda _: "app", lambda state, _: state)
    assert not [pause for pause in watched.watch.outages.pauses if pause.over]


def test_what_is_stored_is_small_and_whole() -> None:
    """A pause says whose it is, since when, and from which moment of patience on."""
    watched = running()
    watched.run(60)
    (pause,) = watched.watch.outages.pauses
    assert pause == Pause("app", pause.since, pause.began)
    assert at(29.9) <= pause.began <= at(30)
    assert pause.since < at(30 + 17)


def _with_spans_of(watched: Watched) -> Watched:
    """The same spans after a restart: their states, and nothing that was derived from them."""
    again = Watched()
    again.now = watched.now
    for state in watched.spans.states.values():
        number = state.first.offset
        again.adopt(number, state)
    return again


def test_evidence_without_a_start_owes_nothing() -> None:
    """An orphan waits for its start by `orphan_grace`, whatever its beats say."""
    story = Story()
    story.hear(evidence(Kind.HEARTBEAT, 0))
    assert story.state is not None
    assert beat_came(story.state, story.terms, at(1), within=30 * SECOND) is None
