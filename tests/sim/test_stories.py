"""Failing worlds as stories: written, read, and made shorter."""

from __future__ import annotations

import pytest

from finalizer.sim.making import make_plan
from finalizer.sim.plan import Plan
from finalizer.sim.scene import Finding, Trouble
from finalizer.sim.shrink import shrunk
from finalizer.sim.story import StoryError, from_story, to_story
from finalizer.sim.trial import tried
from tests.sim.mutations import watermark_dropped


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_comes_back_from_its_story(seed: int) -> None:
    """What is kept in a file makes the same world."""
    plan = make_plan(seed)
    assert from_story(to_story(plan, [Finding(Trouble.MISSING, "two\nlines")])) == plan


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "expected"),
        ("seed: 1", "missing required field"),
        ("faults: [{at: soon, what: kill}]", "'soon' is no length of time"),
        ("[]", "Expected `object`"),
    ],
)
def test_what_is_no_story_is_told_in_a_sentence(text: str, said: str) -> None:
    """A person writes these files, too."""
    with pytest.raises(StoryError, match=said):
        from_story(text)


def test_a_failing_world_becomes_a_short_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients, events and faults that the failure does not need are left out."""
    watermark_dropped(monkeypatch)
    plan = next(plan for plan in map(make_plan, range(60)) if _has(plan, Trouble.WENT_BACK))
    short = shrunk(plan, Trouble.WENT_BACK)
    assert _has(short, Trouble.WENT_BACK)
    assert len(short.clients) <= 1 < len(plan.clients)
    assert len(short.faults) <= 1


def _has(plan: Plan, trouble: Trouble) -> bool:
    return any(finding.trouble is trouble for finding in tried(plan).findings)
