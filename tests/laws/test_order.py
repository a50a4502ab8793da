"""Order, repeats and wake-ups do not change the last word on a span (RATIONALE: folding).

The times of a span are seconds after its start; heard times are drawn apart from them, so evidence comes in any order,
more than once, before and after its span was presumed closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.core.causes import FACTS, Cause, StatusCode
from finalizer.core.effects import Emit
from finalizer.core.model import Coordinates, End, Evidence, Kind, Phase, Status
from tests.core.making import Story, at, evidence, letters, words

LAW = settings(max_examples=200, deadline=None)
LAST_EVIDENCE = 60
ENOUGH = 10**7
"""Seconds after which every deadline is over."""


class Timer(Enum):
    """How the timer behaves before the next piece of evidence."""

    ON_TIME = "looks when the span asked for it"
    EAGER = "looks at once as well"
    LATE = "does not look"


Heard = tuple[Evidence, float, Timer]
"""Evidence, the seconds that pass before it is heard, and the timer meanwhile."""


@st.composite
def beats(draw: st.DrawFn, *, start: bool | None = None) -> Evidence:
    """Starts, heartbeats and lifecycle records; all with their start, all without, or either."""
    kind = Kind.HEARTBEAT if start is False else draw(st.sampled_from([Kind.START, Kind.HEARTBEAT, Kind.LIFECYCLE]))
    told = kind is Kind.START or (draw(st.booleans()) if start is None else start)
    body = draw(st.none() | st.sampled_from("abc"))
    return evidence(
        kind,
        draw(st.integers(0, LAST_EVIDENCE)),
        start=0 if told else None,
        interval=draw(st.sampled_from([0, 1, 20])),
        body=None if body is None else words(body, body),
    )


@st.composite
def ends(draw: st.DrawFn, *causes: Cause, earliest: int) -> Evidence:
    """Ends with or without their start, some of them before the start of their span."""
    seconds = draw(st.integers(earliest, LAST_EVIDENCE + 20))
    code = draw(st.none() | st.sampled_from(StatusCode))
    return evidence(
        Kind.END,
        seconds + draw(st.integers(0, 5)),
        start=0 if draw(st.booleans()) else None,
        ended=End(draw(st.sampled_from(causes)), at(seconds), None if code is None else Status(code)),
    )


any_end = ends(Cause.COMPLETED, Cause.PARTIAL, earliest=-10) | ends(
    Cause.RESTARTED, Cause.ABANDONED, earliest=LAST_EVIDENCE + 1
)


@st.composite
def delivered(draw: st.DrawFn, told: Sequence[Evidence]) -> list[Heard]:
    """All of it at least once, in some order, with some waiting in between."""
    repeats = draw(st.lists(st.sampled_from(told), max_size=4))
    order = draw(st.permutations([*told, *repeats]))
    waits = st.sampled_from([0.0, 0.5, 5, 40, 100, 4000])
    return [(one, draw(waits), draw(st.sampled_from(Timer))) for one in order]


def hear_all(heard: Sequence[Heard]) -> Story:
    """The story of a span to its very end."""
    story = Story()
    clock = at(0)
    for one, gap, timer in heard:
        clock += round(gap * 10**9)
        source = Coordinates(one.source.topic, one.source.partition, one.source.offset, clock)
        if timer is not Timer.LATE:
            story.wait_until_ns(clock)
        if timer is Timer.EAGER:
            story.look()
        story.hear(one.but(source=source))
    story.wait(ENOUGH)
    return story


@LAW
@given(st.data())
def test_the_best_end_is_the_last_word(data: st.DataObject) -> None:
    """Wherever an end and the start are among the evidence, the last final is made of the best end, in any order.

    Its phase, cause, end time and status are those of the end of the highest rank, and of these the latest. `restarted`
    and `abandoned` are drawn later than the last evidence, because they revise a presumed close only if they know a
    later moment than it has: where they do not, it depends on the timer whether there was such a close. No status is
    set before the end, because the first end seals: whether such a status was heard before it depends on the order.
    """
    told = data.draw(st.lists(beats(), max_size=4)) + data.draw(st.lists(any_end, min_size=1, max_size=3))
    if all(one.start_at is None for one in told):
        told.append(data.draw(beats(start=True)))
    story = hear_all(data.draw(delivered(told)))
    best = max((one.end for one in told if one.end is not None), key=lambda end: end.order[:3])
    closed = story.last.closed
    facts = FACTS[best.cause]
    code = StatusCode.UNSET if best.status is None else best.status.code
    assert story.phase is Phase.FINISHED
    assert closed.cause is best.cause
    assert closed.end_at == max(best.at, at(0))
    assert closed.status.code is (facts.status if code is StatusCode.UNSET else code)
    assert_one_last_word(story)


@LAW
@given(st.data())
def test_without_an_end_there_is_one_presumed_final(data: st.DataObject) -> None:
    """Exactly one, made of the evidence that was heard before its deadline, and of nothing later."""
    told = [data.draw(beats(start=True)), *data.draw(st.lists(beats(), max_size=5))]
    heard = [(one, gap, Timer.ON_TIME) for one, gap, _ in data.draw(delivered(told))]
    story = hear_all(heard)
    (final,) = story.finals
    closed = final.closed
    assert story.phase is Phase.PRESUMED
    assert closed.cause is not None
    assert not FACTS[closed.cause].reported
    clock = at(0)
    before = []
    for one, gap, _ in heard:
        clock += round(gap * 10**9)
        if clock < closed.deadline_at:
            before.append(one)
    assert closed.end_at == closed.last_seen == max(one.at for one in before)
    assert final.start_at == at(0)
    assert {layer.body.data for layer in final.layers} == {one.body.data for one in before if one.body is not None}
    assert_one_last_word(story)


@LAW
@given(st.data())
def test_without_a_start_there_is_no_final(data: st.DataObject) -> None:
    """One dead letter `missing_start`, whatever ends and heartbeats come; names and times are never invented."""
    bare_ends = any_end.map(lambda one: one.but(start_at=None))
    told = data.draw(st.lists(beats(start=False) | bare_ends, min_size=1, max_size=5))
    story = hear_all(data.draw(delivered(told)))
    assert story.finals == []
    assert [letter.final.start_at for letter in letters(story.effects)] == [None]


@LAW
@given(st.data())
def test_the_layers_of_an_open_span_forget_the_order(data: st.DataObject) -> None:
    """What an open span is made of (times, layers, what it told) is the same in any order and with any repeats."""
    told = data.draw(st.lists(beats(start=True), min_size=1, max_size=6))
    states = []
    for _ in range(2):
        story = Story()
        for one, _, _ in data.draw(delivered(told)):
            story.hear(one.but(source=Coordinates("spans.events", 0, 0, at(0))))
        story.look()
        states.append(story.state)
    assert states[0] == states[1]


def assert_one_last_word(story: Story) -> None:
    """What holds for every history: the finals of a span form one chain of which the last is not superseded."""
    chain = story.finals
    assert [final.closed.revision for final in chain] == list(range(1, len(chain) + 1))
    reported = [final.closed.cause is not None and FACTS[final.closed.cause].reported for final in chain]
    assert reported == sorted(reported), "a reported final is never replaced by a presumed one"
    for final in chain:
        assert final.start_at is not None
        assert final.closed.end_at >= final.start_at
    overturned = [effect.overturned for effect in story.effects if isinstance(effect, Emit)]
    assert overturned == [place > 0 and reported[place] > reported[place - 1] for place in range(len(chain))]
