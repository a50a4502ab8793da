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
    Phase,
    State,
    Told,
)
from finalizer.core.terms import Terms

_HEARTBEAT: Final = Kind.HEARTBEAT
_OPEN: Final = Phase.OPEN


def first_state(evidence: Evidence, terms: Terms, now: Moment) -> State:
    """The state of a span of which this is the first evidence."""
    source = evidence.source
    heard = source.heard_at - now.clock + now.patience
    if heard < now.stood:  # what was taken off since then does not make it older
        heard = now.patience_at(source.heard_at)
    body = evidence.body
    return State(
        _OPEN,
        terms.rule,
        terms.policy,
        evidence.start_at,
        evidence.at,
        evidence.seq,
        source,
        source,
        None if evidence.start_at is None else source,
        heard,
        heard,
        evidence.kind is _HEARTBEAT,
        evidence.interval,
        evidence.timeout,
        () if body is None else (Layer(evidence.at, evidence.seq, body),),
        _tell(NOTHING_TOLD, evidence, heard) if _tells(evidence) else NOTHING_TOLD,
        evidence.end,
        None,
        (),
        0,
    )


def fold(state: State, evidence: Evidence, terms: Terms, now: Moment) -> State:
    """The state after one more piece of evidence; its phase, close and wake-up are not touched."""
    source = evidence.source
    heard = source.heard_at - now.clock + now.patience
    if heard < now.stood:  # what was taken off since then does not make it older
        heard = now.patience_at(source.heard_at)
    at, seq, interval, timeout = evidence.at, evidence.seq, evidence.interval, evidence.timeout
    start_at, told_start = state.start_at, evidence.start_at
    start = state.start
    if told_start is not None and (start_at is None or told_start < start_at):
        start_at, start = told_start, source
    end = state.end
    if evidence.end is not None and (end is None or evidence.end.order > end.order):
        end = evidence.end
    body, layers, late_layers, closed = evidence.body, state.layers, state.late_layers, state.closed
    if body is not None:
        if closed is None or closed.cause is None:
            layers = join_layers(layers, evidence, body)
        else:
            late_layers = join_layers(late_layers, evidence, body)
    return State(
        state.phase,
        terms.rule,
        terms.policy,
        start_at,
        at if at > state.last_seen else state.last_seen,
        seq if seq > state.seq else state.seq,
        state.first,
        source if source.heard_at >= state.last.heard_at else state.last,
        start,
        state.opened,
        heard if heard > state.heard else state.heard,
        state.beats or evidence.kind is _HEARTBEAT,
        interval if interval > state.interval else state.interval,
        timeout if timeout > state.timeout else state.timeout,
        layers,
        _tell(state.told, evidence, heard) if _tells(evidence) else state.told,
        end,
        closed,
        late_layers,
        state.wake_at,
    )


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


def _tells(evidence: Evidence) -> bool:
    return (
        evidence.progress is not None
        or evidence.session_expires_at != 0
        or evidence.lifecycle is not None
        or evidence.status is not None
        or evidence.instance is not None
    )


def _tell(told: Told, evidence: Evidence, heard: int) -> Told:
    at, seq = evidence.at, evidence.seq
    status, progress, lifecycle, instance = told.status, told.progress, told.lifecycle, told.instance
    best, progressed, paused = told.best_progress, told.progressed, told.paused
    if evidence.status is not None and evidence.status.code is not StatusCode.UNSET:
        # UNSET takes nothing back (OpenTelemetry API, "Set Status"): a heartbeat that carries the whole span says it.
        said = (at, seq, int(evidence.status.code), evidence.status.message)
        status = said if status is None or said > status else status
    if evidence.progress is not None:
        made = (at, seq, evidence.progress)
        progress = made if progress is None or made > progress else progress
        if told.progress is None or evidence.progress > best:
            best, progressed = evidence.progress, max(progressed, heard)
    if evidence.lifecycle is not None:
        mark = (at, seq, int(evidence.lifecycle))
        if lifecycle is None or mark > lifecycle:
            lifecycle = mark
            paused = heard if evidence.lifecycle is not Lifecycle.FOREGROUND else 0
    if evidence.instance is not None:
        named = (at, seq, *evidence.instance)
        instance = named if instance is None or named > instance else instance
    expires = max(told.session_expires_at, evidence.session_expires_at)
    return Told(status, progress, best, progressed, lifecycle, paused, expires, instance)
