"""A `LogsData` in JSON to its logs. Each is told by itself, so that a bad one costs its neighbours nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from finalizer.codecs.carried import LogResource
from finalizer.codecs.json_batch import log_groups
from finalizer.codecs.json_shapes import JsonLog, JsonValue, read_log, read_logs
from finalizer.codecs.logs import BODY_TYPE, EVENT, FREQUENCY, Log, TellLog
from finalizer.codecs.otlp_ids import key_of_text
from finalizer.codecs.parts import LOGS, BadPart, Part, place
from finalizer.codecs.refusal import refusal
from finalizer.core.model import Evidence


def json_logs(data: bytes, tell: TellLog) -> Iterable[Part]:
    """What `tell` makes of each log. Raises `Unusable` where the batch as a whole cannot be read."""
    parts: list[Part] = []
    try:
        batch = read_logs(data)
        for i, outer in enumerate(batch.resources or batch.resources_ or ()):
            resource = LogResource(True, bytes(outer.resource))
            for j, group in enumerate(outer.groups or outer.groups_ or ()):
                for k, log in enumerate(group.items or group.items_ or ()):
                    parts += _placed(tell(_log(log), resource), i, j, k)
    except (ValueError, RecursionError):
        return _one_by_one(data, tell)
    return parts or _one_by_one(data, tell)


def _one_by_one(data: bytes, tell: TellLog) -> Iterator[Part]:
    """The same of a batch in which something is wrong: each log is read by itself, and kept as its bytes."""
    for (i, j), told, _, _, _, items in log_groups(data):
        resource = LogResource(True, told)
        for k, raw in enumerate(items):
            try:
                parts = tell(_log(read_log(raw)), resource)
            except (ValueError, RecursionError) as error:
                parts = [BadPart(bytes(raw), "", refusal(error))]
            yield from _placed(parts, i, j, k)


def _placed(parts: list[Part], i: int, j: int, k: int) -> list[Part]:
    if parts[0].__class__ is Evidence and len(parts) == 1:
        return parts
    return [
        BadPart(part.value, place(LOGS, i, j, k) + part.where, part.error) if isinstance(part, BadPart) else part
        for part in parts
    ]


def _log(log: JsonLog) -> Log:
    event = frequency = body_type = ""
    for item in log.attributes or ():
        if item.key == EVENT:
            event = _text(item.value)
        elif item.key == FREQUENCY:
            frequency = _text(item.value)
        elif item.key == BODY_TYPE:
            body_type = _text(item.value)
    body = log.body
    content = b"" if body is None else body.string or body.octets or body.string_ or body.octets_ or b""
    key = b"" if content else key_of_text(log.trace_id or log.trace_id_, log.span_id or log.span_id_)
    at = log.at or log.at_ or log.observed_at or log.observed_at_ or 0
    return Log(at, content, key, event, frequency, body_type)


def _text(value: JsonValue | str | None) -> str:
    if isinstance(value, JsonValue):
        return value.string or value.string_ or ""
    return value or ""
