"""What is remembered: a fingerprint behaves as the state it replaced, and the horizon tells the truth."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from finalizer.core.causes import Cause, StatusCode
from finalizer.core.effects import DeadLetter, Emit
from finalizer.core.model import End, Evidence, Kind, Status
from finalizer.core.remembered import FINGERPRINT_BYTES, Remembered, entry, packed, remembered_state
from finalizer.core.terms import SECOND, LateEnd, Terms
from tests.core.making import KEY, Story, at, end, evidence, start

LAW = settings(max_examples=200, deadline=None)
REPORTED = (Cause.COMPLETED, Cause.PARTIAL, Cause.RESTARTED, Cause.ABANDONED)
codes = st.none() | st.sampled_from(StatusCode)


@st.composite
def after_the_end(draw: st.DrawFn) -> Evidence:
    """Anything that may come after an end; ends carry their start."""
    kind = draw(st.sampled_from([Kind.START, Kind.HEARTBEAT, Kind.LIFECYCLE, Kind.END, Kind.END]))
    seconds = draw(st.integers(0, 40))
    carries = kind in {Kind.START, Kind.END} or draw(st.booleans())
    ended = End(draw(st.sampled_from(REPORTED)), at(seconds), _status(draw(codes))) if kind is Kind.END else None
    return evidence(kind, seconds, heard=100, start=0 if carries else None, ended=ended)


def _status(code: StatusCode | None) -> Status | None:
    return None if code is None else Status(code)


def told(story: Story) -> list[tuple[object, ...]]:
    """What readers learn from the effects of a story: kind of record, cause, start, end, status, revision."""
    learnt: list[tuple[object, ...]] = []
    for effect in story.effects:
        if isinstance(effect, Emit | DeadLetter):
            closed = effect.final.closed
            facts = (closed.cause, effect.final.start_at, closed.end_at, closed.status, closed.revision)
            flags = (effect.overturned, effect.resolves) if isinstance(effect, Emit) else (effect.kind,)
            learnt.append((type(effect), *facts, *flags))
        else:
            learnt.append((effect,))
    return learnt


@LAW
@given(
    sealed=st.integers(1, 30),
    code=codes,
    later=st.lists(after_the_end(), max_size=5),
    late_end=st.sampled_from(LateEnd),
)
def test_a_fingerprint_is_as_good_as_the_state(
    sealed: int, code: StatusCode | None, later: list[Evidence], late_end: LateEnd
) -> None:
    """A completed span that left only its fingerprint answers whatever comes as its whole state would have.

    The ends that come carry their start: where they do not, the fingerprint has none to make a revision with, and
    writes a dead letter instead.
    """
    whole = Story(Terms(late_end=late_end))
    whole.tell(start(0), end(sealed, code=code))
    whole.effects.clear()

    memory = Remembered(24 * 3600 * SECOND, 900 * SECOND, 2**30)
    assert whole.state is not None
    assert whole.state.end is not None
    memory.finish(KEY, whole.state.end, at(sealed))
    remembered = memory.end_of(KEY)
    assert remembered is not None
    left = Story(Terms(late_end=late_end))
    left.state = remembered_state(remembered)

    whole.tell(*later)
    left.tell(*later)
    assert told(left) == told(whole)
    assert left.phase is whole.phase


class Memory(RuleBasedStateMachine):
    """Spans are closed, closed again, opened again and forgotten, at any pace; beside it a list of all that was."""

    MAX_BYTES = 8 * FINGERPRINT_BYTES
    PRESUMED, FINISHED = 240 * SECOND, 60 * SECOND
    """Windows of 10 s and 4 s."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = at(0)
        self.memory = Remembered(self.PRESUMED, self.FINISHED, self.MAX_BYTES)
        self.finished: dict[bytes, tuple[End, int]] = {}
        self.kept: dict[bytes, tuple[int, int]] = {}
        self.crowded = False
        """The bound on bytes was touched, so spans may go before their time."""

    @rule(number=st.integers(0, 9), seconds=st.integers(0, 5), code=st.sampled_from(StatusCode))
    def finish(self, number: int, seconds: int, code: StatusCode) -> None:
        """A span ends well."""
        key, ended = _key(number), End(Cause.COMPLETED, self.clock + seconds, Status(code))
        self.memory.finish(key, ended, self.clock)
        self.finished[key] = ended, self.clock

    @rule(number=st.integers(100, 106), size=st.integers(0, FINGERPRINT_BYTES))
    def keep(self, number: int, size: int) -> None:
        """A span is closed in a way that needs its whole state."""
        self.memory.keep(_key(number), self.clock, size)
        self.kept[_key(number)] = self.clock, size

    @rule(number=st.integers(100, 106))
    def release(self, number: int) -> None:
        """A span is open again."""
        self.memory.release(_key(number))
        self.kept.pop(_key(number), None)

    @rule(seconds=st.integers(1, 70), limit=st.integers(1, 100))
    def expire(self, seconds: int, limit: int) -> None:
        """Time goes on, and what is over is forgotten, all at once or bit by bit."""
        self.clock += seconds * SECOND
        self.crowded |= self.memory.bytes > self.MAX_BYTES
        dropped = self.memory.expire(self.clock, limit=limit)
        assert len(dropped.keys) == len(set(dropped.keys))
        for key in dropped.keys:
            since, _ = self.kept.pop(key)
            assert since <= self.memory.horizon
            assert self.crowded or self.clock - since >= self.PRESUMED
        if limit == 100:
            assert self.memory.bytes <= self.MAX_BYTES

    @rule()
    def restart(self) -> None:
        """A new worker loads what the changelog holds: the same, in the order in which it was written."""
        restored = Remembered(self.PRESUMED, self.FINISHED, self.MAX_BYTES)
        restored.horizon = self.memory.horizon
        for key, (ended, since) in sorted(self.finished.items(), key=lambda item: item[1][1]):
            if self.memory.end_of(key) is not None:
                restored.load_block(since // (4 * SECOND), packed([entry(key, ended)]))
        for key, (since, size) in self.kept.items():
            restored.keep(key, since, size)
        self.memory = restored

    @invariant()
    def what_is_known_is_right(self) -> None:
        """What is recognised has its last end; what is not was closed before the horizon, and not too early."""
        for key, (ended, since) in list(self.finished.items()):
            known = self.memory.end_of(key)
            if known is None:
                assert since <= self.memory.horizon <= self.clock
                assert self.crowded or self.clock - since >= self.FINISHED
                del self.finished[key]
            else:
                assert known == ended
        assert self.memory.horizon <= self.clock
        assert self.memory.fingerprints == len(self.finished)
        whole = sum(size for _, size in self.kept.values())
        assert self.memory.bytes == whole + len(self.finished) * FINGERPRINT_BYTES


def _key(number: int) -> bytes:
    return number.to_bytes(24, "big")


Memory.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestMemory = Memory.TestCase
