"""The test of the test: a bug that is put in is found. What the simulation does not find, it does not guard."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from finalizer import RUNNING
from finalizer.compiled import Running
from finalizer.sim.making import make_plan
from finalizer.sim.plan import Plan, What
from finalizer.sim.trial import tried
from tests.sim.mutations import MUTATIONS, OF_LEAVING, OF_OUTAGES, OF_PROCESSES, OF_REKEYING, Mutation

pytestmark = pytest.mark.skipif(
    RUNNING is Running.COMPILED,
    reason="NOT RUN: compiled modules cannot be broken on purpose; `make test-pure` puts the bugs in",
)

WORLDS = 60
STOPS = 4
"""So many in one world are no accident: its workers come and go in good order."""


def worlds(kind: str) -> Iterator[Plan]:
    """The first worlds that `make test` makes; of bugs that only one kind of them can show, the first of that kind."""
    plans: Iterator[Plan] = map(make_plan, itertools.count())
    if kind == "rekeyed":
        plans = filter(lambda plan: plan.sources, plans)
    if kind == "processes":
        plans = filter(lambda plan: plan.processes, plans)
    if kind == "cut off":
        plans = filter(lambda plan: "outage" in plan.config["safety"], plans)
    if kind == "leaving":
        plans = filter(lambda plan: sum(fault.what is What.STOP for fault in plan.faults) >= STOPS, plans)
    return itertools.islice(plans, WORLDS)


@pytest.mark.parametrize(
    ("mutation", "kind"),
    [
        *((one, "any") for one in MUTATIONS),
        *((one, "leaving") for one in OF_LEAVING),
        *((one, "cut off") for one in OF_OUTAGES),
        *((one, "rekeyed") for one in OF_REKEYING),
        *((one, "processes") for one in OF_PROCESSES),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_a_bug_that_is_put_in_is_found(mutation: Mutation, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the first worlds that could show it; without the bug nothing is wrong in them."""
    mutation(monkeypatch)
    assert any(tried(plan).findings for plan in worlds(kind)), mutation.__doc__
