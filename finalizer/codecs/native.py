"""Native JSON to evidence: what each field of an event means (RATIONALE: formats in).

Required: `type`, `trace_id`, `span_id`, `time_unix_nano`, and `name` on a start, `state` on a lifecycle record; every
other field is optional, a null is as good as absent, unknown fields are ignored. `name`, `kind`, `span_type`,
`parent_span_id`, `resource`, `attributes`, `session_id`, `op_id`, `trace_state`, `links` and `events` describe the span
on any record that has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from finalizer.codecs.body import NativeBody
from finalizer.codecs.errors import Reason, Unusable, one_line
from finalizer.codecs.ids import NO_SPAN, NO_TRACE, parent_id, span_key
from finalizer.codecs.instance import instance_of
from finalizer.codecs.native_event import (
    MAX_MESSAGE,
    MAX_RECORD_DEPTH,
    NativeEvent,
    NativeStatus,
    check_depth,
    parse,
    read_plain,
)
from finalizer.codecs.times import nanoseconds, optional_moment
from finalizer.codecs.values import Value
from finalizer.core.causes import Cause, StatusCode
from finalizer.core.model import Coordinates, End, Evidence, Kind, Lifecycle, Status

MAX_REASON: Final = 64
"""Characters kept of the client's own word for an end."""

_KINDS: Final[dict[str | None, Kind]] = {
    "start": Kind.START,
    "heartbeat": Kind.HEARTBEAT,
    "lifecycle": Kind.LIFECYCLE,
    "end": Kind.END,
}
_CAUSES: Final = {
    "partial": Cause.PARTIAL,
    "abandoned": Cause.ABANDONED,
    "restarted": Cause.RESTARTED,
}
_STATES: Final = {
    "foreground": Lifecycle.FOREGROUND,
    "background": Lifecycle.BACKGROUND,
    "terminate": Lifecycle.TERMINATE,
}
_CODES: Final[dict[int | str | None, StatusCode]] = {
    None: StatusCode.UNSET,
    **{
        spelling: code
        for code in StatusCode
        for spelling in (int(code), code.name.lower(), code.name, code.name.capitalize(), f"STATUS_CODE_{code.name}")
    },
}
_SET: Final = {code: None if not number else Status(number) for code, number in _CODES.items()}
"""The status that a code alone sets, by every spelling of it; unset sets nothing."""
_ARRAY: Final = ord("[")
_START: Final = Kind.START
_END: Final = Kind.END
_LIFECYCLE: Final = Kind.LIFECYCLE
_COMPLETED: Final = Cause.COMPLETED
_from_hex: Final = bytes.fromhex
_read: Final = read_plain
_fields_of: Final[Callable[[NativeEvent[Value]], tuple[Any, ...]]] = msgspec.structs.astuple
"""All fields at once, for a tenth of what asking for each of them costs."""
_SHALLOW: Final = 5 * MAX_RECORD_DEPTH + len('"trace_id":"","span_id":"","time_unix_nano":,') + 32 + 16 + 18
"""A record without arrays and of no more bytes is not too deep: an object in another takes five, beside what must be
there."""


class NativeDecoder:
    """Decodes native events. `kind` stands in for a missing `type`, on topics that carry one kind only."""

    def __init__(self, *, kind: Kind | None = None) -> None:
        self._kinds = _KINDS if kind is None else {**_KINDS, None: kind}

    def decode(self, value: bytes | None, source: Coordinates) -> Evidence:
        """The evidence in one record. Raises `Unusable`, and nothing else.

        `at` is the event time, for a start also its `start_at`; heartbeats, lifecycle records and ends may tell the
        start in `start_time_unix_nano`. A record that describes nothing has neither body nor subject.
        """
        try:
            event = _read(value)  # type: ignore[arg-type]  # None is refused below, with all the others
            key = _from_hex(event.trace_id + event.span_id)  # type: ignore[operator]
        except (ValueError, TypeError, RecursionError):
            event = parse(value)
            key = span_key(event.trace_id, event.span_id)
        # From here on all is paid for each record: what is rare is left to others, and nothing is called without need.
        (
            _, word, trace_id, span_id, parent, name, span_type, span_kind, at, told_start, resource, attributes,
            progress, told, reason, _, interval, timeout, session_id, expires, op_id, seq, trace_state, links, events,
            instance_id, boot_id,
        ) = _fields_of(event)  # fmt: skip
        if len(key) != 24 or trace_id == NO_TRACE or span_id == NO_SPAN:
            span_key(trace_id, span_id)
        kind = self._kinds.get(word)
        if kind is None or at is None:
            raise _no_kind_or_time(word, kind)
        start_at: int | None = None
        if kind is _START:
            if not name:
                raise Unusable(Reason.MISSING_FIELD, "a start has no name")
            start_at = at
        elif told_start:
            start_at = optional_moment(told_start, "start_time_unix_nano")
        body: NativeBody | None = None
        if (
            name
            or attributes
            or resource
            or span_type
            or session_id
            or op_id
            or span_kind
            or parent
            or trace_state
            or links
            or events
        ):
            assert value is not None
            if _ARRAY in value or (len(value) > _SHALLOW and value.count(b"{") > MAX_RECORD_DEPTH):
                check_depth(value)
            if parent or links:
                _check_ids(event)
            body = NativeBody(value)
        status: Status | None = None
        end: End | None = None
        if told is not None:
            status = _SET[told.code] if told.message is None else _status(told)
        if kind is _END:
            end = _end(event, at, status) if reason else End(_COMPLETED, at, status)
            status = None
        return Evidence(
            kind,
            key,
            at,
            source,
            -1 if seq is None else seq,
            start_at,
            body,
            None if body is None else event,
            end,
            status,
            progress,
            nanoseconds(interval) if interval else 0,
            nanoseconds(timeout) if timeout else 0,
            optional_moment(expires, "session_expires_unix_nano") if expires else 0,
            _lifecycle(event) if kind is _LIFECYCLE else None,
            None if body is None or not instance_id else instance_of(instance_id, boot_id),
        )


def _no_kind_or_time(word: str | None, kind: Kind | None) -> Unusable:
    if kind is not None:
        return Unusable(Reason.MISSING_FIELD, "time_unix_nano is missing")
    if word is None:
        return Unusable(Reason.MISSING_FIELD, "type is missing")
    return Unusable(Reason.UNKNOWN_KIND, "an instance is not about one span: its topic is told in `instances`")


def _check_ids(event: NativeEvent[Value]) -> None:
    """Refuse now what could not be described later. Raises `Unusable`: bad_id, zero_id."""
    parent_id(event.parent_span_id)
    for link in event.links or ():
        try:
            span_key(link.trace_id, link.span_id)
        except Unusable as error:
            raise Unusable(error.reason, f"in links: {error.detail}") from None


def _end(event: NativeEvent[Value], at: int, status: Status | None) -> End:
    """The end that the record reports. A `reason` that names no cause is the client's own word for a completed span."""
    reason = event.reason or ""
    cause = _CAUSES.get(reason)
    if cause is not None:
        return End(cause, at, status)
    return End(_COMPLETED, at, status, one_line(reason[:MAX_REASON]))


def _status(status: NativeStatus) -> Status | None:
    """The status that is set; None for unset, which sets nothing, whatever its message."""
    code = _CODES[status.code]
    if not status.message or not code:
        return _SET[status.code]
    return Status(code, status.message[:MAX_MESSAGE])


def _lifecycle(event: NativeEvent[Value]) -> Lifecycle:
    if event.state is None:
        raise Unusable(Reason.MISSING_FIELD, "a lifecycle record has no state")
    return _STATES[event.state]
