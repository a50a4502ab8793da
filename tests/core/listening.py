"""One partition as its clock hears it, for the stories of clock and patience. Seconds after `EPOCH`."""

from __future__ import annotations

from finalizer.core.clock import PartitionClock, Reading
from finalizer.core.sources import Sources
from finalizer.core.terms import SECOND
from tests.core.making import at

SETTLE = 10
EVERY = 0.25
"""Seconds between two fetch answers of a quiet partition."""


class Partition:
    """One partition of some topics on a broker that answers every `EVERY` seconds, and the clock that we keep of it."""

    def __init__(
        self, *topics: str, now: float = 0, clock: int = 0, taken_off: int = 0, sources: Sources | None = None
    ) -> None:
        self.now = now
        self.clock = PartitionClock(topics, settle=SETTLE * SECOND, clock=clock, taken_off=taken_off, sources=sources)
        self.ends = dict.fromkeys(topics, 0)
        """Log end, and high water mark."""
        self.positions = dict.fromkeys(topics, 0)
        self.clock.assigned(at(now))

    def append(self, topic: str, records: int = 1) -> None:
        """Records that nobody has read yet."""
        self.ends[topic] += records

    def answer(self, topic: str, *, highwater: int | None = None) -> None:
        """A fetch answer arrives; nothing is handed out yet."""
        end = self.ends[topic] if highwater is None else highwater
        self.clock.answered(topic, arrived_at=at(self.now), position=self.positions[topic], highwater=end)

    def hand_out(self, topic: str, records: int = 1) -> None:
        """Records are handed out, and wait to be decided."""
        self.positions[topic] += records
        self.clock.moved(topic, position=self.positions[topic])

    def decide(self, topic: str, seconds: float) -> None:
        """All that was handed out is decided; its newest record is of that time."""
        self.clock.decided(topic, next_offset=self.positions[topic], timestamp=at(seconds))

    def record(self, topic: str, seconds: float) -> None:
        """One record of that time, from the log to the decision."""
        self.append(topic)
        self.hand_out(topic)
        self.decide(topic, seconds)

    def read(self) -> Reading:
        """The reading of now."""
        return self.clock.advance(at(self.now))

    def run(self, seconds: float, *topics: str) -> Reading:
        """That many seconds of answers on these topics (all, if none is named), read after each."""
        reading = self.read()
        for _ in range(round(seconds / EVERY)):
            self.now += EVERY
            for topic in topics or self.ends:
                self.answer(topic)
            reading = self.read()
        return reading

    def silence(self, seconds: float, *, looking: bool = True) -> Reading:
        """That many seconds without an answer, in which somebody looks at the clock, or does not (a frozen process)."""
        if looking:
            for _ in range(round(seconds / EVERY)):
                self.now += EVERY
                self.read()
        else:
            self.now += seconds
        return self.read()


def settled(*topics: str) -> Partition:
    """A partition that has been heard for long enough to act on."""
    partition = Partition(*(topics or ("a",)))
    reading = partition.run(SETTLE + 1)
    assert reading.may_close
    return partition


def lag(partition: Partition, reading: Reading) -> float:
    """Seconds between the wall and the clock."""
    return (at(partition.now) - reading.clock) / SECOND


def taken_off(partition: Partition) -> float:
    """Seconds by which patience lags the clock."""
    return partition.clock.taken_off / SECOND
