"""One step of one span: look up the law, do the act, say the effects. Pure.

`hear` is called for each piece of evidence, `wake` when the timer says that a span may be due.
"""

from __future__ import annotations

import typing

from msgspec.structs import replace

from finalizer.core import effects
from finalizer.core.causes import FACTS, Cause, StatusCode
from finalizer.core.due import Deadline, passed, wake_at
from finalizer.core.effects import BeyondMemory, DeadLetter, Effects, Emit, Late, LetterKind
from finalizer.core.fold import first_state, fold, join_layers, merge_layers
from finalizer.core.law import LAW, Act, Happened
from finalizer.core.model import Closed, End, Evidence, Final, Kind, Layer, Moment, Phase, SpanKey, Status
from finalizer.core.state import NOT_TOLD, State
from finalizer.core.terms import BEHIND_AFTER, LateEnd, Terms

_LAW: typing.Final = LAW
_HEARTBEAT: typing.Final = Kind.HEARTBEAT
_UNSEEN: typing.Final = Phase.UNSEEN
_OPEN: typing.Final = Phase.OPEN
_PRESUMED: typing.Final = Phase.PRESUMED
_PRESUME: typing.Final = Act.PRESUME
_FINISHED: typing.Final = Phase.FINISHED
_FOLD: typing.Final = Act.FOLD
_SEAL: typing.Final = Act.SEAL
_KEEP: typing.Final = Act.KEEP
_REVISE: typing.Final = Act.REVISE
_STARTED: typing.Final = Happened.START
_ALIVE: typing.Final = Happened.ALIVE
_ENDED: typing.Final = Happened.END
_ORPHANED: typing.Final = Happened.ORPHAN_END
_DUE: typing.Final = Happened.DUE
_UNSET_CODE: typing.Final = StatusCode.UNSET
_UNSET: typing.Final = Status(_UNSET_CODE)
_BARE: typing.Final = {code: Status(code) for code in StatusCode}
"""Shared: what is kept of a million closed spans is not to be a million of these."""
_EMPTY: typing.Final = 480
"""Bytes of a state without its bodies, measured (`python -m tests.docs.weigh`)."""


def hear(state: State | None, evidence: Evidence, terms: Terms, now: Moment) -> tuple[State | None, Effects]:
    """The state after a piece of evidence, and what follows from it.

    `state` None is phase UNSEEN; the answer is None if nothing is to be kept. `terms` are those of the folded state.
    """
    if state is None:
        if evidence.start_at is None and evidence.at < now.horizon:
            return None, (BeyondMemory(),)
        phase, folded = _UNSEEN, first_state(evidence, terms, now)
    else:
        phase = state.phase
        folded = fold(state, evidence, terms, now)
    target, act = _LAW[phase][_happened(state, folded, evidence)]
    if act is _FOLD:
        return _opened(state, folded, evidence, terms, now), effects.NONE
    if act is _SEAL:
        return _seal(state, folded, evidence, now)
    if act is _KEEP:
        return folded, (Late(evidence.kind),)
    if act is _REVISE and state is not None:
        return _revise(state, folded, evidence, terms, now)
    assert act is Act.ABSORB and state is not None and target is phase
    return state, effects.NONE


def wake(key: SpanKey, state: State, terms: Terms, now: Moment, owed: Deadline | None = None) -> tuple[State, Effects]:
    """The state after a look at its deadlines: presumed closed if one has passed, else with its next wake-up.

    `owed` stands instead of what the span owes by itself.
    """
    phase, act = _LAW[state.phase][_DUE]
    if act is not _PRESUME:
        return state, effects.NONE
    state = _heard_by(now, state)
    deadline = passed(state, terms, now, owed)
    if deadline is None:
        return armed(state, wake_at(state, terms, now, owed)), effects.NONE
    return presume(key, _under(state, terms), deadline, now, phase=phase)


def evict(key: SpanKey, state: State, terms: Terms, now: Moment) -> tuple[State, Effects]:
    """The state of an open span that must go because memory is full: closed, with no deadline that has passed."""
    phase, act = _LAW[state.phase][_DUE]
    assert act is _PRESUME
    cause = None if state.start_at is None else Cause.EVICTED
    return presume(key, _under(state, terms), Deadline(0, cause), now, phase=phase)


def _under(state: State, terms: Terms) -> State:
    """The state under these terms, if the policy has changed since its last evidence."""
    if state.rule == terms.rule and state.policy == terms.policy:
        return state
    under = State(state)
    under.rule, under.policy = terms.rule, terms.policy
    return under


def _heard_by(now: Moment, state: State) -> State:
    """The state as far as it can have been heard by now.

    What was heard before the clock passed its assignment did not know of the time that was taken off there, so it may
    lie ahead of patience; no topic is ahead by more than `BEHIND_AFTER` where deadlines are looked at.
    """
    latest = now.patience + BEHIND_AFTER
    if state.heard <= latest:
        return state
    righted = State(state)
    righted.heard, righted.opened = latest, min(state.opened, latest)
    righted.progressed = min(state.progressed, latest)
    if state.rest.told.paused > latest:
        righted.rest = state.rest.telling(replace(state.rest.told, paused=latest))
    return righted


def presume(
    key: SpanKey, state: State, deadline: Deadline, now: Moment, *, phase: Phase = Phase.PRESUMED
) -> tuple[State, Effects]:
    """Close a span by inference: its end is its last evidence, never now."""
    cause = deadline.cause
    told = state.rest.told
    if cause is None:
        status, reason = _UNSET, LetterKind.MISSING_START.value
    else:
        facts = FACTS[cause]
        status, reason = _BARE[facts.status], facts.reason_word
        if told.status is not None:
            status = Status(StatusCode(told.status[2]), told.status[3])
    closed = Closed(
        cause,
        max(state.last_seen, state.began),
        status,
        reason,
        0 if cause is None else 1,
        now.clock,
        state.last_seen,
        state.seq,
        state.progress if state.progresses else None,
        deadline.at,
        state.last,
        outage_suspected=now.outage_suspected,
        evidence_gap=0 < state.first_heard_at <= now.gap,
    )
    state = _closed(state, phase, closed)
    return state, presumed_effects(key, state)


def presumed_effects(key: SpanKey, state: State) -> Effects:
    """What follows from a presumed close: a pure function of the closed state, so that a repeat is the same."""
    final = _final(key, state)
    if final.closed.cause is None:
        return (DeadLetter(final, LetterKind.MISSING_START),)
    return (Emit(final),)


def armed(state: State, at: int) -> State:
    """The state with the time at which the timer looks at it next: derived, so a restored state has none."""
    moved = State(state)
    moved.wake_at = at
    return moved


def layers_with(state: State, evidence: Evidence) -> tuple[Layer, ...]:
    """The layers that `evidence` would leave the state with: what rules look at."""
    return state.layers if evidence.body is None else join_layers(state.layers, evidence, evidence.body)


def weight(state: State) -> int:
    """Bytes that keeping the whole state takes, roughly: what it holds, and what holding it costs."""
    size, rest = _EMPTY if state.body is None else _EMPTY + len(state.body.data), state.rest
    if rest.below or rest.late_layers:
        size += sum([len(layer.body.data) for layer in (*rest.below, *rest.late_layers)])
    return size


def _happened(state: State | None, folded: State, evidence: Evidence) -> Happened:
    unknown = state is None or state.began == NOT_TOLD
    if folded.rest.end is not None and (evidence.end is not None or unknown):
        if folded.began != NOT_TOLD:
            return _ENDED
        if evidence.end is not None:
            return _ORPHANED
    if unknown and folded.began != NOT_TOLD:
        return _STARTED
    return _ALIVE


def _opened(state: State | None, folded: State, evidence: Evidence, terms: Terms, now: Moment) -> State:
    """An open span, with its wake-up moved only if its deadline may have come nearer."""
    if state is not None and state.phase is _OPEN:
        if evidence.kind is _HEARTBEAT and state.beats and _only_later(state, folded):
            return folded
        at = wake_at(folded, terms, now)
        folded.wake_at = min(folded.wake_at, at)
        return folded
    if folded.phase is not _OPEN:
        folded.phase = _OPEN
    folded.wake_at = wake_at(folded, terms, now)
    return folded


def _only_later(state: State, folded: State) -> bool:
    """True if nothing changed that can bring a deadline nearer: beating alone only moves it away."""
    return (
        state.began == folded.began
        and state.rest is folded.rest
        and state.progresses == folded.progresses
        and state.interval == folded.interval
        and state.timeout == folded.timeout
        and state.rule == folded.rule
        and state.policy == folded.policy
    )


def _seal(state: State | None, folded: State, evidence: Evidence, now: Moment) -> tuple[State, Effects]:
    rest = folded.rest
    assert folded.began != NOT_TOLD and rest.end is not None
    unknown = state is None and evidence.at < now.horizon
    had_letter = rest.closed is not None
    folded.phase = _FINISHED
    folded.rest = rest.closing(_reported(folded, rest.end, 1, history_unknown=unknown, gap=now.gap))
    folded.wake_at = 0
    return folded, (Emit(_final(evidence.key, folded), resolves=had_letter),)


def _revise(state: State, folded: State, evidence: Evidence, terms: Terms, now: Moment) -> tuple[State, Effects]:
    """An end after a close: the next revision if it counts, as far as the terms and our memory allow.

    One that does not count leaves no trace in the state, or it would outrank a later one that does.
    """
    end, closed = folded.end, state.closed
    assert end is not None and closed is not None
    if not _counts(state, closed, end):
        if state.phase is not _PRESUMED:
            return state, effects.NONE
        return folded.but(end=state.end), (Late(evidence.kind),)
    presumed = closed.cause is not None and not FACTS[closed.cause].reported
    late = (Late(evidence.kind, overturned=presumed),) if closed.cause is not None else effects.NONE
    forgotten = folded.start_at is None
    if folded.late_layers:
        folded.layers, folded.late_layers = merge_layers(folded.layers, folded.late_layers), ()
    revised = _closed(folded, _FINISHED, _reported(folded, end, closed.revision + 1, gap=now.gap))
    final = _final(evidence.key, revised)
    if closed.cause is not None and (terms.late_end is not LateEnd.REVISE or forgotten):
        kept = _closed(folded, _FINISHED, closed)
        if terms.late_end is LateEnd.DROP:
            return kept, late
        return kept, (*late, DeadLetter(final, LetterKind.LATE_END))
    had_letter = closed.cause is None or FACTS[closed.cause].incomplete
    return revised, (*late, Emit(final, overturned=presumed, resolves=had_letter))


def _counts(state: State, closed: Closed, end: End) -> bool:
    if state.phase is _FINISHED:
        return state.end is None or (end.order > state.end.order and not end.same_as(state.end))
    if closed.cause is None or end.cause in (Cause.COMPLETED, Cause.PARTIAL):
        return True
    return end.at > closed.end_at


def _reported(state: State, end: End, revision: int, *, gap: int, history_unknown: bool = False) -> Closed:
    facts, told = FACTS[end.cause], state.rest.told
    status = end.status
    if status is None or status.code is _UNSET_CODE:
        status = Status(facts.status)
        if told.status is not None:
            status = Status(StatusCode(told.status[2]), told.status[3])
    return Closed(
        end.cause,
        end.at if end.at > state.began else state.began,
        status,
        end.reason or facts.reason_word,
        revision,
        state.last_heard_at,
        state.last_seen,
        state.seq,
        state.progress if state.progresses else None,
        0,
        state.last,
        history_unknown,
        False,
        0 < state.first_heard_at <= gap,
    )


def _final(key: SpanKey, state: State) -> Final:
    closed = state.closed
    assert closed is not None
    first = closed.last if state.heard_once else state.first
    start = first if state.started and state.rest.start is None else state.start
    return Final(key, state.start_at, closed, state.rule, state.policy, state.layers, first, start)


def _closed(state: State, phase: Phase, closed: Closed) -> State:
    sealed = State(state)
    sealed.phase, sealed.rest, sealed.wake_at = phase, state.rest.closing(closed), 0
    return sealed
