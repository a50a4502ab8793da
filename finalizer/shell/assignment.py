"""Which partitions are ours, in which generation: made ready, quiesced, restored, and taken care of when in doubt.

A restore belongs to one consumer generation: a new one cancels and awaits the running restore before anything else,
and the generation is compared before the fence, after it, and before the state is installed. A partition counts as
kept only if the new generation is the next one after the last in which we had it.

One road for every doubt (outcome of a commit unknown, transaction timed out, fenced while still a member, a hole in
the input): drop the partition's state, fence, restore, seek. The second time within a minute the worker stops.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka.errors import KafkaError, OutOfOrderSequenceNumber, ProducerFenced
from faust.types import TP

from finalizer.following import Hole
from finalizer.shell import logs
from finalizer.shell.frames import Answer, Frame, FrameConsumer
from finalizer.shell.membership import Membership
from finalizer.shell.partition import Partition
from finalizer.shell.ready import Making
from finalizer.shell.refusals import NOT_ALLOWED, stop_for
from finalizer.shell.rekey import Rekey
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended

log = logs.get("assignment")

FENCED = (ProducerFenced, OutOfOrderSequenceNumber)
"""What a producer is told whose transactional id has a newer owner (or whose transaction timed out)."""
DOUBT_SECONDS = 60.0
AWAY_SECONDS = 1.0
"""Between two attempts to reach a broker that is away."""

GOODBYE_SECONDS = 1.0
"""How long a worker that stops waits for the group's coordinator."""
CLOSING_SECONDS = 5.0
"""How long it lets groups in hand be written, at most: what is not is read again by whoever has the partition next."""


class Assignment:
    """The partitions of this worker. `stopped` is set, with a reason, when the worker must end."""

    def __init__(self, making: Making) -> None:
        self.partitions: dict[int, Partition] = {}
        self.making = making
        self.rekey: Rekey | None = None
        """Where inputs are re-keyed."""
        self.consumer: FrameConsumer | None = None
        self.membership: Membership | None = None
        self.stopped: asyncio.Future[Stop] = asyncio.get_running_loop().create_future()
        self.generation = -1
        self.assigned = False
        """Partitions (perhaps none) were given to us in this generation, and are ready."""
        self.restoring: set[int] = set()
        self._over = False
        """This generation ends: what is restored for it now may be somebody else's in the next one."""
        self._kept_in: dict[int, int] = {}
        self.unwritten: list[int] = []
        """Partitions whose last groups could not be written before this was closed."""
        self._recovering: asyncio.Task[None] | None = None
        self._doubted: dict[int, float] = {}
        self._fenced: set[int] = set()
        """Partitions whose producer was fenced, and which we have not made ready since."""
        self._cures: set[asyncio.Task[None]] = set()
        self._stops: set[asyncio.Task[None]] = set()
        self._closing = False

    # What Faust tells us. Nothing may be raised here: it would be swallowed.

    def rebalanced(self, generation: int) -> None:
        """A new generation begins; a restore of an older one is over."""
        self.generation = generation
        self.assigned = self._over = False
        if self._recovering is not None:
            self._recovering.cancel()

    async def revoked(self) -> None:
        """Before the join: decide nothing more, commit what was decided, or give it up."""
        limit = self.making.settings.session_timeout / 3
        if self._closing:
            limit = min(limit, CLOSING_SECONDS)
        self._over = True
        await ended(self._cures)
        running = [one for one in self.partitions.values() if one.running]
        if self.rekey is not None:
            await self.rekey.revoked(limit)
        clean = await asyncio.gather(*(one.quiesce(limit) for one in running))
        for partition, is_clean in zip(running, clean, strict=True):
            if is_clean:
                self._kept_in[partition.number] = partition.generation
            else:
                self._kept_in.pop(partition.number, None)
        if self.membership is not None and not self._closing and self.membership.is_lost:
            await self._end_if_taken_over(self.membership, [one for one in running if one.number in self._kept_in])

    async def recover(self, partitions: set[int]) -> None:
        """Make all partitions of this generation ready: go on with those that were kept, restore the others."""
        generation, before = self.generation, self._recovering
        if before is not None:
            await ended([before])
        task = self._recovering = asyncio.ensure_future(self._recover(partitions, generation))
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            self.fail(task.exception())
        if self._closing or self.stopped.done():
            await asyncio.Event().wait()  # Faust would seek and read on

    def start_positions(self, tps: Iterable[TP]) -> Mapping[TP, int]:
        """Where to read on: after what is decided in memory, which after a restore is what is durable."""
        known, tps = dict[TP, int](), list(tps)
        for tp in tps:
            partition = self.partitions.get(tp.partition)
            if partition is not None and tp.topic in partition.decided:
                known[tp] = partition.decided[tp.topic] + 1
        return known if self.rekey is None else known | self.rekey.start_positions(tps)

    def durable(self, tp: TP) -> int | None:
        """The last offset that is durable: what the group may commit."""
        if self.rekey is not None and tp in self.rekey.sources:
            return self.rekey.durable(tp)
        partition = self.partitions.get(tp.partition)
        return None if partition is None else partition.durable.get(tp.topic)

    def accept(self, event: Any, frame: Frame) -> None:
        """Hand a frame to whoever it is for."""
        if self.rekey is not None and self.rekey.reads(frame.topic):
            self.rekey.accept(event, frame)
        elif frame.partition in self.partitions:
            self.partitions[frame.partition].accept(event, frame)

    # What partitions and sources ask for.

    def hold(self, number: int, topic: str) -> None:
        if self.consumer is not None:
            self.consumer.held.add(TP(topic, number))

    def release(self, number: int, topic: str) -> None:
        if self.consumer is not None:
            self.consumer.held.discard(TP(topic, number))

    def answer(self, number: int, topic: str) -> Answer | None:
        return None if self.consumer is None else self.consumer.answers.get(TP(topic, number))

    async def read_again(self, positions: Mapping[TP, int]) -> None:
        """Seek, and poll what may have been held."""
        if self.consumer is not None:
            await self.consumer.seek_wait(positions)
            self.consumer.held -= set(positions)

    def doubt(self, partition: Partition, error: BaseException) -> None:
        """Something about a partition is not certain any more: see to it, outside of the partition's own tasks."""
        if self.partitions.get(partition.number) is not partition:
            log.info(
                "gone", "an error on a partition that is no longer ours", partition=partition.number, reason=repr(error)
            )
            return
        if isinstance(error, FENCED):
            self._fenced.add(partition.number)
        task = asyncio.ensure_future(self._cure(partition, error))
        self._cures.add(task)
        task.add_done_callback(self._cures.discard)

    def fail(self, error: BaseException | None) -> None:
        """End the worker."""
        if self.stopped.done() or error is None:
            return
        if isinstance(error, KafkaError | OSError):
            error = stop_for(error, "the broker failed us")
        elif not isinstance(error, Stop):
            log.error("crashed", "an error that should not happen", exc=error)
            error = Stop(Exit.FAULT, f"{type(error).__name__}: {error}")
        self.stopped.set_result(error)

    async def _end_if_taken_over(self, membership: Membership, kept: list[Partition]) -> None:
        """Out of the group, what was ours may be another's: then its producer fenced ours, which learn it by asking."""
        limit = self.making.settings.session_timeout / 3
        for partition, error in zip(kept, await asyncio.gather(*(one.ask(limit) for one in kept)), strict=True):
            if error is not None:
                self._kept_in.pop(partition.number, None)
            if isinstance(error, FENCED):
                self._fenced.add(partition.number)
        if not self._fenced:
            return
        numbers = ", ".join(map(str, sorted(self._fenced)))
        if await membership.has_others():
            words = "were taken over by a newer owner while this worker was out of the group"
            self.fail(Stop(Exit.FENCED, f"partitions {numbers} {words}{membership.twin}"))
        else:
            log.warning(
                "doubt", "out of the group until a transaction timed out; nobody else is in", partitions=numbers
            )

    async def close(self) -> None:
        """Finish the groups in hand and leave no producer open."""
        self._closing = True
        await self.revoked()
        self.unwritten = sorted(self.partitions.keys() - self._kept_in.keys())
        await self._commit_offsets()
        if self.making.settings.leave and self.consumer is not None:
            self.consumer.give_up_membership()
        if self._recovering is not None:
            await ended([self._recovering])
        await _stopped(self.partitions.values())
        self.partitions.clear()
        if self.rekey is not None:
            await self.rekey.close()
        if self._stops:
            await asyncio.wait(self._stops)

    async def _commit_offsets(self) -> None:
        """Tell the group how far we are, so that its lag is true while nobody reads. Nothing depends on it."""
        if self.consumer is None or not self.assigned:
            return
        committing = asyncio.ensure_future(self.consumer.commit())
        done, _ = await asyncio.wait([committing], timeout=GOODBYE_SECONDS)  # it does not take being cancelled
        if not done:
            log.info("not_committed", "the broker does not answer; the group's offsets are a little behind the state")

    async def _recover(self, numbers: set[int], generation: int) -> None:
        if self.rekey is not None and self.consumer is not None:
            self.making.places = self.rekey.look(self.consumer)
        lost = [n for n in self.partitions if n not in numbers or self._kept_in.get(n) != generation - 1]
        for number in lost:
            self._kept_in.pop(number, None)
        await _stopped([self.partitions.pop(number) for number in lost])
        needed = numbers - set(self.partitions)
        self.restoring = set(needed)
        began = time.monotonic()
        made = await self._made(needed)
        if self._over or generation != self.generation:
            await _stopped(made)
            return
        for partition in made:
            self._install(partition)
        for partition in self.partitions.values():
            for topic in partition.decided:  # it may have been in doubt when it was revoked
                self.release(partition.number, topic)
            self._start(partition, generation)
        if self.rekey is not None and self.consumer is not None:
            await self.rekey.recover(self.consumer.assignment(), generation, self.consumer)
            if generation != self.generation:
                return
        self.assigned = True
        log.info(
            "ready",
            "all partitions of this generation are ready",
            generation=generation,
            restored=len(made),
            kept=len(self.partitions) - len(made),
            seconds=round(time.monotonic() - began, 2),
        )

    async def _made(self, numbers: set[int]) -> list[Partition]:
        """Partitions made ready. While the broker is away they are tried again: nothing can be read meanwhile."""
        while True:
            try:
                return await self.making.ready(numbers, self)
            except KafkaError as error:
                if not error.retriable:
                    raise
                log.warning("away", "the broker does not answer; trying again", reason=repr(error))
            await asyncio.sleep(AWAY_SECONDS)

    def _install(self, partition: Partition) -> None:
        self.partitions[partition.number] = partition
        self.restoring.discard(partition.number)
        self._fenced.discard(partition.number)

    def _start(self, partition: Partition, generation: int) -> None:
        partition.start(generation)
        if partition.course.sources is not None:
            partition.course.sources.expect(self.making.places)
        self._kept_in[partition.number] = generation
        for topic in partition.paused_inputs:
            self.hold(partition.number, topic)

    async def _cure(self, partition: Partition, error: BaseException) -> None:
        generation = self.generation
        try:
            await self._restore_again(partition, error)
        except (Stop, KafkaError, OSError) as worse:
            if generation == self.generation or isinstance(worse, Stop):
                self.fail(worse)

    async def _restore_again(self, partition: Partition, error: BaseException) -> None:
        number, generation = partition.number, partition.generation
        if isinstance(error, Stop):
            raise error
        if not isinstance(error, KafkaError | Hole) or isinstance(error, NOT_ALLOWED):
            self.fail(error)
            return
        del self.partitions[number]
        self.restoring.add(number)
        for topic in partition.decided:
            self.hold(number, topic)
        await asyncio.shield(self._leaving(partition))
        membership = self.membership
        if membership is not None and isinstance(error, FENCED):
            if not await membership.is_member():
                await self._end_if_taken_over(membership, [])
                return
            if membership.generation != generation:
                return  # a member again, in a new generation: that one says whose the partition is
        now = time.monotonic()
        if now - self._doubted.get(number, -DOUBT_SECONDS) < DOUBT_SECONDS:
            raise Stop(Exit.FAULT, f"partition {number} was in doubt twice within a minute: {error!r}")
        self._doubted[number] = now
        log.warning("doubt", "the partition is restored from its changelog", partition=number, reason=repr(error))
        (made,) = await self._made({number})
        if self._over or generation != self.generation or self.consumer is None:
            await made.stop()
            return
        self._install(made)
        self._start(made, generation)
        await self.read_again(self.start_positions({TP(topic, number) for topic in made.decided}))

    def _leaving(self, partition: Partition) -> asyncio.Task[None]:
        """Stop a partition that is not among ours any more, whatever becomes of who asked for it."""
        task = asyncio.ensure_future(partition.stop())
        self._stops.add(task)
        task.add_done_callback(self._stops.discard)
        return task


async def _stopped(partitions: Iterable[Partition]) -> None:
    await asyncio.gather(*(partition.stop() for partition in partitions))
