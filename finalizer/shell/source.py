"""One source partition: its inbox of frames, and the task that turns them into evidence (RATIONALE: re-keying).

A frame is decoded in slices, written whole, and acknowledged once everything of it was answered for. What was not
acknowledged is read again by whoever has the source next, and written twice at worst: the fold absorbs it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from faust.types import TP

from finalizer.core.sources import Vouched
from finalizer.following import Hole
from finalizer.rekeying import Group, Rekeying
from finalizer.shell import logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.evidence import EvidenceWriter
from finalizer.shell.frames import Answer, Frame
from finalizer.shell.metrics import Metrics
from finalizer.shell.partition import tell_of_gap
from finalizer.shell.tasks import ended

log = logs.get("rekey")

INBOX_FRAMES = 3
SLICE = 200
"""Records decoded before others get a turn: some 2 ms, more where a record is a whole batch."""


class Polling(Protocol):
    """Who polls: what is held back, what came back, and where to read on."""

    def hold(self, number: int, topic: str) -> None: ...
    def release(self, number: int, topic: str) -> None: ...
    def answer(self, number: int, topic: str) -> Answer | None: ...
    async def read_again(self, positions: Mapping[TP, int]) -> None: ...


class Source:
    """Runs from `start` until `quiesce` or `stop`. Everything here happens on the worker's one event loop."""

    def __init__(
        self,
        rekeying: Rekeying,
        writer: EvidenceWriter,
        *,
        polling: Polling,
        doubt: Callable[[Source, BaseException], None],
        broker_time: BrokerTime,
        metrics: Metrics,
        gap: int = 0,
    ) -> None:
        self.topic, self.number = rekeying.place
        self.rekeying = rekeying
        self.generation = -1
        self.gap = gap
        """Records that retention deleted before they were read."""
        self.progressed_at = time.monotonic()
        self.busy = False
        """Records are being decoded; while they are written the broker has the word."""
        self._writer = writer
        self._polling = polling
        self._doubt = doubt
        self._time = broker_time
        self._metrics = metrics
        self._rejected = rekeying.policy.outputs.rejected.topic
        self._inbox: deque[tuple[Any, Frame]] = deque()
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._told = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seen_stamp: int | None = None

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self, generation: int) -> None:
        """Begin (or go on) in this generation, reading after what is decided."""
        self.generation = generation
        self.rekeying.read_on()
        (self._polling.hold if self.rekeying.paused else self._polling.release)(self.number, self.topic)
        self._task = asyncio.create_task(self._rekey_all())
        self._task.add_done_callback(self._ended)

    def accept(self, event: Any, frame: Frame) -> None:
        """Take a frame from the agent; never blocks. A stale one is dropped: it will be read again."""
        if frame.generation != self.generation:
            return
        try:
            if not self.rekeying.follows(begin=frame.begin, end=frame.end):
                return
        except Hole as hole:
            self._doubt(self, hole)
            return
        self._inbox.append((event, frame))
        self._arrived.set()
        if len(self._inbox) >= INBOX_FRAMES:
            self._polling.hold(self.number, self.topic)

    async def quiesce(self, limit: float) -> None:
        """Take nothing more, and let the group in hand be written, within `limit` seconds."""
        self.rekeying.stop_reading()
        self._inbox.clear()
        task = self._task
        if task is not None and not task.done():
            waiting = asyncio.ensure_future(self._idle.wait())
            await asyncio.wait([waiting, task], timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        await self.stop()

    async def stop(self) -> None:
        """Drop what is in hand: it was not acknowledged."""
        self.rekeying.stop_reading()
        task, self._task = self._task, None
        self._inbox.clear()
        if task is not None:
            await ended([task])

    def vouch(self) -> Vouched:
        """What a mark of now may say, after a look at the latest fetch answer."""
        rekeying, now = self.rekeying, self._time.now()
        answer = self._polling.answer(self.number, self.topic)
        if answer is not None and answer.stamp != self._seen_stamp:
            self._seen_stamp = answer.stamp
            rekeying.clock.answered(
                self.topic,
                arrived_at=self._time.at(answer.arrived_at),
                position=answer.position,
                highwater=answer.highwater,
            )
        elif answer is not None:
            rekeying.clock.moved(self.topic, position=answer.position)
        return rekeying.vouch(now)

    def told(self, vouched: Vouched) -> None:
        """The mark stands in every partition of the evidence."""
        self.rekeying.told(vouched)
        self._told.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The task ends by itself only by failing: the owner decides what is to be done."""
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._doubt(self, error)

    async def _rekey_all(self) -> None:
        while True:
            while not self._inbox:
                self._arrived.clear()
                self._idle.set()
                await self._arrived.wait()
            self._idle.clear()
            event, frame = self._inbox.popleft()
            if len(self._inbox) < INBOX_FRAMES and not self.rekeying.paused:
                self._polling.release(self.number, self.topic)
            if frame.lost:
                self.gap += frame.lost
                self.rekeying.lost(frame.lost)
                tell_of_gap(self.topic, self.number, frame.lost)
            self.progressed_at, self.busy = time.monotonic(), True
            group = await self._decoded(frame)
            self.busy = False
            await self._write(group)
            event.ack()
            frame.records = ()

    async def _decoded(self, frame: Frame) -> Group:
        rekeying = self.rekeying
        stamped, arrived_at = frame.timestamp_type == 1, self._time.at(frame.arrived_at)
        group = rekeying.begin(frame.records, end=frame.end, stamped=stamped, arrived_at=arrived_at)
        for first in range(0, len(group.records), SLICE):
            rekeying.decode(group, group.records[first : first + SLICE])
            await asyncio.sleep(0)
        return group

    async def _write(self, group: Group) -> None:
        while self.rekeying.untold:
            self._told.clear()
            await self._told.wait()
        if group.entries or group.rejected:
            await self._writer.write(group.entries, group.rejected)
        self._metrics.apply(group.tally)
        too_many = self.rekeying.written(group)
        if too_many is not None:
            self.rekeying.paused = True
            self._polling.hold(self.number, self.topic)
            log.error("input_paused", too_many.told(self._rejected), topic=self.topic, partition=self.number)
