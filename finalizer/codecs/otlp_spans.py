"""Finished spans (OTLP traces, JSON or protobuf) to evidence: an end that carries its start (RATIONALE: formats in).

A record may be a whole batch. A span without an end time is a start. Logfire's pending spans are starts of the real
ones, Datadog's snapshots of long-running spans are heartbeats. Needs the extra `otlp`.
"""

from __future__ import annotations

from functools import partial

from finalizer.codecs.carried import NO_RESOURCE, Carried
from finalizer.codecs.encodings import is_json
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.json_spans import json_spans
from finalizer.codecs.marks import Mark
from finalizer.codecs.parts import Part
from finalizer.codecs.proto_spans import proto_spans
from finalizer.codecs.subject import subject_of
from finalizer.core.causes import Cause
from finalizer.core.model import Coordinates, End, Evidence, Kind

_START, _HEARTBEAT, _END = Kind.START, Kind.HEARTBEAT, Kind.END
_COMPLETED = Cause.COMPLETED


def decode(value: bytes | None, source: Coordinates) -> list[Part]:
    """The evidence in one record, and what of it could not be used. Raises `Unusable` for the record as a whole."""
    if not value:
        raise Unusable(Reason.EMPTY, "the record has no value")
    spans = json_spans if is_json(value) else proto_spans
    parts = list(spans(value, NO_RESOURCE, partial(evidence, source), marks=True))
    if not parts:
        raise Unusable(Reason.MISSING_FIELD, "there is no span in it")
    return parts


def evidence(source: Coordinates, span: Carried) -> Evidence:
    """The evidence that a span is. Raises `Unusable` for one without any time."""
    start_at, end_at, mark = span.start_at, span.end_at, span.mark
    kind, at = _END, end_at
    if mark is Mark.SNAPSHOT:
        kind, at = _HEARTBEAT, end_at or start_at
    elif mark is Mark.PENDING or not end_at:
        kind, at = _START, start_at
    if not at:
        raise Unusable(Reason.MISSING_FIELD, "startTimeUnixNano is missing")
    ended = kind is _END
    return Evidence(
        kind,
        span.key,
        at,
        source,
        -1,
        start_at or None,
        span.body,
        subject_of(span.body),
        End(_COMPLETED, at, span.status) if ended else None,
        None if ended else span.status,
    )
