"""The law, cell by cell: every phase × everything that can happen, reached through `hear` and `wake`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from finalizer.core.causes import Cause
from finalizer.core.effects import DeadLetter, Effect, Emit, Late, LetterKind
from finalizer.core.law import LAW, Act, Happened
from finalizer.core.model import End, Phase
from finalizer.core.remembered import Remembered, remembered_state
from finalizer.core.terms import HOUR
from tests.core.making import KEY, Story, at, end, heartbeat, start

UNSEEN, OPEN, PRESUMED, FINISHED = Phase.UNSEEN, Phase.OPEN, Phase.PRESUMED, Phase.FINISHED
START, ALIVE, END, ORPHAN_END, DUE = Happened


def unseen() -> Story:
    """Nothing was heard."""
    return Story()


def open_span() -> Story:
    """Its start was heard."""
    story = Story()
    story.tell(start(0))
    return story


def open_without_start() -> Story:
    """A heartbeat was heard, but not its start."""
    story = Story()
    story.tell(heartbeat(0))
    return story


def presumed() -> Story:
    """Silent for an hour."""
    story = open_span()
    story.wait(3600)
    return story


def dead_letter() -> Story:
    """Presumed without a start: its only trace is a dead letter `missing_start`."""
    story = open_without_start()
    story.wait(60)
    return story


def finished() -> Story:
    """It told its end."""
    story = open_span()
    story.tell(end(10))
    return story


def fingerprint() -> Story:
    """Finished, and nothing but its end is remembered."""
    story = Story()
    story.state = remembered_state(End(Cause.COMPLETED, at(10)))
    return story


class Reached(NamedTuple):
    """One cell: how a span gets there, what happens to it, and what must follow."""

    phase: Phase
    happened: Happened
    given: Callable[[], Story]
    happens: Callable[[Story], list[Effect]]
    target: Phase
    act: Act
    effects: list[type]


def told_start(story: Story) -> list[Effect]:
    """Its start comes, late."""
    return story.tell(start(0, heard=4000))


def alive(story: Story) -> list[Effect]:
    """A heartbeat comes, late."""
    return story.tell(heartbeat(20, heard=4000))


def alive_soon(story: Story) -> list[Effect]:
    """A heartbeat comes in time."""
    return story.tell(heartbeat(20))


def whole_end(story: Story) -> list[Effect]:
    """An end with its start comes, late."""
    return story.tell(end(30, heard=4000, start=0))


def whole_end_soon(story: Story) -> list[Effect]:
    """An end with its start comes in time."""
    return story.tell(end(30, start=0))


def bare_end(story: Story) -> list[Effect]:
    """An end without its start comes."""
    return story.tell(end(30))


def due(story: Story) -> list[Effect]:
    """Time passes."""
    return story.wait(5000)


# Every cell of the law but the timer's on spans that it has nothing to close of: those are below.
REACHED: list[Reached] = [
    Reached(UNSEEN, START, unseen, told_start, OPEN, Act.FOLD, []),
    Reached(UNSEEN, ALIVE, unseen, alive, OPEN, Act.FOLD, []),
    Reached(UNSEEN, END, unseen, whole_end, FINISHED, Act.SEAL, [Emit]),
    Reached(UNSEEN, ORPHAN_END, unseen, bare_end, OPEN, Act.FOLD, []),
    Reached(OPEN, START, open_without_start, lambda story: story.tell(start(0, heard=5)), OPEN, Act.FOLD, []),
    Reached(OPEN, ALIVE, open_span, alive_soon, OPEN, Act.FOLD, []),
    Reached(OPEN, END, open_span, whole_end_soon, FINISHED, Act.SEAL, [Emit]),
    Reached(OPEN, ORPHAN_END, open_without_start, bare_end, OPEN, Act.FOLD, []),
    Reached(OPEN, DUE, open_span, due, PRESUMED, Act.PRESUME, [Emit]),
    Reached(PRESUMED, START, dead_letter, told_start, OPEN, Act.FOLD, []),
    Reached(PRESUMED, ALIVE, presumed, alive, PRESUMED, Act.KEEP, [Late]),
    Reached(PRESUMED, END, presumed, whole_end, FINISHED, Act.REVISE, [Late, Emit]),
    Reached(PRESUMED, ORPHAN_END, dead_letter, bare_end, PRESUMED, Act.KEEP, [Late]),
    # A finished span has an end, so a start that is news makes an END that does not count: the same, and absorbed.
    Reached(FINISHED, START, fingerprint, told_start, FINISHED, Act.ABSORB, []),
    Reached(FINISHED, ALIVE, finished, alive, FINISHED, Act.ABSORB, []),
    Reached(FINISHED, END, finished, whole_end, FINISHED, Act.REVISE, [Late, Emit]),
    Reached(FINISHED, ORPHAN_END, fingerprint, bare_end, FINISHED, Act.REVISE, [Late, DeadLetter]),
]


@pytest.mark.parametrize("cell", REACHED, ids=[f"{cell.phase.name}-{cell.happened.name}" for cell in REACHED])
def test_cell(cell: Reached) -> None:
    """A span in this phase, to which this happens, goes where the law says, with the effects of its act."""
    story = cell.given()
    assert story.phase is cell.phase
    assert LAW[cell.phase][cell.happened] == (cell.target, cell.act)
    written = cell.happens(story)
    assert story.phase is cell.target
    assert [type(effect) for effect in written] == cell.effects


def test_no_cell_is_missing() -> None:
    """The table above and the three cells below are the whole law: total, and nothing besides."""
    below = {(UNSEEN, DUE), (PRESUMED, DUE), (FINISHED, DUE)}
    reached = {(phase, happened) for phase, happened, *_ in REACHED}
    assert not below & reached
    assert below | reached == {(phase, happened) for phase in Phase for happened in Happened}
    assert [len(row) for row in LAW] == [len(Happened)] * len(Phase)


def test_nothing_is_due_where_there_is_no_span() -> None:
    """UNSEEN × DUE: an entry of the timer whose span is gone asks for nothing."""
    assert LAW[UNSEEN][DUE] == (UNSEEN, Act.ABSORB)
    assert unseen().wait(10**6) == []


@pytest.mark.parametrize(
    ("given", "phase"), [(presumed, PRESUMED), (finished, FINISHED), (dead_letter, PRESUMED), (fingerprint, FINISHED)]
)
def test_the_timer_never_closes_twice(given: Callable[[], Story], phase: Phase) -> None:
    """PRESUMED × DUE and FINISHED × DUE write nothing, however late the timer looks."""
    story = given()
    before = story.state
    story.clock = at(10**6)
    story.effects.clear()
    story.look()
    assert story.effects == []
    assert story.state is before
    assert story.phase is phase


def test_what_is_over_remembering_is_forgotten() -> None:
    """PRESUMED × DUE and FINISHED × DUE lead back to UNSEEN: the memory drops what is over."""
    assert LAW[PRESUMED][DUE] == LAW[FINISHED][DUE] == (UNSEEN, Act.FORGET)
    memory = Remembered(24 * HOUR, HOUR, 2**30)
    memory.keep(KEY, at(0), 600)
    memory.finish(bytes(24), End(Cause.COMPLETED, at(0)), at(0))
    assert memory.expire(at(27 * 3600)).keys == [KEY]
    assert memory.end_of(bytes(24)) is None


def test_an_act_may_decline_and_then_the_phase_stays() -> None:
    """PRESUME declines while no deadline has passed; REVISE declines an end that does not count."""
    story = open_span()
    story.clock = at(10)
    story.effects.clear()
    story.look()
    assert story.effects == []
    assert story.phase is OPEN

    story = presumed()
    (late,) = story.tell(end(-5, Cause.RESTARTED, heard=4000))
    assert isinstance(late, Late)
    assert not late.overturned
    assert story.phase is PRESUMED

    story = finished()
    assert story.tell(end(10)) == []
    assert story.phase is FINISHED


def test_an_end_that_waited_for_its_start_is_an_end() -> None:
    """The column is what is established: the start that was missing makes the end complete."""
    story = Story()
    assert story.tell(end(30), heartbeat(31)) == []
    (emit,) = story.tell(start(0, heard=40))
    assert isinstance(emit, Emit)
    assert story.phase is FINISHED


def test_a_dead_letter_whose_start_comes_after_its_end_is_finished() -> None:
    """`missing_start` with an end known needs nothing but its start: revision 1, and the dead letter is resolved."""
    story = Story()
    (letter,) = story.tell(end(30)) + story.wait(90)
    assert isinstance(letter, DeadLetter)
    assert letter.kind is LetterKind.MISSING_START
    (emit,) = story.tell(start(0, heard=200))
    assert isinstance(emit, Emit)
    assert (emit.final.closed.cause, emit.final.closed.revision) == (Cause.COMPLETED, 1)
    assert emit.resolves
    assert not emit.overturned
