"""What is told of a worker, by itself."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from finalizer.core.sources import Sources, Vouched
from finalizer.core.terms import SECOND
from finalizer.shell.status import Status

MADE, NEW = ("logs", 0), ("logs", 1)


def told(*marks: Vouched) -> dict[tuple[str, int], float | None]:
    """How far each of two sources is said to be behind at 100 s, 7 s after the partition was given to us."""
    sources = Sources([MADE, NEW])
    for mark in marks:
        sources.told(mark)
    partition = SimpleNamespace(started_at=time.monotonic() - 7, course=SimpleNamespace(sources=sources))
    owner: Any = SimpleNamespace(
        partitions={0: partition}, rekey=SimpleNamespace(sources={}, places=frozenset({MADE, NEW}))
    )
    broker_time: Any = SimpleNamespace(now=lambda: 100 * SECOND)
    return {(one.topic, one.number): one.clock_lag_seconds for one in Status(owner, broker_time).sources()}


def test_a_source_is_as_far_behind_as_it_was_last_vouched_for() -> None:
    """And one that nobody has vouched for has kept us waiting since the partition is ours."""
    lags = told(Vouched(*MADE, clock=96 * SECOND))
    assert lags[MADE] == 4
    assert lags[NEW] == pytest.approx(7, abs=0.5)


def test_a_source_whose_first_mark_vouches_for_no_time_yet_is_not_behind_by_decades() -> None:
    """A mark is written before the source was heard at all: an alert on seconds must not see those since 1970."""
    assert told(Vouched(*NEW, clock=0))[NEW] == pytest.approx(7, abs=0.5)
