"""The control topic: what operators tell all workers of one app id. Who may write to it may have spans closed.

It has one partition, and every worker reads all of it with a plain consumer outside the group. A record says for how
long it holds, counted from the broker's time of it, so a worker that starts later knows what still does.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from finalizer.core.safety import Releases
from finalizer.shell import logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.settings import Settings
from finalizer.shell.tasks import tried_again

log = logs.get("control")

LONGEST_SECONDS = 24 * 3600
"""A safety that is off for longer than a day is a setting, and belongs into the policy."""
_POLL_MS = 60_000


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One record: what is released, for how long, by whom and why."""

    v: Literal[1] = 1
    release: Literal["outage", "breaker", "all"]
    group: str | None = None
    """Of an outage: the group as the log names it; None: any."""
    for_seconds: float
    by: str = ""
    reason: str = ""


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Release).decode


def read(value: bytes | None) -> Release:
    """What a record says. Raises `ValueError` where that is nothing we know."""
    try:
        release = _decode(value or b"")
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if not 0 < release.for_seconds <= LONGEST_SECONDS:
        raise ValueError(f"for_seconds is {release.for_seconds:g}, not up to {LONGEST_SECONDS}")
    return release


class Control:
    """Follows the control topic, and fills the worker's releases."""

    def __init__(self, settings: Settings, releases: Releases, broker_time: BrokerTime) -> None:
        self._settings = settings
        self._releases = releases
        self._time = broker_time
        self._place = TopicPartition(settings.control, 0)
        self._next = 0

    async def follow(self) -> None:
        """Read until cancelled. A worker that cannot read it goes on: what is paused then stays paused."""
        await tried_again(self._read, self._tell_unread)

    def take(self, record: Any) -> None:
        """Take in one record; one that is not ours to read is passed by, and told."""
        self._next = record.offset + 1
        try:
            release = read(record.value)
        except ValueError as error:
            log.warning(
                "ignored", "a control record that says nothing we know", offset=record.offset, reason=str(error)
            )
            return
        until = record.timestamp * 1_000_000 + int(release.for_seconds * 1e9)
        if release.release != "outage":
            self._releases.breaker(until)
        if release.release != "breaker":
            self._releases.outage(release.group, until)
        left = (until - self._time.now()) / 1e9
        if left <= 0:  # of old, by this machine's clock; what holds is for the partitions' clocks to say
            return
        log.warning(
            "released",
            "an operator has released what keeps spans from being closed",
            what=release.release,
            group=release.group,
            by=release.by,
            reason=release.reason,
            at_unix_ms=record.timestamp,
            seconds_left=round(left),
        )

    def _tell_unread(self, error: Exception) -> None:
        log.warning(
            "unread",
            "the control topic cannot be read, so releases are not heard; trying again",
            topic=self._place.topic,
            reason=repr(error),
        )

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._settings.client_arguments(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=1000,
        )
        try:
            await consumer.start()
            consumer.assign([self._place])
            consumer.seek(self._place, self._next)
            while True:
                for records in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                    for record in records:
                        self.take(record)
        finally:
            await consumer.stop()
