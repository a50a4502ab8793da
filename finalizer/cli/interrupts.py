"""Ctrl-C and SIGTERM end a command in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_until_told(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` to its end; Ctrl-C and SIGTERM cancel it, let it clean up, and raise ``KeyboardInterrupt``."""

    async def until_told() -> T:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
