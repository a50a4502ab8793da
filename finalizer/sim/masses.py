"""Did the breaker hold? No more than its share of what is open may be closed by inference within its window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finalizer.core.model import SpanKey
from finalizer.core.terms import SECOND
from finalizer.policy.load import Policy
from finalizer.sim.clients import Landed
from finalizer.sim.ledger import Ledger
from finalizer.sim.scene import Finding, Trouble

TOLERANCE = 2
"""Spans: what was open is known by what had landed, and a worker may have heard a little less."""
LAG = 3 * SECOND
"""A partition's clock may be so far behind when it closes."""
MOST_PARTITIONS = 1
"""Each partition has a breaker of its own; the share is checked where there is one."""


def mass_closes(
    policy: Policy, ledger: Ledger, landed: Mapping[SpanKey, Sequence[Landed]], *, until: int
) -> Iterator[Finding]:
    """What is wrong in a world of one partition, until the breaker is released."""
    breaker = policy.safety.breaker
    partitions = {records[0].partition for records in landed.values()}
    if len(landed) < breaker.min_spans or len(partitions) > MOST_PARTITIONS:
        return
    closed = {key: finals[0].detected for key, finals in ledger.finals.items()}
    by_inference = [closed[key] for key, finals in ledger.finals.items() if not finals[0].reported]
    born = {key: min(record.at for record in records) for key, records in landed.items()}
    window = breaker.window - breaker.window // 12
    for moment in sorted(by_inference):
        if moment >= until - LAG:
            return
        lately = sum(moment - window < one <= moment for one in by_inference)
        still_open = sum(at <= moment < closed.get(key, until) for key, at in born.items())
        most = breaker.max_share * (still_open + lately) + TOLERANCE
        if still_open + lately >= breaker.min_spans + TOLERANCE and lately > most:
            yield Finding(
                Trouble.MASS_CLOSE, f"{lately} were closed by inference within a window, {still_open} left open"
            )
            return
