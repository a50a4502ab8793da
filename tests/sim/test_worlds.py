"""Made worlds, with all that breaks, and nothing wrong in any of them; and the stories of what was found once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from finalizer.sim.making import make_plan
from finalizer.sim.plan import What, Where
from finalizer.sim.story import from_story
from finalizer.sim.trial import tried

CHUNK = 50
STORIES = sorted((Path(__file__).parent / "stories").glob("*.yaml"))


@pytest.mark.parametrize("first", range(0, 300, CHUNK))
def test_nothing_is_wrong_in_any_world(first: int) -> None:
    """One final for each revision, right causes, nothing alive closed, nothing due left open, states as they were
    before a restore: through crashes at every effect, frozen workers, outages, rebalances, repeats and disorder."""
    for seed in range(first, first + CHUNK):
        assert not tried(make_plan(seed)).findings, f"to see it again: finalizer sim --seed {seed} --worlds 1"


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_what_was_found_once_stays_right(path: Path) -> None:
    """Each of these worlds was wrong, by a bug that is mended; its first line says what was wrong."""
    assert not tried(from_story(path.read_text())).findings


def test_a_seed_makes_the_same_world_again() -> None:
    """So that the command that a failing seed prints shows the same failure."""
    for seed in (3, 7):
        assert tried(make_plan(seed)) == tried(make_plan(seed))
        assert make_plan(seed) == make_plan(seed)


def test_worlds_have_everything_in_them() -> None:
    """Whatever can break does, at every point at which a worker can die; nobody relies on a fault that never comes."""
    broken: Counter[str] = Counter()
    for seed in range(300):
        for fault in make_plan(seed).faults:
            broken[fault.what.value if fault.where is None else f"{fault.what.value} {fault.where.value}"] += 1
    assert {what.value for what in What} <= broken.keys()
    assert {f"kill {where.value}" for where in Where} | {f"freeze {where.value}" for where in Where} <= broken.keys()
