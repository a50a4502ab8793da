"""Time limits: the span ends in time, whatever the work does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from finalizer.client.testing import Capture, capture


@pytest.fixture
def spans() -> Iterator[Capture]:
    """A client whose spans are captured."""
    with capture() as captured:
        yield captured


async def test_async_work_is_cancelled_when_its_time_is_over(spans: Capture) -> None:
    """TimeoutError for the caller; error and `timeout` for the span, which told its limit at its start, and five
    seconds for its own end to come first."""
    cleaned = []

    @spans.client.with_timeout(0.01, "slow")
    async def slow() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(1)

    with pytest.raises(TimeoutError):
        await slow()
    assert cleaned == [1]
    told = spans.span("slow")
    assert (told.status, told.reason, told.ends, told.events[0]["timeout_ms"]) == ("error", "timeout", 1, 5010)


async def test_async_work_in_time_notices_nothing(spans: Capture) -> None:
    """Its result is its caller's, its errors are its own, and a cancellation from outside stays one."""

    @spans.client.with_timeout(60)
    async def quick(error: type[BaseException] | None = None) -> int:
        if error is not None:
            raise error("wrong")
        return 1

    assert await quick() == 1
    with pytest.raises(ValueError, match="wrong"):
        await quick(ValueError)
    with pytest.raises(asyncio.CancelledError):
        await quick(asyncio.CancelledError)
    found = [(one.name.rpartition(".")[2], one.status, one.reason) for one in spans.spans]
    assert found == [("quick", "", ""), ("quick", "error", ""), ("quick", "", "cancelled")]


def test_the_span_of_a_thread_ends_in_time(spans: Capture) -> None:
    """A thread cannot be cancelled: its span ends when its time is over, and the work is told that it did."""
    with spans.client.with_timeout(5, "slow") as span:
        seen = []
        for seconds in (4, 2):
            spans.advance(seconds)
            seen.append(span.timed_out)
        span.set_attribute("late", 1)
    told = spans.span("slow")
    assert seen == [False, True]
    assert (told.status, told.reason, told.ends, told.attributes) == ("error", "timeout", 1, {})
    assert told.end_unix_nano - told.start_unix_nano == 5_000_000_000


def test_work_in_time_is_not_ended_later(spans: Capture) -> None:
    """The limit is gone with the work, in blocks and in functions."""

    @spans.client.with_timeout(5)
    def quick() -> int:
        return 1

    assert quick() == 1
    spans.advance(60)
    (told,) = spans.spans
    assert (told.status, told.reason, told.kinds) == ("", "", ["start", "end"])


def test_time_limits_of_many_are_each_ones_own(spans: Capture) -> None:
    """Long ones do not hold up short ones, and each ends once."""
    guards = [spans.client.with_timeout(seconds, str(seconds)) for seconds in (30, 1, 20, 2)]
    for guard in guards:
        guard.__enter__()
    spans.advance(10)
    ended = {one.name: one.ends for one in spans.spans}
    assert ended == {"30": 0, "1": 1, "20": 0, "2": 1}
    for guard in reversed(guards):
        guard.__exit__(None, None, None)
    spans.advance(100)
    assert [one.ends for one in spans.spans] == [1, 1, 1, 1]
