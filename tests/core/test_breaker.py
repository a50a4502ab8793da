"""The mass-close breaker: how many may be closed by inference in a while, and what it takes to go on."""

from __future__ import annotations

from finalizer.core.safety import Breaker, Happened, News, Releases
from finalizer.core.terms import MINUTE, SECOND
from tests.core.making import at
from tests.core.watched import Watched

NEVER_AN_OUTAGE = 10**9


def silent(count: int) -> Watched:
    """So many spans of which nothing more is heard."""
    watched = Watched(outage_least=NEVER_AN_OUTAGE, breaker_least=20)
    watched.start(*range(count))
    return watched


def test_half_of_them_and_no_more() -> None:
    """Forty are due at once: twenty are closed, then it stops and says how many of how many."""
    watched = silent(40)
    assert len(watched.run(60)) == 20
    assert watched.watch.news == [News(Happened.BREAKER_TRIPPED, "", 20, 40)]
    assert watched.run(3600) == []


def test_what_was_not_closed_waits_and_is_closed_after_a_release() -> None:
    """Nothing of what was due is lost: after the release all are closed, and it is told."""
    watched = silent(40)
    watched.run(60)
    watched.releases.breaker(at(watched.now + 60))
    assert len(watched.run(1)) == 20
    assert [one.what for one in watched.watch.news] == [Happened.BREAKER_TRIPPED, Happened.BREAKER_RELEASED]


def test_after_the_release_it_is_on_again() -> None:
    """A release ends: the next mass close is stopped like the first."""
    watched = silent(40)
    watched.releases.breaker(at(100))
    assert len(watched.run(60)) == 40
    watched.run(50)
    watched.start(*range(100, 140))
    assert len(watched.run(60)) == 20


def test_few_spans_are_closed_freely() -> None:
    """Below the least number of open spans it never trips."""
    watched = silent(19)
    assert len(watched.run(60)) == 19


def test_a_trickle_is_no_mass_close() -> None:
    """Spans that die one by one are closed, however many they are in an hour: the share is that of a window."""
    watched = silent(40)
    living = range(40)
    watched.run(20, beating=living)
    for number in range(35):
        living = range(number + 1, 40)
        watched.start(100 + number)
        assert len(watched.run(20, beating=[*living, *range(100, 101 + number)])) <= 1
    assert watched.watch.breaker.tripped == 0


def test_a_restart_remembers_that_it_tripped() -> None:
    """A restarted worker must not be a way around it."""
    breaker = Breaker(window=MINUTE, least=10, max_share=0.5, releases=Releases())
    breaker.restore(at(5), [])
    assert breaker.room(1000, at(50_000)) == 0


def test_a_restart_counts_what_was_closed_before_it() -> None:
    """What was closed within the window counts, wherever it was closed: a crash loop closes no more than one worker."""
    breaker = Breaker(window=MINUTE, least=10, max_share=0.5, releases=Releases())
    breaker.restore(0, [at(second) for second in (30, 10, 20)])
    assert breaker.room(17, at(40)) == 7
    assert breaker.room(17, at(95)) == 8
    assert breaker.room(17, at(200)) == 8


def test_the_window_moves_on() -> None:
    """What was closed longer ago than the window is forgotten."""
    breaker = Breaker(window=MINUTE, least=10, max_share=0.5, releases=Releases())
    assert breaker.room(100, at(0)) == 50
    breaker.count(50, at(0))
    assert breaker.room(50, at(1)) == 0
    assert breaker.room(50, at(61) + 5 * SECOND) == 25
