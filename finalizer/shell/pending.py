"""What is decided and not yet durable: groups in the order in which they were decided.

The last group is open. It grows while the one before it is on its way to the broker, so that groups are small where
little happens and large under load; it is closed where it is full, and where evidence follows a timer or a timer
evidence, because what a timer decided is durable before it is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from finalizer.codecs.stored import Watermark
from finalizer.decision import Decision, Topic
from finalizer.shell.outbox import Destination, Outbox

GROUP_BYTES = 4 * 1024 * 1024
MOST_GROUPS = 3
"""Groups that may wait where evidence and timers take turns."""
CHANGE_BYTES = 600
"""What a change takes in the changelog, roughly."""


class Item(NamedTuple):
    """One decision, to become durable after all before it."""

    decision: Decision
    watermark: Watermark | None
    """State of the inputs after an evidence frame; None for what a timer decided."""
    acks: tuple[Any, ...]
    """Faust events to acknowledge once it is durable."""
    records: int


class Group:
    """Decisions that become durable together: all of evidence, or all of a timer."""

    def __init__(self, outbox: Outbox, outputs: Mapping[Topic, Destination], *, of_timer: bool) -> None:
        self.outbox = outbox
        self.of_timer = of_timer
        self.whole = Decision()
        """All decisions in one, coalesced; its outputs are in the outbox."""
        self.watermark: Watermark | None = None
        self.acks: list[Any] = []
        self.records = 0
        self._outputs = outputs

    def add(self, item: Item) -> None:
        """Take in what was decided next."""
        decision, watermark, acks, records = item
        outputs, decision.outputs = decision.outputs, []
        self.outbox.carry(outputs, self._outputs)
        self.whole.absorb(decision)
        self.watermark = watermark
        self.acks += acks
        self.records += records

    @property
    def size(self) -> int:
        """Bytes to be written, roughly."""
        return self.outbox.bytes + CHANGE_BYTES * len(self.whole.changes)


class Begin(Protocol):
    """Makes a group."""

    def __call__(self, *, of_timer: bool) -> Group: ...


class Pending:
    """The groups of a partition. One task adds, another takes."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._groups: deque[Group] = deque()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def of_timer(self) -> bool:
        """True if the group that grows is a timer's, and what is added of evidence would close it."""
        return bool(self._groups) and self._groups[-1].of_timer and self._groups[-1].size < GROUP_BYTES

    @property
    def waits(self) -> bool:
        """True if a group waits to be committed."""
        return bool(self._groups)

    async def room(self) -> None:
        """Wait until one more decision may be added."""
        await self._room.wait()

    def add(self, item: Item) -> None:
        """Add a decision, after all others."""
        of_timer, groups = item.watermark is None, self._groups
        if not groups or groups[-1].of_timer is not of_timer or groups[-1].size >= GROUP_BYTES:
            groups.append(self._begin(of_timer=of_timer))
        groups[-1].add(item)
        self._empty.clear()
        self._more.set()
        if len(groups) >= MOST_GROUPS or groups[-1].size >= GROUP_BYTES:
            self._room.clear()

    async def take(self) -> Group:
        """The group that is to be committed next; it grows no more."""
        await self._more.wait()
        group = self._groups.popleft()
        if not self._groups:
            self._more.clear()
        self._room.set()
        return group

    def done(self) -> None:
        """The group that was taken is durable, and sent."""
        if not self._groups:
            self._empty.set()

    async def emptied(self) -> None:
        """Wait until everything that was added is durable."""
        await self._empty.wait()
