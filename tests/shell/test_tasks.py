"""Ending tasks: they do end."""

import asyncio

import pytest

from finalizer.shell import tasks
from finalizer.shell.tasks import ended


async def _deaf(times: int) -> None:
    """Lets so many cancellations pass, as a wait with a limit of its own may."""
    for _ in range(times):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue
    await asyncio.Event().wait()


async def test_a_lost_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancellation that somebody swallowed is repeated until the task has ended."""
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    task = asyncio.create_task(_deaf(3))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await ended([task])
    assert task.cancelled()


async def test_what_they_end_with() -> None:
    """What a task ends with stays with it; one that is over already, and no task at all, are ended at once."""

    async def fails() -> None:
        raise ValueError("its own")

    task = asyncio.create_task(fails())
    await asyncio.wait([task])
    await ended([task])
    await ended([])
    with pytest.raises(ValueError, match="its own"):
        task.result()
