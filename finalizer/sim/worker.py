"""A simulated worker: its place in the group, its partitions, its restores, and how it dies.

The rules are those of `shell`: a restore belongs to one generation; a partition is kept only through the very next one;
one road for every doubt (fence, restore, go on), and the second doubt within a minute stops the worker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum

from finalizer.changelog import Changelog, Restored
from finalizer.codecs.state import StateCodec
from finalizer.core.model import Coordinates
from finalizer.core.sources import Sources
from finalizer.core.terms import SECOND
from finalizer.course import Course, RekeyedInput, first_watermark, past_gaps
from finalizer.following import Hole
from finalizer.sim.broker import Fenced
from finalizer.sim.group import SESSION, Answer
from finalizer.sim.kernel import Killed, Process, Task
from finalizer.sim.listener import Listener
from finalizer.sim.partition import Calling, Partition, T, Unanswered
from finalizer.sim.plan import Where
from finalizer.sim.scene import EVIDENCE, Scene, Trouble

REQUEST_TIMEOUT = 10 * SECOND
RETRY = SECOND // 5
AWAY = SECOND
DOUBT = 60 * SECOND
LOOK = SECOND // 20


class _Place(Enum):
    """Where a worker stands in its group."""

    OUT = "out"
    JOINING = "joining"
    IN = "in"
    LEAVING = "leaving"


class Worker:
    """One process, from its start to its death. `seat` tells it from others, `member` from its former lives."""

    def __init__(self, scene: Scene, seat: int, member: int) -> None:
        self.scene = scene
        self.broker = scene.broker
        self.stamped: Mapping[str, bool] = scene.stamped
        self.most_records = scene.plan.most_records
        self.seat = seat
        self.alive = True
        self.frozen_until = 0
        self.cut_until = 0
        self.leaving = False
        self.unheard_until = 0
        self.partitions: dict[int, Partition] = {}
        self._member = member
        self._place = _Place.OUT
        self._generation = 0
        self._kept_in: dict[int, int] = {}
        self._doubted: dict[int, int] = {}
        self._committing: dict[int, Task] = {}
        self._recovering: Task | None = None
        self._cures: list[Task] = []
        self._listener = Listener(scene, self) if scene.policy.instances.topic else None
        scene.kernel.spawn(self._run(), self)

    # What its partitions ask for.

    def time(self) -> int:
        return self.scene.kernel.now - self.scene.plan.behind

    def reachable(self) -> bool:
        return self.broker.back_at is None and self.cut_until <= self.scene.kernel.now

    def reach(self, where: Where) -> bool:
        self.scene.reached(self.seat, where)
        if not self.alive:
            raise Killed
        return self.frozen_until > self.scene.kernel.now

    def call(self, act: Callable[[int], T], *, repeats: bool = False) -> Calling[T]:
        kernel, half = self.scene.kernel, self.scene.plan.latency // 2
        began, answers = kernel.now, list[T]()
        while True:
            while not self.reachable():
                if kernel.now - began > REQUEST_TIMEOUT:
                    raise Unanswered
                yield RETRY
            yield half + self.broker.slowness
            if not self.reachable():
                continue  # the request is lost
            if repeats or not answers:
                answers.append(act(kernel.now))
            yield half
            if self.reachable():
                return answers[0]

    def loses_frame(self) -> bool:
        return self.scene.loses_frame(self.seat)

    def acked(self, partition: Partition) -> None:
        self.scene.acked(partition.number, partition.durable)

    def doubt(self, partition: Partition, error: Exception) -> None:
        if isinstance(error, Hole) and not self.scene.frames_lost:
            self.scene.find(Trouble.UNNEEDED_DOUBT, f"partition {partition.number}: {error}, and nothing was lost")
        if self.partitions.get(partition.number) is partition:
            del self.partitions[partition.number]
            partition.pause()
            self._cures.append(self.scene.kernel.spawn(self._cure(partition.number, error), self))

    # What happens to it.

    def die(self) -> None:
        """Nothing of it goes on; what it has told the broker stays."""
        self.alive = False

    def leave(self) -> None:
        """SIGTERM: finish what is in hand, and go."""
        self.leaving = True
        self.scene.kernel.spawn(self._leave(), self)

    def _exit(self) -> None:
        self.alive = False
        self.scene.exited(self.seat)

    # The process.

    def _run(self) -> Process:
        while True:
            yield self.scene.plan.cadence
            if self.reachable():
                self._belong()
            for partition in list(self.partitions.values()):
                if (partition.running or self._place is _Place.LEAVING) and partition.beat():
                    self._commit(partition)

    def _belong(self) -> None:
        """Keep up membership."""
        group, now = self.scene.group, self.scene.kernel.now
        if self._place is _Place.OUT:
            group.join(self._member, now)
            self._place = _Place.JOINING
        elif self._place is _Place.JOINING:
            if not group.is_member(self._member):
                self._place = _Place.OUT
            elif (given := group.given(self._member, now)) is not None:
                self._place = _Place.IN
                self._given(*given)
        elif group.heartbeat(self._member, self._generation, now) is not Answer.STABLE and self._place is _Place.IN:
            self._place = _Place.LEAVING
            self.scene.kernel.spawn(self._revoked(), self)

    def _given(self, generation: int, numbers: set[int]) -> None:
        self._generation = generation
        self._recovering = self.scene.kernel.spawn(self._recover(generation, numbers), self)

    def _commit(self, partition: Partition) -> None:
        task = self._committing.get(partition.number)
        if task is None or task.done:
            self._committing[partition.number] = self.scene.kernel.spawn(partition.commit(), self)

    def _revoked(self) -> Process:
        """Before the join: decide nothing more, commit what was decided, or give it up."""
        self._give_up()
        yield from self._quiesce()
        if not self.leaving:
            self._place = _Place.OUT

    def _give_up(self) -> None:
        """Restores are over: they belong to a generation."""
        for task in (*self._cures, *([self._recovering] if self._recovering else [])):
            if not task.done:
                task.cancel()
        self._cures.clear()

    def _quiesce(self) -> Process:
        running = [one for one in self.partitions.values() if one.running]
        for partition in running:
            partition.pause()
        until = self.scene.kernel.now + SESSION // 3
        while self.scene.kernel.now < until and not all(one.clean for one in running):
            yield LOOK
        for partition in running:
            task = self._committing.pop(partition.number, None)
            if task is not None and not task.done:
                task.cancel()
            if not partition.clean:
                self._kept_in.pop(partition.number, None)

    def _leave(self) -> Process:
        self._place = _Place.LEAVING
        self._give_up()
        yield from self._quiesce()
        if self.reachable():
            self.scene.group.leave(self._member, self.scene.kernel.now)
        self.die()

    # Restores.

    def _recover(self, generation: int, numbers: set[int]) -> Process:
        for number in list(self.partitions):
            if number not in numbers or self._kept_in.get(number) != generation - 1:
                del self.partitions[number]
        made = {}
        for number in sorted(numbers - self.partitions.keys()):
            made[number] = yield from self._made(number)
        self.partitions |= made
        for partition in self.partitions.values():
            self._start(partition, generation)

    def _start(self, partition: Partition, generation: int) -> None:
        self._kept_in[partition.number] = generation
        partition.start(partition.positions or self.scene.committed(partition.number))

    def _cure(self, number: int, error: Exception) -> Process:
        """Restore a partition that is in doubt, if it is still ours."""
        task, now = self._committing.pop(number, None), self.scene.kernel.now
        if task is not None and not task.done:
            task.cancel()
        generation = self._generation
        if isinstance(error, Fenced):
            while not self.reachable():
                yield RETRY
            answer = self.scene.group.heartbeat(self._member, generation, now)
            if answer is Answer.UNKNOWN:
                self._exit()
                return
        if now - self._doubted.get(number, -DOUBT) < DOUBT:
            self._exit()
            return
        self._doubted[number] = now
        partition = yield from self._made(number)
        if self._place is _Place.IN and generation == self._generation:  # else the next generation restores it
            self.partitions[number] = partition
            self._start(partition, generation)

    def _made(self, number: int) -> Calling[Partition]:
        """A partition, restored. While the broker is away it is tried again."""
        while True:
            try:
                return (yield from self._ready(number))
            except Unanswered:
                yield AWAY
            except Fenced:  # somebody restores it at the same time, in a generation that we have not heard of
                self._exit()
                raise Killed from None

    def _ready(self, number: int) -> Calling[Partition]:
        scene, plan, policy = self.scene, self.scene.plan, self.scene.policy
        broker, topics = self.broker, list(self.stamped)
        epoch = (yield from self.call(lambda _: broker.fence(number))) if plan.exactly_once else None
        if self.reach(Where.FENCED):
            yield 0
        restored = yield from self._read(number)
        asked_at = self.time()
        ends = yield from self.call(lambda _: {topic: broker.inputs[topic][number].end for topic in topics})
        watermark = restored.watermark or first_watermark(
            policy,
            dict.fromkeys(topics, -1),
            delivery="exactly_once" if plan.exactly_once else "effectively_once",
            partitions=plan.partitions,
            sources=scene.named if scene.places else (),
        )
        first = {topic: broker.inputs[topic][number].first for topic in topics}
        watermark, _ = past_gaps(watermark, first, restored.states)
        course = Course(
            policy,
            watermark,
            decoders=scene.decoders,
            encoding=scene.encoding,
            most_bytes=policy.remember.max_bytes // plan.partitions,
            put_aside=self._put_aside,
            number=number,
            releases=scene.releases,
            rekeyed=RekeyedInput(EVIDENCE, Sources(scene.places)) if scene.places else None,
            instances=None if self._listener is None else self._listener.view,
        )
        course.fill(restored)
        changelog = Changelog(StateCodec(scene.named, number), watermark, restored.blocks, restored.sending)
        partition = Partition(self, number, course, changelog=changelog, epoch=epoch, shadow=scene.shadows[number])
        if restored.unsent:
            yield from partition.again(*course.unsent(restored.unsent))
        if self.reach(Where.BEFORE_TOUCH):
            yield 0
        yield from partition.touch()
        course.assigned(self.time(), ends=ends, asked_at=asked_at)
        return partition

    def _read(self, number: int) -> Calling[Restored]:
        """The changelog, and if it holds what became durable."""
        self.scene.restores += 1
        codec, restored = StateCodec(self.scene.named, number), Restored()
        shadow = self.scene.shadows[number]
        changes, version = yield from self.call(lambda _: (list(self.broker.changelog(number)), shadow.version))
        half = len(changes) // 2
        for key, value in changes[:half]:
            restored.apply(codec, key, value)
        if self.reach(Where.RESTORING):
            yield 0
        for key, value in changes[half:]:
            restored.apply(codec, key, value)
        for _ in restored.decode(codec):
            pass
        for difference in shadow.differences(restored) if version == shadow.version else ():
            self.scene.find(Trouble.RESTORED_OTHERWISE, f"partition {number}: {difference}")
        return restored

    def _put_aside(self, source: Coordinates, error: BaseException) -> None:
        self.scene.find(Trouble.UNDECIDED, f"{source} cannot be decided: {error!r}")
