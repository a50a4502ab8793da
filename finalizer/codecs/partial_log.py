"""Partial-span logs (OTLP logs, JSON or protobuf) to evidence (RATIONALE: formats in).

`partial.event` says what a log is: a `heartbeat` carries its span as it is by then, `stop` the ended one. Its body is a
`TracesData`: protobuf in base64 where `partial.body.type` is `proto` or absent, else JSON. A log without a body speaks
of the span that it belongs to. A record may be a whole batch, a body several spans. Needs the extra `otlp`.
"""

from __future__ import annotations

from binascii import a2b_base64
from functools import partial
from typing import Final

from finalizer.codecs.carried import Carried, LogResource
from finalizer.codecs.encodings import is_json
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.go_duration import go_duration
from finalizer.codecs.json_logs import json_logs
from finalizer.codecs.json_spans import json_body
from finalizer.codecs.logs import BODY_TYPE, EVENT, Log
from finalizer.codecs.parts import BadPart, Part
from finalizer.codecs.proto_logs import proto_logs
from finalizer.codecs.proto_spans import proto_spans
from finalizer.codecs.subject import subject_of
from finalizer.codecs.times import optional_moment
from finalizer.core.causes import Cause
from finalizer.core.model import Coordinates, End, Evidence, Kind

_HEARTBEAT, _END = Kind.HEARTBEAT, Kind.END
_COMPLETED = Cause.COMPLETED
_FIRST_FIELD, _BRACE = 0x0A, 0x7B
_IS_JSON: Final = {"": False, "proto": False, "json": True, "json/v1": True}


def decode(value: bytes | None, source: Coordinates) -> list[Part]:
    """The evidence in one record, and what of it could not be used. Raises `Unusable` for the record as a whole."""
    if not value:
        raise Unusable(Reason.EMPTY, "the record has no value")
    logs = json_logs if is_json(value) else proto_logs
    parts = list(logs(value, partial(_parts, source)))
    if not parts:
        raise Unusable(Reason.MISSING_FIELD, "there is no log in it")
    return parts


def _parts(source: Coordinates, log: Log, resource: LogResource) -> list[Part]:
    """The evidence in one log, and what of it could not be used."""
    beats = log.event == "heartbeat"
    if not beats and log.event != "stop":
        raise _no_event(log.event)
    at = optional_moment(log.at, "timeUnixNano")
    interval = go_duration(log.frequency) if beats and log.frequency else 0
    tell = partial(_heartbeat, source, at, interval) if beats else partial(_stop, source, at)
    if not log.body:
        return [tell(Carried(log.key, 0, 0, None, None))]
    as_json, body = _body(log)
    parts: list[Part] = [
        BadPart(part.value, f".body.{part.where}", part.error) if isinstance(part, BadPart) else part
        for part in (json_body if as_json else proto_spans)(body, resource, tell)
    ]
    if not parts:
        raise Unusable(Reason.MISSING_FIELD, "there is no span in its body")
    return parts


def _body(log: Log) -> tuple[bool, bytes]:
    """The `TracesData` in a log, and whether it is JSON. What the bytes are outranks what the log calls them."""
    as_json = _IS_JSON.get(log.body_type)
    if as_json is None:
        raise Unusable(
            Reason.UNKNOWN_VERSION, f"{BODY_TYPE} is neither proto, json nor json/v1: {log.body_type[:40]!r}"
        )
    body = log.body.encode() if isinstance(log.body, str) else log.body
    if as_json or body[0] == _BRACE:
        return True, body
    if body[0] == _FIRST_FIELD:  # bytes need no base64, and base64 has no line feed here
        return False, body
    try:
        return False, a2b_base64(body, strict_mode=True)
    except ValueError as error:
        raise Unusable(Reason.MALFORMED, f"its body is no base64: {error}") from error


def _heartbeat(source: Coordinates, at: int, interval: int, span: Carried) -> Evidence:
    if not at:
        raise _no_time()
    start_at, body = span.start_at or None, span.body
    subject = subject_of(body)
    return Evidence(_HEARTBEAT, span.key, at, source, -1, start_at, body, subject, None, span.status, None, interval)


def _stop(source: Coordinates, at: int, span: Carried) -> Evidence:
    at = span.end_at or at
    if not at:
        raise _no_time()
    start_at, body = span.start_at or None, span.body
    subject = subject_of(body)
    return Evidence(_END, span.key, at, source, -1, start_at, body, subject, End(_COMPLETED, at, span.status))


def _no_time() -> Unusable:
    return Unusable(Reason.MISSING_FIELD, "timeUnixNano is missing")


def _no_event(event: str) -> Unusable:
    if event:
        return Unusable(Reason.UNKNOWN_KIND, f"{EVENT} is neither heartbeat nor stop: {event[:40]!r}")
    return Unusable(Reason.MISSING_FIELD, f"{EVENT} is missing: no log of a partial span")
