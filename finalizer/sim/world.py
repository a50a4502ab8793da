"""A made world: its plan, carried out from the beginning until nothing happens any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

from finalizer.changelog import read_back
from finalizer.codecs.state import StateCodec
from finalizer.core.model import Phase
from finalizer.core.terms import SECOND
from finalizer.pipeline import Topic
from finalizer.sim.clients import Crowd
from finalizer.sim.group import SESSION
from finalizer.sim.listener import AGAIN
from finalizer.sim.plan import Fault, Plan, What, Where
from finalizer.sim.rekeyer import Rekeyer
from finalizer.sim.scene import EPOCH, Scene, Trouble
from finalizer.sim.shadow import memory_apart
from finalizer.sim.worker import Worker

RESTART = 2 * SECOND
"""After this long a worker that ended by itself is started again."""
FOREVER = 2**62
QUIET = 2 * SECOND
"""The world goes on for so long after all is closed, in case that something comes which should not."""


class World:
    """Carries out a plan. `run` it, then look at `scene` and `crowd`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.scene = Scene(plan)
        self.crowd = Crowd(self.scene)
        self.whole_at = EPOCH
        """Since when nothing is broken."""
        self.deleted: dict[tuple[str, int], tuple[int, range]] = {}
        """Topic and partition -> when records of it were deleted, and the offsets of those that nobody had read."""
        self._workers: dict[int, Worker] = {}
        self._rekeyers: dict[int, Rekeyer] = {}
        self._members = 0
        self._armed: list[Fault] = []
        self._lost_frames: dict[int, int] = {}
        self._broken: Counter[str] = Counter()
        self.scene.reached = self._reached
        self.scene.loses_frame = self._loses_frame
        self.scene.exited = self._exited
        for seat, at in enumerate(plan.workers):
            self.scene.kernel.at(EPOCH + at, partial(self._start, seat))
            self._until(EPOCH + at)
        for source in range(plan.sources):
            self._start_rekeyer(-1 - source)
        if self.scene.policy.limits.open_spans is not None:
            self.scene.kernel.at(EPOCH, self._weigh)
        for fault in plan.faults:
            self.scene.kernel.at(EPOCH + fault.at, partial(self._break, fault))

    @property
    def now(self) -> int:
        return self.scene.kernel.now

    @property
    def backlog(self) -> int:
        """How long it takes at most to poll all that was ever sent: where little more is polled than comes, whoever
        was away is behind for long."""
        return (len(self.crowd.landed) + self.crowd.pending) * self.plan.cadence // self.plan.most_records

    def run(self) -> None:
        """Let it all happen, and compare memory and changelog at the end.

        When everything is whole again an operator releases what the breaker has held back.
        """
        kernel = self.scene.kernel
        kernel.run_until(EPOCH + self.plan.lasts)
        self._armed.clear()
        self._lost_frames.clear()
        if "breaker" in self.plan.config["safety"]:
            self.scene.releases.breaker(FOREVER)
            self._until(self.now)
        for log in (log for logs in self.scene.broker.inputs.values() for log in logs):
            log.skip()  # whoever has lost the last record sees the hole
        terms = self.scene.policy.default
        longest = max(
            terms.silence, terms.max_duration, terms.background_grace, terms.orphan_grace, terms.heartbeat.max
        )
        settled = longest + 2 * self.scene.policy.safety.settle + 5 * SESSION
        give_up = max(self.now, self.whole_at) + settled + self.backlog
        while self.now < give_up and not self._closed():
            kernel.run_until(self.now + SECOND)
        kernel.run_until(self.now + QUIET)
        self._compare()

    def _weigh(self) -> None:
        """Each second: no more is open than there is room for, but for what came in one poll."""
        room = (self.scene.policy.limits.open_spans or 0) // self.plan.partitions + self.plan.most_records
        for worker in self._workers.values():
            for number, partition in worker.partitions.items():
                if worker.alive and partition.course.spans.open > room:
                    told = f"partition {number}: {partition.course.spans.open} are open, and there is room for {room}"
                    self.scene.find(Trouble.CROWDED, told)
                    return
        self.scene.kernel.at(self.now + SECOND, self._weigh)

    def _closed(self) -> bool:
        """True if nothing is open, unread, or not yet durable."""
        if self.crowd.pending or not all(one.alive and one.clean for one in self._rekeyers.values()):
            return False
        living = [worker for worker in self._workers.values() if worker.alive]
        if sum(len(worker.partitions) for worker in living) != self.plan.partitions:
            return False  # somebody who stands still does not know yet that they are another's
        having = {number: one for worker in living for number, one in worker.partitions.items()}
        for number in range(self.plan.partitions):
            one = having.get(number)
            if one is None or not one.running or not one.clean or one.course.spans.open:
                return False
            if any(log[number].told > one.durable[topic] + 1 for topic, log in self.scene.broker.inputs.items()):
                return False
        return True

    def _compare(self) -> None:
        scene = self.scene
        for worker in self._workers.values():
            for number, partition in worker.partitions.items():
                if not (worker.alive and partition.running and partition.clean):
                    continue
                restored = read_back(StateCodec(scene.named, number), scene.broker.changelog(number))
                spans = partition.course.spans
                for told in memory_apart(spans.states, restored):
                    scene.find(Trouble.RESTORED_OTHERWISE, f"at the end, partition {number}: {told}")
                opened = sum(state.phase is Phase.OPEN for state in restored.states.values())
                if opened != spans.open:
                    scene.find(Trouble.RESTORED_OTHERWISE, f"{spans.open} are counted as open, {opened} are")

    def tally(self) -> Counter[str]:
        """What was in it: spans, records, finals, restores, and what broke."""
        return self._broken + Counter(
            spans=len(self.plan.clients),
            records=len(self.crowd.landed),
            finals=sum(one.committed and one.output.topic is Topic.FINALIZED for one in self.scene.broker.outputs),
            restores=self.scene.restores,
        )

    # Workers come and go.

    def _start(self, seat: int) -> None:
        former = self._workers.get(seat)
        if former is None or not former.alive:
            self._members += 1
            self._workers[seat] = Worker(self.scene, seat, self._members)
        elif former.leaving:
            self._start_later(seat, RESTART)

    def _start_later(self, seat: int, after: int) -> None:
        self._until(self.now + after)
        self.scene.kernel.at(self.now + after, lambda: self._start(seat) if seat >= 0 else self._start_rekeyer(seat))

    def _start_rekeyer(self, seat: int) -> None:
        former = self._rekeyers.get(seat)
        if former is not None and former.alive:
            former.replaced = True
        self._rekeyers[seat] = Rekeyer(self.scene, seat, self.scene.places[-1 - seat])

    def _replace_after(self, one: Worker | Rekeyer, lasts: int) -> None:
        """Whoever re-keys and is away for longer than its session has a successor, and may go on beside it."""
        if isinstance(one, Rekeyer) and lasts > SESSION:
            self.scene.kernel.at(self.now + SESSION, lambda: self._succeed(one))

    def _succeed(self, one: Rekeyer) -> None:
        if one.alive and self._rekeyers[one.seat] is one:
            self._start_rekeyer(one.seat)

    def _process(self, seat: int) -> Worker | Rekeyer | None:
        return self._workers.get(seat) if seat >= 0 else self._rekeyers.get(seat)

    def _exited(self, seat: int) -> None:
        self._start_later(seat, RESTART)

    # What breaks.

    def _until(self, moment: int) -> None:
        """Something is broken until then."""
        self.whole_at = max(self.whole_at, moment)

    def _break(self, fault: Fault) -> None:
        if fault.where is not None:
            self._armed.append(fault)
            return
        self._broken[fault.what.value] += 1
        broker, worker = self.scene.broker, self._process(fault.seat)
        self._until(self.now + fault.lasts)
        match fault.what:
            case What.DOWN:
                if broker.back_at is None:
                    broker.gone_at = self.now
                if broker.back_at is None or broker.back_at < self.now + fault.lasts:
                    broker.back_at = self.now + fault.lasts
                    self.scene.kernel.at(broker.back_at, self._back)
            case What.OFFLINE:
                self.scene.offline_until = self.now + fault.lasts
            case What.SLOW:
                broker.slowness += fault.lasts
                self.scene.kernel.at(self.now + fault.lasts, lambda: self._fast_again(fault.lasts))
            case What.COMPACT:
                broker.compact()
            case What.RETAIN:
                self._retain()
            case _ if worker is not None and worker.alive:
                self._break_worker(worker, fault)

    def _break_worker(self, worker: Worker | Rekeyer, fault: Fault) -> None:
        self._until(self.now + fault.lasts)
        match fault.what:
            case What.KILL:
                worker.die()
                self._start_later(worker.seat, fault.lasts)
            case What.STOP:
                worker.leave()
                self._start_later(worker.seat, fault.lasts + SESSION)
            case What.REBALANCE if isinstance(worker, Rekeyer):
                worker.begin_anew()
            case What.REBALANCE:
                self._share_anew()
            case What.FREEZE:
                worker.frozen_until = self.now + fault.lasts
                self._replace_after(worker, fault.lasts)
            case What.CUT:
                worker.cut_until = self.now + fault.lasts
                self._replace_after(worker, fault.lasts)
            case What.UNHEARD if isinstance(worker, Worker):
                worker.unheard_until = self.now + fault.lasts
                self._until(worker.unheard_until + AGAIN)
            case What.LOSE_FRAME:
                self._lost_frames[worker.seat] = self._lost_frames.get(worker.seat, 0) + 1

    def _back(self) -> None:
        broker = self.scene.broker
        if broker.back_at is not None and broker.back_at <= self.now:
            broker.back_at = None
            self.scene.group.back(self.now)

    def _share_anew(self) -> None:
        """A round begins as soon as there is a coordinator."""
        back_at = self.scene.broker.back_at
        if back_at is None:
            self.scene.group.share_anew(self.now)
        else:
            self.scene.kernel.at(back_at, self._share_anew)

    def _retain(self) -> None:
        """Most of what nobody has read is gone: what is read, is that up to the consumer's position, or was durable."""
        living = (worker for worker in self._workers.values() if worker.alive)
        having = {number: one for worker in living for number, one in worker.partitions.items()}
        for topic, logs in self.scene.broker.inputs.items():
            for number, log in enumerate(logs):
                one = having.get(number)
                read = self._durable(number).get(topic, -1) + 1 if one is None else one.positions[topic]
                log.first = log.end - (log.end - read) // 3
                self.deleted[topic, number] = self.now, range(read, log.first)

    def _durable(self, number: int) -> Mapping[str, int]:
        restored = read_back(StateCodec(self.scene.named, number), self.scene.broker.changelog(number))
        return {} if restored.watermark is None else restored.watermark.offsets

    def _fast_again(self, lasted: int) -> None:
        self.scene.broker.slowness -= lasted

    def _reached(self, seat: int, where: Where) -> None:
        for fault in self._armed:
            if fault.seat == seat and fault.where is where:
                self._armed.remove(fault)
                self._broken[f"{fault.what.value} {where.value}"] += 1
                worker = self._process(seat)
                assert worker is not None
                self._break_worker(worker, fault)
                return

    def _loses_frame(self, seat: int) -> bool:
        left = self._lost_frames.get(seat, 0)
        if left:
            self._lost_frames[seat] = left - 1
            self.scene.frames_lost += 1
            self._until(EPOCH + self.plan.lasts)  # on a quiet log nobody sees the hole earlier
        return bool(left)
