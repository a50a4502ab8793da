"""Ending tasks so that they do end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 5.0
"""Longer than what is cancelled needs to clean up: a producer that is closed without a broker takes two or three."""


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
