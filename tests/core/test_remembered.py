"""What is remembered of closed spans, for how long, and what is said where nothing is (RATIONALE: remembered)."""

from __future__ import annotations

import struct

import pytest

from finalizer.core.causes import Cause, StatusCode
from finalizer.core.effects import BeyondMemory, DeadLetter, Emit, Late, LetterKind
from finalizer.core.model import End, Kind, Phase, Status
from finalizer.core.remembered import (
    FINGERPRINT_BYTES,
    Remembered,
    entry,
    fingerprint,
    fits,
    packed,
    remembered_state,
    unpack,
)
from finalizer.core.terms import HOUR, MINUTE, SECOND
from tests.core.making import Story, at, end, heartbeat, start

DONE = End(Cause.COMPLETED, at(10), Status(StatusCode.OK))


def key(number: int) -> bytes:
    """A span key, one for each number."""
    return number.to_bytes(24, "big")


def memory(max_bytes: int = 2**30) -> Remembered:
    """The memory of the default configuration."""
    return Remembered(24 * HOUR, 15 * MINUTE, max_bytes)


def test_a_finished_span_is_recognised_for_its_time() -> None:
    """At least `finished`, at most one memory window more; then it is forgotten, and the horizon says until when."""
    remembered = memory()
    window = remembered.finish(key(1), DONE, at(10))
    assert remembered.end_of(key(1)) == DONE
    assert remembered.end_of(key(2)) is None
    assert remembered.expire(at(10) + 15 * MINUTE) == ([], [])
    assert remembered.end_of(key(1)) == DONE
    assert remembered.horizon == 0
    assert remembered.expire(at(10) + 16 * MINUTE) == ([], [window])
    assert remembered.end_of(key(1)) is None
    assert (remembered.fingerprints, remembered.bytes) == (0, 0)
    assert at(10) < remembered.horizon <= at(10) + MINUTE


def test_nothing_forgotten_no_horizon() -> None:
    """Where nothing was ever dropped, nothing is beyond memory: an empty hour raises no horizon."""
    remembered = memory()
    assert remembered.expire(at(10**6)) == ([], [])
    assert remembered.horizon == 0


def test_a_presumed_span_is_kept_whole_for_a_day() -> None:
    """Its key comes back once `presumed` is over, so that its state can go."""
    remembered = memory()
    remembered.keep(key(1), at(0), 700)
    assert remembered.bytes == 700
    assert remembered.expire(at(0) + 24 * HOUR).keys == []
    assert remembered.expire(at(0) + 25 * HOUR).keys == [key(1)]
    assert remembered.bytes == 0
    assert at(0) < remembered.horizon <= at(0) + HOUR


def test_kept_again_is_kept_longer() -> None:
    """A key that was kept again later is not dropped by its older window, and its size is counted once."""
    remembered = memory()
    remembered.keep(key(1), at(0), 700)
    remembered.keep(key(1), at(0), 900)
    remembered.keep(key(1), at(0) + 5 * HOUR, 800)
    assert remembered.bytes == 800
    assert remembered.expire(at(0) + 26 * HOUR).keys == []
    assert remembered.horizon == 0
    assert remembered.expire(at(0) + 30 * HOUR).keys == [key(1)]


def test_finished_again_is_remembered_by_its_last_end() -> None:
    """A span that finishes again moves to the later window, with the later end."""
    remembered = memory()
    first = remembered.finish(key(1), DONE, at(0))
    second = remembered.finish(key(1), End(Cause.COMPLETED, at(12)), at(0) + 10 * MINUTE)
    assert second > first
    assert remembered.fingerprints == 1
    assert remembered.expire(at(0) + 17 * MINUTE).windows == [first]
    assert remembered.end_of(key(1)) == End(Cause.COMPLETED, at(12), Status(StatusCode.UNSET))
    assert remembered.expire(at(0) + 27 * MINUTE).windows == [second]
    assert remembered.end_of(key(1)) is None


def test_released_is_not_dropped() -> None:
    """A span that is open again, or needs only a fingerprint now, is no whole state any more."""
    remembered = memory()
    remembered.keep(key(1), at(0), 700)
    remembered.release(key(1))
    remembered.release(key(2))
    assert remembered.bytes == 0
    assert remembered.expire(at(10**6)).keys == []


def test_beyond_max_bytes_the_oldest_finished_go_first() -> None:
    """Whole states go only when no finished span is left to forget; the horizon rises with each window."""
    remembered = memory(max_bytes=10 * FINGERPRINT_BYTES + 1000)
    remembered.keep(key(99), at(0), 1000)
    for number in range(15):
        remembered.finish(key(number), DONE, at(0) + number * MINUTE)
    now = at(0) + 14 * MINUTE
    dropped = remembered.expire(now)
    assert len(dropped.windows) == 5
    assert dropped.keys == []
    assert [remembered.end_of(key(number)) is None for number in range(15)] == [True] * 5 + [False] * 10
    assert at(0) + 4 * MINUTE < remembered.horizon <= at(0) + 5 * MINUTE

    remembered.keep(key(98), at(0) + 2 * HOUR, 10**6)
    dropped = remembered.expire(at(0) + 2 * HOUR)
    assert dropped.keys == [key(99), key(98)]
    assert remembered.bytes == 0


def test_the_horizon_is_never_in_the_future() -> None:
    """Also where the window in hand has to go: what is forgotten was closed until now."""
    remembered = memory(max_bytes=0)
    remembered.finish(key(1), DONE, at(1))
    remembered.expire(at(1))
    assert remembered.horizon == at(1)


def test_work_per_call_is_bounded() -> None:
    """A window of many is forgotten over several calls; its number is told when nothing is left of it."""
    remembered = memory()
    for number in range(100):
        remembered.finish(key(number), DONE, at(0))
        remembered.keep(key(1000 + number), at(0), 10)
    later = at(0) + 48 * HOUR
    first = remembered.expire(later, limit=60)
    assert (remembered.fingerprints, first.windows, first.keys) == (40, [], [])
    assert remembered.horizon > at(0)
    second = remembered.expire(later, limit=60)
    assert (remembered.fingerprints, len(second.windows), len(second.keys)) == (0, 1, 20)
    assert len(remembered.expire(later, limit=60).keys) == 60
    assert len(remembered.expire(later, limit=60).keys) == 20


def test_a_window_that_began_to_go_goes_whole() -> None:
    """Half a window in memory and all its blocks in the changelog would be two truths after a restore."""
    remembered = memory(max_bytes=50 * FINGERPRINT_BYTES)
    for number in range(100):
        remembered.finish(key(number), DONE, at(0))
    remembered.expire(at(5 * 60), limit=60)
    assert remembered.fingerprints == 40
    assert len(remembered.expire(at(5 * 60), limit=60).windows) == 1
    assert remembered.fingerprints == 0


def test_blocks_are_loaded_back() -> None:
    """What the changelog holds makes the same memory, window by window; of two ends the last stands."""
    told = [(key(number), End(Cause.COMPLETED, at(number), Status(StatusCode(number % 3)))) for number in range(50)]
    block = packed(entry(*one) for one in told)
    assert len(block) == 16 * 50
    assert unpack(block) == [entry(*one) for one in told]
    remembered = memory()
    window = memory().finish(key(0), DONE, at(0))
    remembered.load_block(window, block)
    remembered.load_block(window + 3, packed([entry(key(7), DONE)]))
    assert [remembered.end_of(one) for one, _ in told if one != key(7)] == [one for k, one in told if k != key(7)]
    assert remembered.end_of(key(7)) == DONE
    remembered.expire(at(0) + 16 * MINUTE)
    assert remembered.fingerprints == 1
    assert remembered.end_of(key(7)) == DONE


def test_a_broken_block_is_an_error() -> None:
    """A block that is no whole number of entries is damage, not data."""
    with pytest.raises(struct.error):
        unpack(packed([entry(key(1), DONE)])[:-1])


def test_fingerprints_tell_neighbours_apart() -> None:
    """Ids that count up, in the trace or in the span, do not meet; every process makes the same one."""
    for trace_step, span_step in ((1, 1), (1 << 64, 1), (1, 1 << 32)):
        near = {
            fingerprint((trace * trace_step << 64 | span * span_step).to_bytes(24, "big"))
            for trace in range(1, 200)
            for span in range(1, 200)
        }
        assert len(near) == 199 * 199
    assert fingerprint(bytes(range(24))) == int.from_bytes(bytes(range(24)), "big") % 11_400_714_819_323_198_393


def test_what_fits_a_fingerprint() -> None:
    """Only a completed end, of a time that 62 bits hold, survives as a fingerprint."""
    assert fits(DONE)
    assert not fits(End(Cause.PARTIAL, at(10)))
    assert not fits(End(Cause.COMPLETED, 2**62))
    assert not fits(End(Cause.COMPLETED, -1))
    last = End(Cause.COMPLETED, 2**62 - 1, Status(StatusCode.ERROR))
    remembered = memory()
    remembered.load_block(1, packed([entry(key(1), last)]))
    assert remembered.end_of(key(1)) == last


def test_short_memories_have_windows_of_a_second() -> None:
    """Widths are a fraction of what is asked for, and never less than a second."""
    remembered = Remembered(5 * SECOND, 3 * SECOND, 2**30)
    assert remembered.finish(key(1), DONE, at(0)) == at(0) // SECOND
    remembered.keep(key(2), at(0), 1)
    assert remembered.expire(at(3)).windows == []
    assert len(remembered.expire(at(4)).windows) == 1
    assert remembered.expire(at(5)).keys == []
    assert remembered.expire(at(6)).keys == [key(2)]


def remembering(*, horizon: float | None = None) -> Story:
    """A span of which only the fingerprint is left."""
    story = Story(horizon=0 if horizon is None else at(horizon))
    remembered = memory()
    remembered.finish(bytes(range(1, 25)), DONE, at(10))
    known = remembered.end_of(bytes(range(1, 25)))
    assert known is not None
    story.state = remembered_state(known)
    return story


def test_a_fingerprint_absorbs_what_is_known() -> None:
    """The same end, heartbeats, starts: nothing is opened, nothing written."""
    story = remembering()
    same = end(10, heard=20, start=0, code=StatusCode.OK)
    assert story.tell(same, heartbeat(5, heard=21), heartbeat(12, start=0), start(0, heard=22), end(10, heard=23)) == []
    assert story.phase is Phase.FINISHED


def test_a_fingerprint_is_revised_by_a_better_end_with_its_start() -> None:
    """Revision 2, made of what the new end carries; it resolves nothing, for a completed span has no dead letter."""
    story = remembering()
    late, emit = story.tell(end(30, start=0))
    assert late == Late(Kind.END)
    assert isinstance(emit, Emit)
    assert (emit.final.start_at, emit.final.closed.end_at, emit.final.closed.revision) == (at(0), at(30), 2)
    assert not emit.overturned
    assert not emit.resolves


def test_a_fingerprint_knows_no_start_to_revise_with() -> None:
    """A better end without its start is a dead letter: we know that it contradicts, not what the span was."""
    story = remembering()
    late, letter = story.tell(end(30))
    assert late == Late(Kind.END)
    assert isinstance(letter, DeadLetter)
    assert (letter.kind, letter.final.start_at) == (LetterKind.LATE_END, None)


def test_beyond_memory() -> None:
    """Older than the horizon and without a start: rejected, nothing is opened."""
    for told in (heartbeat(99, heard=500), end(99, heard=500)):
        story = Story(horizon=at(100))
        assert story.tell(told) == [BeyondMemory()]
        assert story.phase is Phase.UNSEEN
    story = Story(horizon=at(100))
    assert story.tell(heartbeat(100, heard=500)) == []
    assert story.phase is Phase.OPEN


def test_a_start_always_opens() -> None:
    """Also from before the horizon; a heartbeat that carries its start is one."""
    for told in (start(50, heard=500), heartbeat(60, heard=500, start=50)):
        story = Story(horizon=at(100))
        assert story.tell(told) == []
        assert story.phase is Phase.OPEN


def test_history_unknown() -> None:
    """An end with its start from before the horizon is finalized, and says that we may have forgotten another."""
    for seconds, unknown in ((99, True), (100, False)):
        story = Story(horizon=at(100))
        story.tell(end(seconds, heard=500, start=50))
        assert story.last.closed.history_unknown is unknown
