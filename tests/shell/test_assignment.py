"""Which partitions run in which generation, whatever overtakes what. What would need Kafka is stood in for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from finalizer.shell.assignment import Assignment


class Stand:
    """A partition that was made ready, and how it was started."""

    def __init__(self, number: int, *, clean: bool = True) -> None:
        self.number = number
        self._clean = clean
        self.generation = -1
        self.running = False
        self.paused_inputs: set[str] = set()
        self.decided: dict[str, int] = {}
        self.course = SimpleNamespace(sources=None)

    def start(self, generation: int) -> None:
        assert not self.running, "it would decide and commit twice at the same time"
        self.running, self.generation = True, generation

    async def quiesce(self, limit: float) -> bool:
        self.running = False
        return self._clean

    async def stop(self) -> None:
        self.running = False


class Restoring:
    """Makes partitions ready as soon as it is let. The broker does not answer to those with odd numbers."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(session_timeout=9.0)
        self.let = asyncio.Event()
        self.made: list[Stand] = []

    async def ready(self, numbers: set[int], keeper: object) -> list[Stand]:
        await self.let.wait()
        made = [Stand(number, clean=number % 2 == 0) for number in numbers]
        self.made += made
        return made


async def test_a_restore_that_ends_while_the_group_shares_out_anew_is_not_taken() -> None:
    """Between giving up partitions and being given new ones nothing is started: it would run in a generation that is
    over, count as kept, and be started a second time while it runs."""
    making: Any = Restoring()
    assignment = Assignment(making)
    assignment.rebalanced(1)
    recovering = asyncio.ensure_future(assignment.recover({0}))
    await asyncio.sleep(0)
    await assignment.revoked()
    making.let.set()
    await recovering
    assert not assignment.partitions
    assert [one.running for one in making.made] == [False]
    assignment.rebalanced(2)
    await assignment.recover({0})
    assert assignment.partitions[0].generation == 2
    assert [one.running for one in making.made] == [False, True]
    await assignment.revoked()
    assignment.rebalanced(3)
    await assignment.recover({0})
    assert len(making.made) == 2, "a partition that was kept is not restored again"


async def test_what_could_not_be_written_is_known_at_the_end() -> None:
    """A worker that stops without a broker says of which partitions it decides the last groups again."""
    making: Any = Restoring()
    making.settings.leave = False
    making.let.set()
    assignment = Assignment(making)
    assignment.rebalanced(1)
    await assignment.recover({0, 1, 2})
    await assignment.close()
    assert assignment.unwritten == [1]
