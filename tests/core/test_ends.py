"""Ends: ranks, revisions, what comes too late, and what is sealed (RATIONALE: folding, causes)."""

from __future__ import annotations

import pytest

from finalizer.core.causes import FACTS, Cause, StatusCode
from finalizer.core.effects import DeadLetter, Emit, Late, LetterKind
from finalizer.core.model import Evidence, Kind, Lifecycle, Phase, Status
from finalizer.core.terms import LateEnd, Terms
from tests.core.making import Story, at, end, heartbeat, letters, lifecycle, start, words

REPORTED = [cause for cause, facts in FACTS.items() if facts.reported]
HOUR_LATER = 3600 + 1


def test_the_reported_end_stands() -> None:
    """A completed span has its reported time and status, and no words of ours."""
    story = Story()
    story.tell(start(0), heartbeat(5), end(9, ends=8, code=StatusCode.OK))
    closed = story.last.closed
    assert (closed.cause, closed.end_at, closed.status) == (Cause.COMPLETED, at(8), Status(StatusCode.OK))
    assert (closed.reason, closed.revision, closed.deadline_at, closed.history_unknown) == ("", 1, 0, False)


@pytest.mark.parametrize("cause", REPORTED)
def test_status_of_a_reported_end(cause: Cause) -> None:
    """It is the one the end tells, else the one set before, else the cause's; UNSET is none."""
    for code in (None, StatusCode.UNSET):
        story = Story()
        story.tell(start(0), end(9, cause, code=code))
        assert story.last.closed.status == Status(FACTS[cause].status)
        assert story.last.closed.reason == FACTS[cause].reason_word

        story = Story()
        before = heartbeat(5, status=Status(StatusCode.ERROR, "disk full"))
        story.tell(start(0), before, heartbeat(6, status=Status(StatusCode.UNSET)), end(9, cause, code=code))
        assert story.last.closed.status == Status(StatusCode.ERROR, "disk full")

    story = Story()
    story.tell(
        start(0), heartbeat(5, status=Status(StatusCode.ERROR)), end(9, cause, code=StatusCode.OK, reason="cancelled")
    )
    assert story.last.closed.status == Status(StatusCode.OK)
    assert story.last.closed.reason == "cancelled"


def test_an_end_is_never_before_its_start() -> None:
    """An end with a clock that went back is moved to the start: readers do not check."""
    story = Story()
    story.tell(start(10), end(3, heard=11))
    assert story.last.closed.end_at == story.last.start_at == at(10)

    story = Story()
    story.tell(heartbeat(1, heard=10, start=5))
    story.wait(10**6)
    assert story.last.closed.end_at == story.last.start_at == at(5)


@pytest.mark.parametrize("cause", REPORTED)
def test_the_same_end_again_is_absorbed(cause: Cause) -> None:
    """Two ends for each span are normal: time and status tell that they are the same, whatever else they carry."""
    story = Story()
    story.tell(start(0), end(9, cause, code=StatusCode.OK))
    again = end(9, cause, heard=12, start=0, code=StatusCode.OK, body=words("the span as the traces topic has it"))
    assert story.tell(again) == []


@pytest.mark.parametrize(
    ("first", "second", "revised"),
    [
        (end(9), end(10), True),
        (end(10), end(9, heard=11), False),
        (end(9), end(9, heard=11, code=StatusCode.ERROR), True),
        (end(9, code=StatusCode.ERROR), end(9, heard=11), False),
        (end(9, Cause.PARTIAL), end(9, heard=11), True),
        (end(9), end(10, Cause.PARTIAL), False),
        (end(9, Cause.ABANDONED), end(8, Cause.RESTARTED, heard=11), True),
        (end(9, Cause.RESTARTED), end(12, Cause.ABANDONED), False),
        (end(9, Cause.RESTARTED), end(3, Cause.PARTIAL, heard=11), True),
    ],
)
def test_of_two_ends(first: Evidence, second: Evidence, revised: bool) -> None:
    """After the seal only a higher rank counts, or of the same rank a later time or another status."""
    story = Story()
    story.tell(start(0), first, second)
    assert [final.closed.revision for final in story.finals] == ([1, 2] if revised else [1])
    assert story.phase is Phase.FINISHED


def test_ranks() -> None:
    """completed > partial > restarted > abandoned > presumed."""
    story = Story()
    story.tell(start(0))
    story.wait(HOUR_LATER)
    for cause in (Cause.ABANDONED, Cause.RESTARTED, Cause.PARTIAL, Cause.COMPLETED):
        story.tell(end(10, cause, heard=4000))
    told = [(final.closed.cause, final.closed.revision) for final in story.finals]
    assert told == [
        (Cause.TIMEOUT, 1),
        (Cause.ABANDONED, 2),
        (Cause.RESTARTED, 3),
        (Cause.PARTIAL, 4),
        (Cause.COMPLETED, 5),
    ]
    emits = [effect for effect in story.effects if isinstance(effect, Emit)]
    assert [emit.overturned for emit in emits] == [False, True, False, False, False]
    assert [emit.resolves for emit in emits] == [False, True, True, True, True]


@pytest.mark.parametrize("cause", REPORTED)
def test_an_end_after_a_presumed_close_supersedes(cause: Cause) -> None:
    """Revision 2, the cause by the end, counted as our own false positive; the dead letter is resolved."""
    story = Story()
    story.tell(start(0), heartbeat(5))
    story.wait(HOUR_LATER)
    late, emit = story.tell(end(20, cause, heard=4000))
    assert late == Late(Kind.END, overturned=True)
    assert isinstance(emit, Emit)
    assert (emit.final.closed.cause, emit.final.closed.end_at, emit.final.closed.revision) == (cause, at(20), 2)
    assert emit.overturned
    assert emit.resolves


@pytest.mark.parametrize("cause", [Cause.RESTARTED, Cause.ABANDONED])
def test_a_restarted_client_revises_only_if_it_knows_more(cause: Cause) -> None:
    """What the next run of the client found is no better than what we had, unless it is later."""
    story = Story()
    story.tell(start(0), heartbeat(5))
    story.wait(HOUR_LATER)
    assert story.tell(end(5, cause, heard=4000)) == [Late(Kind.END)]
    assert story.phase is Phase.PRESUMED
    assert [type(effect) for effect in story.tell(end(5.1, cause, heard=4001))] == [Late, Emit]


def test_late_heartbeats_are_kept_and_counted() -> None:
    """A heartbeat after a presumed close makes no final of its own; the revision holds what it told."""
    story = Story()
    story.tell(start(0, body=words("a", "name")), heartbeat(5))
    story.wait(HOUR_LATER)
    assert story.tell(heartbeat(6, heard=4000, seq=7, body=words("b", "more"))) == [Late(Kind.HEARTBEAT)]
    assert story.tell(lifecycle(4001, Lifecycle.BACKGROUND)) == [Late(Kind.LIFECYCLE)]
    assert [layer.body.data for layer in story.last.layers] == [b"a"]
    story.tell(end(8, heard=4002, body=words("c", "last")))
    assert [layer.body.data for layer in story.last.layers] == [b"a", b"b", b"c"]
    assert story.last.closed.seq == 7


def test_what_comes_after_the_end_adds_nothing() -> None:
    """The first end seals: heartbeats that arrive later open nothing and change nothing, not even a revision."""
    story = Story()
    story.tell(start(0, body=words("a", "name")), end(8))
    sealed = story.state
    assert story.tell(heartbeat(5, heard=9, seq=99, body=words("b", "more"))) == []
    assert story.tell(start(0, heard=10), lifecycle(11, Lifecycle.BACKGROUND)) == []
    assert story.state is sealed
    story.tell(end(9, heard=12))
    assert [layer.body.data for layer in story.last.layers] == [b"a"]
    assert story.last.closed.seq == -1


@pytest.mark.parametrize("mode", [LateEnd.DROP, LateEnd.DEAD_LETTER])
@pytest.mark.parametrize("presumed", [True, False])
def test_late_end_may_be_refused(mode: LateEnd, presumed: bool) -> None:
    """`late_end` drop or dead_letter: the final stays as it is, the end is counted, once, and may be a dead letter."""
    story = Story(Terms(late_end=mode))
    story.tell(start(0))
    if presumed:
        story.wait(HOUR_LATER)
    else:
        story.tell(end(10))
    last = story.last
    late, *rest = story.tell(end(20, heard=4000))
    assert late == Late(Kind.END, overturned=presumed)
    assert [(letter.kind, letter.final.closed.revision) for letter in letters(rest)] == (
        [(LetterKind.LATE_END, 2)] if mode is LateEnd.DEAD_LETTER else []
    )
    assert story.tell(end(20, heard=4001)) == []
    assert story.last is last
    assert story.phase is Phase.FINISHED


def test_the_first_end_of_a_dead_letter_is_never_too_late() -> None:
    """`missing_start` wrote no final, so its end is not late, whatever `late_end` says."""
    for mode in LateEnd:
        story = Story(Terms(late_end=mode))
        story.tell(heartbeat(0))
        (letter,) = story.wait(60)
        assert isinstance(letter, DeadLetter)
        (emit,) = story.tell(end(70, start=-1))
        assert isinstance(emit, Emit)
        assert emit.final.closed.revision == 1
        assert emit.resolves


def test_a_dead_letter_may_come_back_and_be_lost_again() -> None:
    """A start re-opens `missing_start`; then it lives and dies like any span, from revision 1 on."""
    story = Story()
    story.tell(heartbeat(0, body=words("a", "x")))
    story.wait(60)
    assert story.tell(heartbeat(61, body=words("b", "y"))) == [Late(Kind.HEARTBEAT)]
    assert story.tell(start(-1, heard=70)) == []
    assert story.phase is Phase.OPEN
    story.wait(10**6)
    assert [(final.closed.cause, final.closed.revision) for final in story.finals] == [(Cause.HEARTBEAT_LOST, 1)]
    assert [layer.body.data for layer in story.last.layers] == [b"a", b"b"]
    story.tell(end(10**6 + 1))
    assert [final.closed.revision for final in story.finals] == [1, 2]


def test_coordinates_say_where_it_was_heard() -> None:
    """A final names the records of its start, its first and its last evidence."""
    story = Story()
    told = [heartbeat(3), start(0, heard=4), heartbeat(2, heard=6), end(8)]
    story.tell(*told)
    final = story.last
    assert (final.first, final.start, final.closed.last) == (told[0].source, told[1].source, told[3].source)


def test_a_timer_that_is_late_does_not_beat_the_end() -> None:
    """An end that is heard before the timer looks wins, though the deadline had passed: reported outranks inferred."""
    story = Story()
    story.tell(start(0, interval=10))
    story.clock = at(100)
    story.tell(end(20, heard=31))
    assert [final.closed.cause for final in story.finals] == [Cause.COMPLETED]
