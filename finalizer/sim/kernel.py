"""Virtual time: what is due next happens next, and nothing waits.

A process is a generator that yields how long it waits (ns). Its owner may be dead, then it is dropped where it stands;
or frozen, then it goes on where it stands when its owner does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from heapq import heappop, heappush
from typing import Protocol

Process = Generator[int, None, None]


class Killed(Exception):
    """The owner of the process that runs into this dies here."""


class Owner(Protocol):
    """Who a process belongs to."""

    alive: bool
    frozen_until: int

    def die(self) -> None: ...


class Task:
    """A process that runs, or has ended."""

    __slots__ = ("_process", "done", "owner")

    def __init__(self, process: Process, owner: Owner) -> None:
        self._process = process
        self.owner = owner
        self.done = False

    def step(self) -> int | None:
        """Let it go on; returns how long it waits, or None at its end."""
        try:
            return next(self._process)
        except StopIteration:
            pass
        except Killed:
            self.owner.die()
        self.done = True
        return None

    def cancel(self) -> None:
        """End it where it waits."""
        self.done = True
        self._process.close()


class Kernel:
    """The one clock of a world, in ns since 1970."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._due: list[tuple[int, int, Task | Callable[[], None]]] = []
        self._count = 0

    def at(self, moment: int, act: Callable[[], None] | Task) -> None:
        """Have `act` happen at `moment`; of two at the same moment the one that was named first is first."""
        self._count += 1
        heappush(self._due, (max(moment, self.now), self._count, act))

    def spawn(self, process: Process, owner: Owner) -> Task:
        """Start a process, as soon as whoever called has come to its end."""
        task = Task(process, owner)
        self.at(self.now, task)
        return task

    def run_until(self, moment: int) -> None:
        """Let everything happen that is due up to `moment`."""
        due = self._due
        while due and due[0][0] <= moment:
            self.now, _, act = heappop(due)
            if not isinstance(act, Task):
                act()
            elif act.done:
                continue
            elif not act.owner.alive:
                act.cancel()
            elif act.owner.frozen_until > self.now:
                self.at(act.owner.frozen_until, act)
            else:
                wait = act.step()
                if wait is not None:
                    self.at(self.now + wait, act)
        self.now = moment
