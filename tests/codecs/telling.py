"""From records of foreign formats to finals, by way of the law."""

from __future__ import annotations

from collections.abc import Iterable

from finalizer.codecs import otlp_spans, partial_log
from finalizer.codecs.body import body_of
from finalizer.codecs.errors import Unusable
from finalizer.codecs.parts import BadPart, Part
from finalizer.core import lifecycle
from finalizer.core.effects import DeadLetter, Emit
from finalizer.core.model import Coordinates, Evidence, Final, Moment, SpanKey
from finalizer.core.state import State
from finalizer.core.terms import HOUR
from tests.codecs.otlp_making import SOURCE
from tests.codecs.spans import T0, TERMS


def spans(value: bytes) -> list[Part]:
    """What a record of finished spans holds."""
    return otlp_spans.decode(value, SOURCE)


def partial(value: bytes) -> list[Part]:
    """What a record of partial-span logs holds."""
    return partial_log.decode(value, SOURCE)


def only(parts: Iterable[Part]) -> Evidence:
    """The one piece of evidence, and nothing else."""
    (part,) = parts
    assert isinstance(part, Evidence), part
    return part


def bad(parts: Iterable[Part]) -> BadPart:
    """The one part that could not be used."""
    (found,) = [part for part in parts if isinstance(part, BadPart)]
    return found


def refusal(decode: object, value: bytes | None, source: Coordinates = SOURCE) -> Unusable:
    """Why the record as a whole cannot be used."""
    try:
        found = decode(value, source)  # type: ignore[operator]
    except Unusable as error:
        return error
    raise AssertionError(f"it was used: {found}")


def heard(*evidence: Evidence) -> tuple[dict[SpanKey, State], list[Final]]:
    """The open states after this evidence, and the finals that it brought about."""
    states: dict[SpanKey, State | None] = {}
    finals: list[Final] = []
    for piece in evidence:
        now = Moment(piece.heard_at, piece.heard_at)
        state, effects = lifecycle.hear(states.get(piece.key), piece, TERMS, now)
        states[piece.key] = state
        finals += [effect.final for effect in effects if isinstance(effect, Emit | DeadLetter)]
    return {key: state for key, state in states.items() if state is not None}, finals


def reported(*evidence: Evidence) -> Final:
    """The final of the one span that ended."""
    (final,) = heard(*evidence)[1]
    return final


def presumed(*evidence: Evidence) -> Final:
    """The final of the one span that is heard of no more."""
    ((key, state),) = heard(*evidence)[0].items()
    later = T0 + 1000 * HOUR
    _, (effect,) = lifecycle.wake(key, state, TERMS, Moment(later, later))
    assert isinstance(effect, Emit | DeadLetter)
    return effect.final


def stored(evidence: Evidence) -> Evidence:
    """The evidence with its body as the changelog gives it back: made of format and data alone."""
    body = evidence.body
    assert body is not None
    restored = body_of(body.format, body.data)
    assert restored == body
    return evidence
