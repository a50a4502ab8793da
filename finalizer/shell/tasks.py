"""Tasks that go on whatever a broker says, and ending tasks so that they do end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Never

from aiokafka.errors import KafkaError

AGAIN_SECONDS = 5.0
"""Longer than what is cancelled needs to clean up: a producer that is closed without a broker takes two or three."""


RETRY_SECONDS = 5.0
"""Between two attempts."""


async def tried_again(attempt: Callable[[], Awaitable[object]], tell: Callable[[Exception], object]) -> Never:
    """Attempt this until cancelled; what a broker refuses is told, and tried again."""
    while True:
        try:
            await attempt()
        except (KafkaError, OSError) as error:
            tell(error)
        await asyncio.sleep(RETRY_SECONDS)


async def ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel these, and return once all have ended. What they end with is theirs: nothing is raised.

    A cancellation can be lost on its way (whoever waits with a limit of its own may take it for that limit): it is
    repeated until it arrives.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=AGAIN_SECONDS)
