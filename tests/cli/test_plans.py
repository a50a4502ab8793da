"""The demo's clients that no real one is: what they are going to do is sense, and a seed makes it again."""

import random
from importlib.resources import files
from itertools import pairwise

import msgspec
import pytest

from finalizer.cli.demo.crowd import event, moment, truth_of
from finalizer.cli.demo.plans import (
    BEAT_SECONDS,
    SCRIPTS,
    SECOND,
    SHARES,
    Behaviour,
    Garbage,
    Plan,
    how_many,
    junk,
    make_plan,
    make_plans,
)
from finalizer.codecs.errors import Unusable
from finalizer.codecs.native import NativeDecoder
from finalizer.core.causes import FACTS, Cause
from finalizer.core.model import Coordinates, Evidence, Kind
from finalizer.policy.load import load

EPOCH = 1_747_648_800_000_000_000
HERE = Coordinates("spans.events", 0, 0, EPOCH)
CAUSES = {cause.value: FACTS[cause] for cause in Cause}


def evidence(plan: Plan) -> list[Evidence]:
    """What a worker hears of a span."""
    return [NativeDecoder().decode(event(plan, step, EPOCH), HERE) for step in plan.steps]


def crowd(spans: int, seconds: float, *, seed: int) -> tuple[list[Plan], list[Garbage]]:
    """What a seed makes."""
    return make_plans(how_many(spans), seconds, random.Random(seed))


def test_a_seed_makes_the_same_crowd_again() -> None:
    """A run that went wrong can be looked at again."""
    assert crowd(200, 6, seed=7) == crowd(200, 6, seed=7)
    assert crowd(200, 6, seed=7) != crowd(200, 6, seed=8)


@pytest.mark.parametrize("spans", [20, 199, 2000])
def test_every_behaviour_is_there(spans: int) -> None:
    """However small the crowd, none is left out, and together they are as many as were asked for."""
    counts = how_many(spans)
    assert sum(counts.values()) == spans
    assert set(counts) == set(SHARES) == set(Behaviour)
    assert min(counts.values()) >= 1


@pytest.mark.parametrize("behaviour", SCRIPTS)
def test_a_plan_is_what_the_audit_expects_of_it(behaviour: Behaviour) -> None:
    """The right end of a span is the reported one if one was sent, else its last evidence; never before its start."""
    rng = random.Random(1)
    for _ in range(50):
        plan = make_plan(behaviour, 25.0, rng)
        heard = evidence(plan)
        truth = truth_of(plan, EPOCH)
        last = truth.finals[-1]
        ends = [one for one in heard if one.kind is Kind.END]
        assert CAUSES[last.cause].reported == bool(ends)
        assert last.since == last.until == (ends[-1].at if ends else max(one.at for one in heard))
        assert truth.start_at == min(one.at for one in heard) <= last.since
        assert {one.key.hex() for one in heard} == {plan.trace_id + plan.span_id}
        first = CAUSES[truth.finals[0].cause]
        assert ("incomplete" in truth.letters) == first.incomplete


@pytest.mark.parametrize("behaviour", SCRIPTS)
def test_who_ends_in_time_has_a_second_to_spare(behaviour: Behaviour) -> None:
    """A span whose first final is its reported end is never silent for so long that the demo's terms could close it."""
    policy = load((files("finalizer.cli.demo") / "finalizer.yaml").read_text())
    beat = policy.default.heartbeat
    lease = (BEAT_SECONDS * beat.misses * SECOND + beat.allowance) / SECOND
    rng = random.Random(1)
    for plan in (make_plan(behaviour, 25.0, rng) for _ in range(100)):
        if CAUSES[plan.finals[0].cause].reported:
            heard = sorted(step.send for step in plan.steps)
            assert max(later - earlier for earlier, later in pairwise(heard)) <= lease - 1.0


def test_clocks_are_off_by_an_hour() -> None:
    """All times of such a client are off by the same, so its spans are as long as they are."""
    ahead = make_plan(Behaviour.CLOCK_AHEAD, 25.0, random.Random(1))
    assert moment(ahead, 0.0, EPOCH) - EPOCH - int(ahead.birth * 1e9) == 3600 * 10**9


def test_all_junk_is_junk() -> None:
    """No record that the garbage client sends can be used, and no two are the same."""
    rng = random.Random(1)
    records = [junk(rng) for _ in range(500)]
    assert len(set(records)) == 500
    for record in records:
        with pytest.raises(Unusable):
            NativeDecoder().decode(record, HERE)


def test_life_fits_into_the_time() -> None:
    """What clients do by themselves is done when their time is over, whatever the time is."""
    for seconds in (2.0, 6.0, 25.0):
        plans, garbage = crowd(300, seconds, seed=3)
        assert max(plan.birth + step.send for plan in plans for step in plan.steps) <= seconds + 1.0
        assert max(one.birth for one in garbage) <= seconds


def test_events_are_what_the_documentation_says() -> None:
    """Each is a JSON object with ids in lower hex and its time as a string of nanoseconds."""
    plan = make_plan(Behaviour.REPEATS, 25.0, random.Random(1))
    told = msgspec.json.decode(event(plan, plan.steps[0], EPOCH))
    assert told["type"] == "start"
    assert (told["trace_id"], told["span_id"]) == (plan.trace_id, plan.span_id)
    assert told["time_unix_nano"] == str(moment(plan, 0.0, EPOCH))
