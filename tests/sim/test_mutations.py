"""The test of the test: a bug that is put in is found. What the simulation does not find, it does not guard."""

from __future__ import annotations

import pytest

from finalizer import RUNNING
from finalizer.compiled import Running
from finalizer.sim.making import make_plan
from finalizer.sim.trial import tried
from tests.sim.mutations import MUTATIONS, Mutation

pytestmark = pytest.mark.skipif(
    RUNNING is Running.COMPILED,
    reason="NOT RUN: compiled modules cannot be broken on purpose; `make test-pure` puts the bugs in",
)

WORLDS = 60


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__)
def test_a_bug_that_is_put_in_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the first worlds that `make test` makes; without the bug nothing is wrong in them."""
    mutation(monkeypatch)
    assert any(tried(make_plan(seed)).findings for seed in range(WORLDS)), mutation.__doc__
