"""Folding: a span's evidence is joined, whatever its order and repeats (RATIONALE: folding).

Every join here is commutative, associative and idempotent: min of starts, max of what was seen, and, where a value
replaces another, the greater in the order (event time, sequence number, bytes).
"""

from __future__ import annotations

from typing import Final

from finalizer.core.causes import StatusCode
from finalizer.core.model import (
    NOTHING_TOLD,
    Body,
    Evidence,
    Kind,
    Layer,
    Lifecycle,
    Moment,
    Told,
)
from finalizer.core.state import NOT_TOLD, Rest, State
from finalizer.core.terms import Terms

_HEARTBEAT: Final = Kind.HEARTBEAT


def first_state(evidence: Evidence, terms: Terms, now: Moment) -> State:
    """The state of a span of which this is the first evidence."""
    source, state = evidence.source, State()
    state.key = evidence.key
    state.first_topic = state.last_topic = source.topic
    state.first_partition = state.last_partition = source.partition
    state.first_offset = state.last_offset = source.offset
    state.first_heard_at = state.last_heard_at = source.heard_at
    state.opened = state.heard = _patience(source.heard_at, now)
    state.last_seen, state.seq = evidence.at, evidence.seq
    if evidence.start_at is not None:
        state.began, state.started = evidence.start_at, True
    if evidence.body is not None:
        state.body, state.body_at, state.body_seq = evidence.body, evidence.at, evidence.seq
    if evidence.end is not None:
        state.rest = Rest(NOTHING_TOLD, evidence.end, None, (), (), None)
    return _declared(state, evidence, terms, state.heard)


def fold(state: State, evidence: Evidence, terms: Terms, now: Moment) -> State:
    """The state after one more piece of evidence; its phase, close and wake-up are not touched."""
    source, heard, folded = evidence.source, _patience(evidence.source.heard_at, now), State(state)
    at, seq, told_start, end, body = evidence.at, evidence.seq, evidence.start_at, evidence.end, evidence.body
    if told_start is not None and (state.began == NOT_TOLD or told_start < state.began):
        folded.began = told_start
        folded.start = source
    if source.heard_at >= state.last_heard_at:
        folded.last_topic, folded.last_partition = source.topic, source.partition
        folded.last_offset, folded.last_heard_at = source.offset, source.heard_at
    if at > state.last_seen:
        folded.last_seen = at
    if seq > state.seq:
        folded.seq = seq
    if heard > state.heard:
        folded.heard = heard
    if end is not None:
        best = state.rest.end
        if best is None or end.order > best.order:
            folded.rest = folded.rest.ending(end)
    if body is not None:
        closed = state.rest.closed
        if closed is None or closed.cause is None:
            _join_body(folded, evidence, body)
        else:
            folded.late_layers = join_layers(state.rest.late_layers, evidence, body)
    return _declared(folded, evidence, terms, heard)


def _patience(heard_at: int, now: Moment) -> int:
    """What patience was when this was heard."""
    heard = heard_at - now.clock + now.patience
    return now.patience_at(heard_at) if heard < now.stood else heard  # what was taken off since makes it no older


def _declared(state: State, evidence: Evidence, terms: Terms, heard: int) -> State:
    """The state, which nobody else has yet, with what the evidence declares of its span and tells beside."""
    state.rule, state.policy = terms.rule, terms.policy
    if evidence.kind is _HEARTBEAT:
        state.beats = True
    state.interval = max(state.interval, evidence.interval)
    state.timeout = max(state.timeout, evidence.timeout)
    if evidence.progress is not None:
        _progress(state, evidence, evidence.progress, heard)
    if (
        evidence.status is not None
        or evidence.session_expires_at
        or evidence.lifecycle is not None
        or evidence.instance is not None
    ):
        told = _tell(state.rest.told, evidence, heard)
        if told != state.rest.told:
            state.rest = state.rest.telling(told)
    return state


def _join_body(state: State, evidence: Evidence, body: Body) -> None:
    """One more body among the layers of a state that nobody else has yet."""
    if state.body is None:
        state.body, state.body_at, state.body_seq = body, evidence.at, evidence.seq
    elif state.body == body:  # said again, by a heartbeat that carries the whole span
        state.body_at, state.body_seq = max((state.body_at, state.body_seq), (evidence.at, evidence.seq))
    else:
        state.layers = join_layers(state.layers, evidence, body)


def join_layers(layers: tuple[Layer, ...], evidence: Evidence, body: Body) -> tuple[Layer, ...]:
    """The layers with one more body, in the order of records, without repeats and without what later ones cover."""
    if layers and layers[-1].body == body:
        # Said again, by a heartbeat that carries the whole span: what it covers is gone already.
        *below, last = layers
        later = (evidence.at, evidence.seq) > (last.at, last.seq)
        return (*below, Layer(evidence.at, evidence.seq, last.body)) if later else layers
    new = Layer(evidence.at, evidence.seq, body)
    order = new.order
    older: list[Layer] = []
    newer: list[Layer] = []
    for layer in layers:
        if layer.order < order:
            older.append(layer)
        elif layer.order == order:
            return layers
        else:
            newer.append(layer)
    if any(layer.body.covers(body) for layer in newer):
        return layers
    return (*(layer for layer in older if not body.covers(layer.body)), new, *newer)


def merge_layers(layers: tuple[Layer, ...], late: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Both sets of layers as one, in the order of records."""
    if not late:
        return layers
    return tuple(sorted((*layers, *late), key=lambda layer: layer.order))


def _progress(state: State, evidence: Evidence, made: float, heard: int) -> None:
    at, seq = evidence.at, evidence.seq
    if not state.progresses or made > state.best_progress:
        state.best_progress = made
        state.progressed = max(state.progressed, heard)
    if not state.progresses or (at, seq, made) > (state.progress_at, state.progress_seq, state.progress):
        state.progress, state.progress_at, state.progress_seq = made, at, seq
    state.progresses = True


def _tell(told: Told, evidence: Evidence, heard: int) -> Told:
    at, seq = evidence.at, evidence.seq
    status, lifecycle, instance, paused = told.status, told.lifecycle, told.instance, told.paused
    if evidence.status is not None and evidence.status.code is not StatusCode.UNSET:
        # UNSET takes nothing back (OpenTelemetry API, "Set Status"): a heartbeat that carries the whole span says it.
        said = (at, seq, int(evidence.status.code), evidence.status.message)
        status = said if status is None or said > status else status
    if evidence.lifecycle is not None:
        mark = (at, seq, int(evidence.lifecycle))
        if lifecycle is None or mark > lifecycle:
            lifecycle = mark
            paused = heard if evidence.lifecycle is not Lifecycle.FOREGROUND else 0
    if evidence.instance is not None:
        named = (at, seq, *evidence.instance)
        instance = named if instance is None or named > instance else instance
    expires = max(told.session_expires_at, evidence.session_expires_at)
    return Told(status, None, -1.0, 0, lifecycle, paused, expires, instance)
