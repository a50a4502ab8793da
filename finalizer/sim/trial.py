"""One world from its plan to what is wrong with it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from finalizer.course import BUG
from finalizer.sim.oracle import Oracle
from finalizer.sim.plan import Plan
from finalizer.sim.scene import Finding, Trouble
from finalizer.sim.world import World


class Trial(NamedTuple):
    """How it went."""

    seed: int
    findings: list[Finding]
    tally: Counter[str]
    """What was in the world: spans, records, finals, and what broke, by its name."""


def tried(plan: Plan) -> Trial:
    """Make the world of this plan, let it happen, and judge it. What raises in it is a finding as well."""
    world = World(plan)
    try:
        world.run()
    except BUG as error:
        findings = [*world.scene.findings, Finding(Trouble.CRASHED, f"{type(error).__name__}: {error}")]
    else:
        findings = Oracle(world).findings()
    return Trial(plan.seed, findings, world.tally())
