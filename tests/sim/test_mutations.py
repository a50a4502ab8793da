"""The test of the test: a bug that is put in is found. What the simulation does not find, it does not guard."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from finalizer import RUNNING
from finalizer.compiled import Running
from finalizer.sim.making import make_plan
from finalizer.sim.plan import Plan, What, Where
from finalizer.sim.trial import tried
from tests.sim.mutations import MUTATIONS, Mutation

pytestmark = pytest.mark.skipif(
    RUNNING is Running.COMPILED,
    reason="NOT RUN: compiled modules cannot be broken on purpose; `make test-pure` puts the bugs in",
)

WORLDS = 60
STOPS = 4
"""So many in one world are no accident: its workers come and go in good order."""
FULL = 45
"""So many clients that frames wait behind each other."""

KINDS: dict[str, Callable[[Plan], object]] = {
    "any": lambda _: True,
    "leaving": lambda plan: sum(fault.what is What.STOP for fault in plan.faults) >= STOPS,
    "mass death": lambda plan: "breaker" in plan.config["safety"],
    "crowded": lambda plan: "limits" in plan.config,
    "eaten": lambda plan: _has(plan, What.RETAIN),
    "cut off": lambda plan: _has(plan, What.OFFLINE),
    "killed as it closes": lambda plan: any(
        fault.what is What.KILL and fault.where is Where.PRESUMED_SENT for fault in plan.faults
    ),
    "rekeyed": lambda plan: plan.sources,
    "processes": lambda plan: plan.processes,
    "processes and several workers": lambda plan: plan.processes and len(plan.workers) > 1,
    "full sources": lambda plan: plan.sources and len(plan.clients) >= FULL,
    "sources and three workers": lambda plan: plan.sources and len(plan.workers) > 2 and not _has(plan, What.SLOW),
    "several sources and workers": lambda plan: plan.sources > 1 and len(plan.workers) > 1,
}
"""What a world is like in which a bug can show."""


def _has(plan: Plan, what: What) -> bool:
    return any(fault.what is what for fault in plan.faults)


def worlds(kind: str) -> Iterator[Plan]:
    """The first worlds that `make test` makes; of bugs that only one kind of them can show, the first of that kind."""
    return itertools.islice(filter(KINDS[kind], map(make_plan, itertools.count())), WORLDS)


@pytest.mark.parametrize(
    ("mutation", "kind"),
    [
        *((one, kind) for kind, mutations in MUTATIONS.items() for one in mutations),
    ],
    ids=lambda given: getattr(given, "__name__", None),
)
def test_a_bug_that_is_put_in_is_found(mutation: Mutation, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the first worlds that could show it; without the bug nothing is wrong in them."""
    mutation(monkeypatch)
    assert any(tried(plan).findings for plan in worlds(kind)), mutation.__doc__
