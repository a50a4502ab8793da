"""Who re-keys one source partition in a made world: a process from its start to its death, by the rules of `shell`.

What it reads it writes to the evidence, and vouches for it by marks, beside that. The group hears of its progress now
and then: whoever comes next writes again what came after that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from finalizer.codecs.evidence import encode_mark
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.parts import Part
from finalizer.core.model import Coordinates
from finalizer.core.sources import Place
from finalizer.core.terms import SECOND
from finalizer.pipeline import Record as Consumed
from finalizer.rekeying import Entry, Group, Limits, Rekeying
from finalizer.sim.group import SESSION
from finalizer.sim.kernel import Killed, Process, Task
from finalizer.sim.partition import INBOX_FRAMES, Calling, T
from finalizer.sim.plan import Where
from finalizer.sim.scene import EVIDENCE, Scene, Trouble

MARK = SECOND // 4
TELL = SECOND
AT_ONCE = 5
"""Pieces of evidence in one request."""
RETRY = SECOND // 5
LOOK = SECOND // 20
_decode = NativeDecoder().decode


class Rekeyer:
    """One owner of a source partition. `replaced` is told while it is frozen or cut off; it finds out afterwards."""

    def __init__(self, scene: Scene, seat: int, place: Place) -> None:
        self.scene = scene
        self.seat = seat
        self.place = place
        self.alive = True
        self.frozen_until = 0
        self.cut_until = 0
        self.replaced = False
        self._log = scene.broker.sources[place]
        self._position = scene.rekeyed.get(place, 0)
        self._fetched: int | None = None
        self._told_at = scene.kernel.now
        self._inbox: deque[tuple[Sequence[Consumed], int, int]] = deque()
        self._rekeying = Rekeying(
            place,
            scene.policy,
            position=self._position,
            decode=_alone,
            limits=Limits(),
            put_aside=self._put_aside,
        )
        self._is_idle = True
        self._writing: Task | None = None
        scene.kernel.spawn(self._run(), self)

    @property
    def clean(self) -> bool:
        """All that there is was written to the evidence."""
        return self._rekeying.decided + 1 >= self._log.end

    def die(self) -> None:
        """Nothing of it goes on; what it has told the broker stays."""
        self.alive = False

    def leave(self) -> None:
        """SIGTERM: let what is in hand be written, tell the group, and go."""
        self.scene.kernel.spawn(self._leave(), self)

    def begin_anew(self) -> None:
        """A new generation, in which the source is still ours: what waits is dropped, and read again."""
        self.scene.kernel.spawn(self._begin_anew(), self)

    def _run(self) -> Process:
        asked_at = self._time()
        log_end = yield from self._ask(lambda: self._log.end)
        self._rekeying.assigned(self._time(), log_end=log_end, asked_at=asked_at)
        self.scene.kernel.spawn(self._vouch(), self)
        self._writing = self.scene.kernel.spawn(self._write_all(), self)
        while not self.replaced:
            yield self.scene.plan.cadence
            self._poll()
        self.alive = False

    def _poll(self) -> None:
        """Take the answer to the last request, which is as old as the last answer, and make the next."""
        if self._fetched is None or len(self._inbox) >= INBOX_FRAMES:
            self._rekeying.clock.moved(self.place[0], position=self._position)
        else:
            self._answered(self._fetched)
        self._fetched = self._log.end if self._reachable() else None

    def _answered(self, highwater: int) -> None:
        begin = self._position
        records, end = self._log.read(begin, self.scene.plan.most_records, highwater)
        self._rekeying.clock.answered(self.place[0], arrived_at=self._time(), position=end, highwater=highwater)
        self._position = max(begin, end)
        if end > begin and self._rekeying.follows(begin=begin, end=end):
            self._inbox.append((records, end, self._time()))
            if not self._is_idle:
                self._reach(Where.FRAME_WAITS)

    def _leave(self) -> Process:
        yield from self._quiesce()
        if self._reachable():
            self._commit()
        self.die()

    def _begin_anew(self) -> Process:
        yield from self._quiesce()
        self._rekeying.read_on()
        self._position, self._fetched = self._rekeying.decided + 1, None
        self._writing = self.scene.kernel.spawn(self._write_all(), self)

    def _quiesce(self) -> Process:
        """Some records come just before, and wait; others come until what is in hand is written."""
        self._poll()
        self._rekeying.stop_reading()
        self._inbox.clear()
        until = self.scene.kernel.now + SESSION // 3
        while not self._is_idle and self.scene.kernel.now < until:
            yield LOOK
            self._poll()
        if self._writing is not None:
            self._writing.cancel()
        self._inbox.clear()

    def _write_all(self) -> Process:
        rekeying = self._rekeying
        while True:
            self._is_idle = not self._inbox
            if self._is_idle:
                yield LOOK
                continue
            records, end, arrived_at = self._inbox.popleft()
            group = rekeying.begin(records, end=end, stamped=True, arrived_at=arrived_at)
            rekeying.decode(group, group.records)
            if self._reach(Where.BEFORE_EVIDENCE) or self.scene.plan.decoding:
                yield self.scene.plan.decoding
            yield from self._write(group)

    def _write(self, group: Group) -> Process:
        self.scene.broker.send(0, None, group.rejected, now=self.scene.kernel.now)
        for begin in range(0, len(group.entries), AT_ONCE):
            if begin and self._reach(Where.BETWEEN_EVIDENCE):
                yield 0
            part = group.entries[begin : begin + AT_ONCE]
            yield from self._ask(lambda part=part: self._append(part))  # type: ignore[misc]
        if self._reach(Where.BEFORE_WRITTEN):
            yield 0
        self._rekeying.written(group)

    def _vouch(self) -> Process:
        while not self.replaced:
            yield MARK
            vouched = self._rekeying.vouch(self._time())
            mark = encode_mark([vouched])
            yield from self._ask(lambda mark=mark: self._append_mark(mark))  # type: ignore[misc]
            self._rekeying.told(vouched)
            if self.scene.kernel.now - self._told_at >= TELL:
                if self._reach(Where.BEFORE_OFFSETS):
                    yield 0
                yield from self._ask(self._commit)

    def _commit(self) -> None:
        if not self.replaced:
            self._told_at = self.scene.kernel.now
            self.scene.rekeyed[self.place] = self._rekeying.decided + 1

    def _append(self, entries: Sequence[Entry]) -> None:
        logs, stamp = self.scene.broker.inputs[EVIDENCE], self.scene.kernel.now // 1_000_000
        for entry in entries:
            logs[int(entry.key[:2], 16) % len(logs)].append(entry.key, entry.value, stamp)

    def _append_mark(self, mark: bytes) -> None:
        for log in self.scene.broker.inputs[EVIDENCE]:
            log.append(None, mark, self.scene.kernel.now // 1_000_000, tells=False)

    def _time(self) -> int:
        return self.scene.kernel.now - self.scene.plan.behind

    def _reachable(self) -> bool:
        return self.scene.broker.back_at is None and self.cut_until <= self.scene.kernel.now

    def _reach(self, where: Where) -> bool:
        self.scene.reached(self.seat, where)
        if not self.alive:
            raise Killed
        return self.frozen_until > self.scene.kernel.now

    def _ask(self, act: Callable[[], T]) -> Calling[T]:
        """Ask the broker, as often as it takes; what was carried out once is not carried out again."""
        half, answers = self.scene.plan.latency // 2, list[T]()
        while True:
            while not self._reachable():
                yield RETRY
            yield half + self.scene.broker.slowness
            if not self._reachable():
                continue  # the request is lost
            if not answers:
                answers.append(act())
            yield half
            if self._reachable():
                return answers[0]

    def _put_aside(self, source: Coordinates, error: BaseException) -> None:
        self.scene.find(Trouble.UNDECIDED, f"{source} cannot be re-keyed: {error!r}")


def _alone(value: bytes | None, source: Coordinates) -> Sequence[Part]:
    """A record of a native input tells one thing."""
    return (_decode(value, source),)
