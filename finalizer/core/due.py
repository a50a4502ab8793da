"""When a span is due: its deadlines as functions of state and terms (RATIONALE: deadlines).

*Soft* deadlines run on patience (time in which we could not hear does not count), *hard* ones on the partition clock.
"""

from __future__ import annotations

import typing

from mypy_extensions import mypyc_attr

from finalizer.core.by_value import ByValue
from finalizer.core.causes import Cause
from finalizer.core.model import Lifecycle, Moment
from finalizer.core.state import NOT_TOLD, State
from finalizer.core.terms import Terms

NEVER: typing.Final = 2**63 - 1
_FOREGROUND: typing.Final = Lifecycle.FOREGROUND
_BACKGROUNDED: typing.Final = Cause.BACKGROUNDED
_STALLED: typing.Final = Cause.STALLED
_SESSION_EXPIRED: typing.Final = Cause.SESSION_EXPIRED
_HEARTBEAT_LOST: typing.Final = Cause.HEARTBEAT_LOST
_NO_HEARTBEAT: typing.Final = Cause.NO_HEARTBEAT
_TIMEOUT: typing.Final = Cause.TIMEOUT


@mypyc_attr(acyclic=True)
class Deadline(ByValue):
    """The moment at which a span is due, and why it would be closed then. `cause` None: `missing_start`."""

    __match_args__ = ("at", "cause")
    __slots__ = __match_args__

    def __init__(self, at: int, cause: Cause | None) -> None:
        self.at: typing.Final = at
        self.cause: typing.Final = cause


def soft_deadline(state: State, terms: Terms) -> Deadline:
    """The deadline on patience: what the span owes us next."""
    if state.began == NOT_TOLD:
        return Deadline(state.opened + terms.orphan_grace, None)
    told = state.rest.told
    beat = terms.heartbeat
    if told.lifecycle is not None and told.lifecycle[2] != _FOREGROUND:
        due = Deadline(max(told.paused, state.heard) + terms.background_grace, _BACKGROUNDED)
    elif state.beats or state.interval or beat.required:
        lease = (state.interval or beat.interval) * beat.misses
        lease = beat.min if lease < beat.min else lease  # `min` and `max` cost five times as much
        lease = (beat.max if lease > beat.max else lease) + beat.allowance
        at, grace = state.heard + lease, state.opened + terms.start_grace
        if not state.beats and at < grace:
            at = grace
        due = Deadline(at, _HEARTBEAT_LOST if state.beats else _NO_HEARTBEAT)
    else:
        due = Deadline(state.heard + terms.silence, _TIMEOUT)
    if terms.progress_timeout is not None and state.progresses:
        stalled = state.progressed + terms.progress_timeout
        if stalled < due.at:
            return Deadline(stalled, _STALLED)
    return due


def beat_came(state: State, terms: Terms, patience: int, *, within: int) -> bool | None:
    """Whether the beat that the span owed last has come: None if it owed none, or came longer ago than `within`.

    It counts as missing half an `allowance` after it was owed, which is before a span with two `misses` is due.
    `start_grace` puts off the death of a span that has not beaten, not the question of where its beats are.
    """
    told, beat = state.rest.told, terms.heartbeat
    if state.began == NOT_TOLD or (told.lifecycle is not None and told.lifecycle[2] != _FOREGROUND):
        return None
    if not (state.beats or state.interval or beat.required):
        return None
    silence = patience - state.heard
    if silence > (state.interval or beat.interval) + beat.allowance // 2:
        return False
    return True if silence <= within else None


def hard_deadline(state: State, terms: Terms) -> Deadline:
    """The deadline on the partition clock: the backstop, and the session's end."""
    if state.began == NOT_TOLD:
        return Deadline(NEVER, None)
    cap = terms.max_duration
    at = state.first_heard_at + (min(state.timeout, cap) if state.timeout else cap)
    session = state.rest.told.session_expires_at
    if session and session < at:
        return Deadline(session, _SESSION_EXPIRED)
    return Deadline(at, _TIMEOUT)


def passed(state: State, terms: Terms, now: Moment, owed: Deadline | None = None) -> Deadline | None:
    """The deadline that has passed, in heard time, or None. Where both have, the one passed longer ago.

    `owed` stands instead of what the span owes by itself.
    """
    soft = soft_deadline(state, terms) if owed is None else owed
    hard = hard_deadline(state, terms)
    soft_over, hard_over = now.patience - soft.at, now.clock - hard.at
    if soft_over < 0 and hard_over < 0:
        return None
    if hard_over >= soft_over:
        return hard
    return Deadline(now.heard_time(soft.at), soft.cause)


def wake_at(state: State, terms: Terms, now: Moment, owed: Deadline | None = None) -> int:
    """Clock time at which to look at the span next: never later than its deadline, since patience never runs ahead."""
    soft = (soft_deadline(state, terms) if owed is None else owed).at + now.clock - now.patience
    hard = hard_deadline(state, terms).at
    return soft if soft < hard else hard
