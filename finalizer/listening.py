"""Listening to processes: raw records of the topic of instances in, the view that all partitions share out.

Who runs it brings records, fetch answers and the time: `shell` on Kafka, the tests in virtual time. It has a clock as a
partition has one, over all partitions of the topic. A new one is made whenever reading begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from finalizer.codecs.errors import Unusable
from finalizer.codecs.instance import decode
from finalizer.core.clock import PartitionClock, Reading
from finalizer.core.instances import Beat, Instances
from finalizer.pipeline import Record


class Listening:
    """From the moment at which reading began in all `partitions` of the topic."""

    def __init__(self, view: Instances, partitions: Iterable[int], *, settle: int, now: int) -> None:
        self._view = view
        self._clock = PartitionClock(map(str, partitions), settle=settle, clock=view.clock)
        self._clock.assigned(now)
        view.cut_off()

    def hear(
        self, partition: int, records: Sequence[Record], *, end: int, stamped: bool, now: int
    ) -> list[tuple[Record, Unusable]]:
        """Take in records of one partition, up to position `end`; returns those that cannot be used, and why.

        `stamped`: their timestamps are the broker's (`LogAppendTime`). What a producer has stamped is heard no earlier
        than the partition was heard before it, and no later than now.
        """
        topic, bad = str(partition), list[tuple[Record, Unusable]]()
        newest = 0 if stamped else self._clock.topic_time(topic)
        for record in records:
            heard_at = min(record.timestamp * 1_000_000, now)
            newest = max(newest, heard_at)
            try:
                self._take(record, heard_at if stamped else newest)
            except Unusable as error:
                bad.append((record, error))
        self._clock.moved(topic, position=end)
        self._clock.decided(topic, next_offset=end, timestamp=newest)
        return bad

    def answered(self, partition: int, *, arrived_at: int, position: int, highwater: int) -> None:
        """A new fetch answer of a partition arrived; `position` is the next offset to be handed out."""
        self._clock.answered(str(partition), arrived_at=arrived_at, position=position, highwater=highwater)

    def tick(self, now: int) -> Reading:
        """What is known at this moment, for the view, too."""
        reading = self._clock.advance(now)
        self._view.follow(reading)
        return reading

    def _take(self, record: Record, heard_at: int) -> None:
        beat = beat_of(record)
        if beat is not None:
            self._view.hear(beat, heard_at)
        elif record.key is not None:
            self._view.retract(record.key.decode(errors="replace"))


def beat_of(record: Record) -> Beat | None:
    """The heartbeat in a record; None for one that takes back what was said under its key. Raises `Unusable`."""
    return None if record.value is None and record.key is not None else decode(record.value)
