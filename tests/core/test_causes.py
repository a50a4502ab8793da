"""The causes: the table of the design, word for word."""

from __future__ import annotations

import pytest

from finalizer.core.causes import FACTS, Cause, StatusCode
from finalizer.core.model import End, Status

ERROR, UNSET = StatusCode.ERROR, StatusCode.UNSET
WORDS: dict[str, tuple[int, str, str, StatusCode, bool]] = {
    "completed": (4, "completed", "", UNSET, False),
    "partial": (3, "partial", "", UNSET, True),
    "restarted": (2, "abandoned", "client-crash", ERROR, True),
    "abandoned": (1, "abandoned", "client-crash", ERROR, True),
    "timeout": (0, "dead", "timeout", ERROR, True),
    "heartbeat_lost": (0, "dead", "heartbeat-lost", ERROR, True),
    "no_heartbeat": (0, "dead", "no-heartbeat", ERROR, True),
    "stalled": (0, "dead", "no-progress", ERROR, True),
    "session_expired": (0, "expired", "session-expired", UNSET, True),
    "backgrounded": (0, "partial", "backgrounded", UNSET, True),
    "instance_replaced": (0, "dead", "client-crash", ERROR, True),
    "downstream_finished": (0, "recovered", "downstream-finished", UNSET, True),
    "parent_closed": (0, "dead", "parent-closed", UNSET, True),
    "watchdog_intervention": (0, "recovered", "watchdog-intervention", ERROR, True),
    "swept": (0, "dead", "timeout", ERROR, True),
    "evicted": (0, "unknown", "memory-bound", UNSET, True),
}


@pytest.mark.parametrize("cause", Cause)
def test_what_a_reader_may_assume(cause: Cause) -> None:
    """Rank, words, status and completeness of each cause are a contract with whoever reads the finals."""
    facts = FACTS[cause]
    assert (facts.rank, facts.status_word, facts.reason_word, facts.status, facts.incomplete) == WORDS[cause.value]
    assert facts.reported == (facts.rank > 0)
    assert facts.end_time
    assert facts.meaning


def test_the_list_is_closed() -> None:
    """A new cause is a change of the contract: it shows here first."""
    assert {cause.value for cause in Cause} == set(WORDS)
    assert set(FACTS) == set(Cause)


def test_order_of_ends() -> None:
    """Rank first, then the later moment, then the status; words decide nothing that a reader sees as another end."""
    partial, restarted = End(Cause.PARTIAL, 9), End(Cause.RESTARTED, 10)
    assert End(Cause.COMPLETED, 5).order > partial.order > restarted.order > End(Cause.ABANDONED, 11).order
    assert End(Cause.COMPLETED, 6).order > End(Cause.COMPLETED, 5, Status(ERROR)).order
    assert End(Cause.COMPLETED, 5).same_as(End(Cause.COMPLETED, 5, Status(UNSET), "cancelled"))
    assert End(Cause.COMPLETED, 5, Status(ERROR, "x")).same_as(End(Cause.COMPLETED, 5, Status(ERROR, "y")))
    assert not End(Cause.COMPLETED, 5).same_as(End(Cause.COMPLETED, 5, Status(ERROR)))
    assert not End(Cause.COMPLETED, 5).same_as(End(Cause.PARTIAL, 5))
