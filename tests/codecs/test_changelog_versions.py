"""A release reads what the one before it wrote, and writes no other format than it says."""

from collections import defaultdict
from collections.abc import Iterable

import pytest

from finalizer.codecs.state import VERSION
from finalizer.pipeline import Topic
from tests.codecs.history import (
    END_AT,
    LATE,
    OPEN,
    PARTIAL,
    PRESUMED,
    SPANS,
    TOLD,
    UNSENT,
    WHOLE,
    begun,
    changelog,
    lines,
    tell,
)
from tests.scenarios.broker import Written
from tests.scenarios.world import OUTPUTS
from tests.traffic import event, span_number

READ = ["v1-marked", *(f"v{version}" for version in range(max(1, VERSION - 1), VERSION + 1))]
"""The format before this one, and this one; `marked`: what is unsent is marked so in its own state."""


@pytest.mark.parametrize("name", READ)
def test_a_state_of_an_earlier_release_is_gone_on_from(name: str) -> None:
    """Whatever kind of record it left, what follows is what would have followed under that release."""
    world = begun()
    world.broker.changelog = changelog(name)
    written = world.broker.outputs[OUTPUTS[Topic.FINALIZED].topic]
    before = len(written)
    world.start()
    tell(world, 10, *(event("end", number, END_AT) for number in SPANS))
    tell(world, 20)
    assert causes(written[before:]) == {
        UNSENT: ["timeout", "completed"],
        **{number: ["completed"] for number in (OPEN, WHOLE, TOLD, PARTIAL, PRESUMED, LATE)},
    }
    world.check()


def causes(written: Iterable[Written]) -> dict[int, list[str]]:
    """The causes of finals by the number of their span."""
    found = defaultdict(list)
    for one in written:
        assert one.key is not None
        found[span_number(one.key.decode())].append(one.headers["span-finalizer-cause"].decode())
    return dict(found)


def test_the_format_is_the_one_that_it_says() -> None:
    """The bytes of the same history have not changed since this version of the format was fixed. (If no release has
    gone out with it: `python -m tests.codecs.history`. Else it is a new version.)"""
    assert lines(begun().broker.changelog) == lines(changelog(f"v{VERSION}"))
