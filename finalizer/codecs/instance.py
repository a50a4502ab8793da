"""Processes in native JSON: the heartbeats that one sends for all its spans, and how a span names the one it lives in.

A heartbeat of a process is a native event of the type `instance`. Required: `instance_id`, `boot_id`,
`time_unix_nano` and `heartbeat_interval_ms`.
"""

from __future__ import annotations

from sys import intern
from typing import Final

from finalizer.codecs.body import NativeBody
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.native_event import parse
from finalizer.codecs.times import nanoseconds
from finalizer.core.instances import Beat
from finalizer.core.model import Body

LONGEST_ID: Final = 256
"""Characters of an instance id or a boot id: a hundred thousand of them are held."""


def decode(value: bytes | None) -> Beat:
    """The heartbeat of a process in one record. Raises `Unusable`, and nothing else."""
    event = parse(value)
    if event.type not in (None, "instance"):
        raise Unusable(Reason.UNKNOWN_KIND, f"type is {event.type}: only heartbeats of instances belong here")
    named = instance_of(event.instance_id, event.boot_id)
    if named is None:
        for field, said in (("instance_id", event.instance_id), ("boot_id", event.boot_id)):
            if not said:
                raise Unusable(Reason.MISSING_FIELD, f"{field} is missing")
        raise Unusable(Reason.BAD_ID, f"instance_id or boot_id is longer than {LONGEST_ID} characters")
    if event.time_unix_nano is None:
        raise Unusable(Reason.MISSING_FIELD, "time_unix_nano is missing")
    if not event.heartbeat_interval_ms:
        raise Unusable(Reason.MISSING_FIELD, "heartbeat_interval_ms is missing: nobody could tell when to miss it")
    return Beat(*named, event.time_unix_nano, nanoseconds(event.heartbeat_interval_ms))


def instance_of(instance_id: str | None, boot_id: str | None) -> tuple[str, str] | None:
    """The process that a record names, each id one text for all spans that name it; None if it names none."""
    if not instance_id or not boot_id or max(len(instance_id), len(boot_id)) > LONGEST_ID:
        return None
    return intern(instance_id), intern(boot_id)


def named_in(body: Body | None) -> tuple[str, str] | None:
    """The process that a body names."""
    if not isinstance(body, NativeBody) or b'"instance_id"' not in body.data:
        return None
    event = parse(body.data)
    return instance_of(event.instance_id, event.boot_id)
