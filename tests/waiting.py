"""Waiting for a condition with a limit, which is how these tests wait: never for a time and for luck."""

import asyncio
import time
from collections.abc import Awaitable, Callable

LIMIT_SECONDS = 40.0
"""Says nothing about time: so long a test waits, on a machine that is busy with other things, before it gives up."""
PAUSE_SECONDS = 0.02


def until(condition: Callable[[], object], *, limit_seconds: float = LIMIT_SECONDS) -> None:
    """Return when ``condition()`` is true; fail the test when it is not within the limit."""
    give_up = time.monotonic() + limit_seconds
    while not condition():
        assert time.monotonic() < give_up, f"not true within {limit_seconds:g} seconds"
        time.sleep(PAUSE_SECONDS)


async def until_true(condition: Callable[[], Awaitable[object]], *, limit_seconds: float = LIMIT_SECONDS) -> None:
    """Return when ``await condition()`` is true; fail the test when it is not within the limit."""
    give_up = time.monotonic() + limit_seconds
    while not await condition():
        assert time.monotonic() < give_up, f"not true within {limit_seconds:g} seconds"
        await asyncio.sleep(PAUSE_SECONDS)
