"""What a final says of its own making, as span attributes (RATIONALE: formats out, causes).

`span_finalizer.` is ours alone: what a client sends under that name is not passed on, so that nobody's span can pass
for one that we closed, or the other way round.
"""

from __future__ import annotations

from typing import Final

from finalizer.codecs.description import Description
from finalizer.codecs.values import Attributes
from finalizer.core import model
from finalizer.core.causes import FACTS, Cause, Facts, StatusCode

PREFIX: Final = "span_finalizer."
MISSING_START: Final = "missing_start"
"""The cause of a dead letter whose span has no final."""
_NO_START: Final = Facts(
    0, "unknown", MISSING_START, StatusCode.UNSET, incomplete=True, end_time="none", meaning="nobody told its start"
)

Sentence = tuple[Cause | None, str, int, str, str, bool, bool, bool, str | None]
"""Cause, reason, revision, rule, policy, history unknown, outage suspected, evidence gap, span type: few differ among
very many finals."""


def facts_of(cause: Cause | None) -> Facts:
    """What a reader may assume; also of a span without a start, which has no cause."""
    return _NO_START if cause is None else FACTS[cause]


def cause_word(cause: Cause | None) -> str:
    """The value of `span_finalizer.cause`."""
    return MISSING_START if cause is None else cause.value


def sentence(final: model.Final, description: Description) -> Sentence:
    """What `stated` speaks of. Hashable, so that what is made of it can be kept."""
    closed = final.closed
    return (
        closed.cause,
        closed.reason,
        closed.revision,
        final.rule,
        final.policy,
        closed.history_unknown,
        closed.outage_suspected,
        closed.evidence_gap,
        description.span_type,
    )


def stated(sentence: Sentence) -> Attributes:
    """Why and how the span was closed: on every final."""
    cause, reason, revision, rule, policy, history_unknown, outage_suspected, evidence_gap, span_type = sentence
    facts = facts_of(cause)
    attributes: Attributes = {
        PREFIX + "cause": cause_word(cause),
        PREFIX + "status": facts.status_word,
        PREFIX + "incomplete": facts.incomplete,
        PREFIX + "revision": revision,
        PREFIX + "rule": rule,
        PREFIX + "policy": policy,
    }
    if reason:
        attributes[PREFIX + "reason"] = reason
    if history_unknown:
        attributes[PREFIX + "history"] = "unknown"
    if outage_suspected:
        attributes[PREFIX + "outage_suspected"] = True
    if evidence_gap:
        attributes[PREFIX + "evidence_gap"] = True
    if span_type:
        attributes[PREFIX + "span_type"] = span_type
    if cause is not None and not facts.reported:
        attributes[PREFIX + "synthetic"] = True
        attributes["partial.gc"] = True
    return attributes


def observed(closed: model.Closed) -> Attributes:
    """The evidence for an end that nobody told us."""
    attributes: Attributes = {PREFIX + "last_seen_unix_nano": closed.last_seen}
    if closed.deadline_at:
        attributes[PREFIX + "deadline_unix_nano"] = closed.deadline_at
    if closed.seq >= 0:
        attributes[PREFIX + "last_seq"] = closed.seq
    if closed.progress is not None:
        attributes[PREFIX + "progress"] = closed.progress
    return attributes


def noted(description: Description) -> Attributes:
    """What few spans have, and OTLP has no place for."""
    attributes: Attributes = {}
    if description.op_id:
        attributes[PREFIX + "op_id"] = description.op_id
    if description.truncated:
        attributes[PREFIX + "truncated"] = description.truncated
    return attributes


def implied(closed: model.Closed, description: Description) -> Attributes:
    """Attributes of OpenTelemetry's own that follow from the rest; where the client set them, its word stands."""
    attributes: Attributes = {}
    if description.session_id:
        attributes["session.id"] = description.session_id
    if closed.status.code == StatusCode.ERROR and not facts_of(closed.cause).reported:
        attributes["error.type"] = closed.reason
    return attributes


def span_attributes(final: model.Final, description: Description) -> Attributes:
    """All attributes of the span of a final."""
    closed = final.closed
    theirs = {name: value for name, value in description.attributes.items() if not name.startswith(PREFIX)}
    attributes = {**implied(closed, description), **theirs, **stated(sentence(final, description))}
    if not facts_of(closed.cause).reported:
        attributes |= observed(closed)
    return attributes | noted(description)
