"""The demo's apps: what becomes of them makes sense, and their diaries say what must be written."""

from __future__ import annotations

import random
from collections import Counter
from importlib.resources import files

import pytest

from finalizer.cli.demo.audit import RightEnding, Truth
from finalizer.cli.demo.diary import SLEW, Diary
from finalizer.cli.demo.lines import Arrived, Begun, Closed, Holding, Paused, Ready, Recovered
from finalizer.cli.demo.plans import SCRIPTS, Behaviour, how_many
from finalizer.cli.demo.roles import PROCESSES, Fate, Role, make_role, make_roles
from finalizer.policy.load import load

KEY = "a1" * 16 + "b2" * 8
SPAN = "a1" * 16 + "/" + "b2" * 8


def crowd(spans: int, seconds: float, *, seed: int) -> list[Role]:
    """What a seed makes."""
    return make_roles(how_many(spans), seconds, random.Random(seed))


class Told:
    """A diary of an app with one span, and what it told."""

    def __init__(self, fate: Fate, behaviour: Behaviour) -> None:
        role = make_role(fate, [behaviour], moment=5.0, seconds=10.0, rng=random.Random(1))
        self.truths: list[Truth] = []
        self.diary = Diary(role, self.truths.append)

    def begins(self, *heard: str) -> None:
        """The span begins at 100; these events arrive, at 100, 200 and so on."""
        self.diary.take(Begun(0, KEY, 100))
        if heard:
            self.diary.take(Arrived([(kind, KEY, 100 * number) for number, kind in enumerate(heard, start=1)]))

    def truth(self, behaviour: Behaviour, *finals: RightEnding, letters: tuple[str, ...]) -> bool:
        """Whether this, and nothing else, was told."""
        return self.truths == [Truth(behaviour.value, SPAN, 100, finals, letters)]


def test_a_seed_makes_the_same_apps_again() -> None:
    """A run that went wrong can be looked at again."""
    assert crowd(200, 6, seed=7) == crowd(200, 6, seed=7)
    assert crowd(200, 6, seed=7) != crowd(200, 6, seed=8)


@pytest.mark.parametrize("spans", [20, 199, 2000])
def test_every_span_is_somebodys(spans: int) -> None:
    """Apps and made clients have all spans between them, each behaviour as many as it should have."""
    counts = how_many(spans)
    dealt = Counter(one for role in crowd(spans, 25, seed=1) for one in role.behaviours.values())
    assert dealt == {one: counts[one] for one in Behaviour if one not in SCRIPTS and one is not Behaviour.GARBAGE}
    assert {role.fate for role in crowd(spans, 25, seed=1)} == set(PROCESSES)


def test_what_an_app_does_fits_into_the_time() -> None:
    """Spans begin before their app's fate strikes, and end by themselves before the time is over."""
    for seconds in (2.0, 6.0, 25.0):
        for role in crowd(300, seconds, seed=3):
            assert 0 < role.moment <= seconds
            for part in role.parts:
                assert part.birth >= 0
                assert part.birth + part.life <= (role.moment if role.fate is not Fate.WORKS else seconds + 1.0)


def test_a_crowd_that_dies_on_purpose_is_no_outage() -> None:
    """However large it is: neither safety holds back the verdicts that the demo waits for."""
    safety = load((files("finalizer.cli.demo") / "finalizer.yaml").read_text()).safety
    assert min(safety.outage.min_spans, safety.breaker.min_spans) >= 1_000_000


def test_an_end_lies_between_the_moments_that_the_app_knows() -> None:
    """What the client says of it is not asked."""
    told = Told(Fate.WORKS, Behaviour.HEALTHY)
    told.begins("start")
    told.diary.take(Closed(0, 300, 310))
    assert told.truth(Behaviour.HEALTHY, RightEnding("completed", 300 - SLEW, 310 + SLEW), letters=())


def test_a_partial_end_has_a_dead_letter() -> None:
    """It is incomplete, though it was told."""
    told = Told(Fate.WORKS, Behaviour.PARTIAL)
    told.begins("start")
    told.diary.take(Closed(0, 300, 310))
    ending = RightEnding("partial", 300 - SLEW, 310 + SLEW)
    assert told.truth(Behaviour.PARTIAL, ending, letters=("incomplete",))


def test_a_span_that_nobody_closes_ends_where_it_began() -> None:
    """It does not beat, so its start is all that there will be."""
    told = Told(Fate.WORKS, Behaviour.GOES_SILENT)
    told.begins()
    assert told.truth(Behaviour.GOES_SILENT, RightEnding("timeout", 100, 100), letters=("incomplete",))


@pytest.mark.parametrize(
    ("heard", "ending"),
    [
        (("start",), RightEnding("no_heartbeat", 100, 100)),
        (("start", "heartbeat", "heartbeat"), RightEnding("heartbeat_lost", 300, 300)),
    ],
)
def test_who_is_killed_for_good_ends_with_what_has_arrived(heard: tuple[str, ...], ending: RightEnding) -> None:
    """To the nanosecond: it held before it was killed, so nothing was under way."""
    told = Told(Fate.KILLED, Behaviour.CRASHES)
    told.begins(*heard)
    told.diary.never_returns()
    assert told.truth(Behaviour.CRASHES, ending, letters=("incomplete",))


def test_who_comes_back_ends_between_the_last_that_arrived_and_the_kill() -> None:
    """What its spool knew more than the broker only the client can tell."""
    told = Told(Fate.RETURNS, Behaviour.RETURNS)
    told.begins("start", "heartbeat")
    told.diary.returns("restarted", 900)
    assert told.truth(Behaviour.RETURNS, RightEnding("restarted", 200, 900 + SLEW), letters=("incomplete",))


def test_who_was_frozen_has_two_finals() -> None:
    """The first at the last that had arrived before, whatever arrives later; the second is its own end."""
    told = Told(Fate.FREEZES, Behaviour.FREEZES)
    told.begins("start", "heartbeat")
    told.diary.freezes()
    assert told.diary.open_spans() == {SPAN}
    told.diary.take(Arrived([("heartbeat", KEY, 700)]))
    told.diary.take(Closed(0, 800, 810))
    finals = (RightEnding("heartbeat_lost", 200, 200), RightEnding("completed", 800 - SLEW, 810 + SLEW))
    assert told.truth(Behaviour.FREEZES, *finals, letters=("incomplete", "resolved"))


def test_who_goes_to_the_background_ends_there() -> None:
    """At the pause, and not at a heartbeat before it."""
    told = Told(Fate.PAUSES, Behaviour.BACKGROUNDED)
    told.begins("start", "heartbeat")
    told.diary.take(Paused(400, 420))
    ending = RightEnding("backgrounded", 400 - SLEW, 420 + SLEW)
    assert told.truth(Behaviour.BACKGROUNDED, ending, letters=("incomplete",))


def test_a_fate_waits_until_its_spans_are_ready_for_it() -> None:
    """Begun is not arrived, and arrived is not beaten, in whatever order it is told."""
    told = Told(Fate.KILLED, Behaviour.CRASHES)
    diary = told.diary
    assert not diary.have_arrived
    diary.take(Arrived([("start", KEY, 100)]))
    assert not diary.have_arrived
    told.begins()
    assert (diary.have_arrived, diary.have_beaten) == (True, False)
    diary.take(Arrived([("heartbeat", KEY, 200)]))
    assert diary.have_beaten
    assert (diary.begun, diary.events) == (1, 2)


def test_what_an_app_says_of_itself_is_kept() -> None:
    """Ready, holding, recovered."""
    diary = Told(Fate.RETURNS, Behaviour.RETURNS).diary
    for expected in (0, 1, 2, 3):
        assert [diary.is_ready, diary.is_holding, diary.has_recovered].count(True) == expected
        diary.take((Ready(), Holding(), Recovered(), Recovered())[expected])
