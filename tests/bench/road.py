"""The pure road in one process, without a broker: frames through decode, law and encode into changelog records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from time import process_time
from typing import Final, NamedTuple

from finalizer.bench.events import Row
from finalizer.changelog import Changelog
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.codecs.state import StateCodec
from finalizer.core.terms import SECOND
from finalizer.course import Course, first_watermark
from finalizer.pipeline import Encoding, Header
from finalizer.policy.load import load
from finalizer.shell.placement import partition_of

TOPIC: Final = "spans.events"
FRAME: Final = 2000
NOW_MS: Final = 1_747_648_800_000
LATER: Final = 60 * SECOND


class Record(NamedTuple):
    """A record as a consumer hands it out."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header] = ()


def frames(rows: Iterable[Row], partition: int = 0, *, first: int = 0) -> Iterator[list[Record]]:
    """Rows in polled batches, their offsets from `first` on."""
    rest = iter(rows)
    while batch := list(islice(rest, FRAME)):
        yield [
            Record(TOPIC, partition, first + place, row.stamp or NOW_MS, row.key, row.value)
            for place, row in enumerate(batch)
        ]
        first += len(batch)


class Lane:
    """One partition of a worker: what `shell` does for a frame, but for Kafka."""

    def __init__(self, number: int = 0, partitions: int = 1) -> None:
        policy = load("safety: {breaker: {max_share: 1.0}}\n")
        watermark = first_watermark(policy, {TOPIC: -1}, delivery="exactly_once", partitions=partitions)
        self._number = number
        self.course = Course(
            policy,
            watermark,
            decoders={TOPIC: NativeDecoder().decode},
            encoding=Encoding(encode_json, JSON),
            most_bytes=policy.remember.max_bytes,
            put_aside=_never,
        )
        self._changelog = Changelog(StateCodec((TOPIC,), 0), watermark)
        self.course.assigned(NOW_MS * 1_000_000, ends={TOPIC: 2**62}, asked_at=NOW_MS * 1_000_000)

    def hear(self, frame: Sequence[Record]) -> int:
        """Decide a frame and make what is written of it; returns the bytes of its changelog records."""
        now = frame[-1].timestamp * 1_000_000 + LATER
        decided = self.course.hear(TOPIC, frame, end=frame[-1].offset + 1, stamped=True, now=now)
        assert decided.watermark is not None
        self._changelog.watermark = decided.watermark
        written = 0
        for outputs, changes in self._changelog.writes([decided.decision], of_timer=False):
            written += sum(len(key) + len(value or b"") for key, value in changes)
            for output in outputs:
                partition_of(output.key, 4)
        return written


def seconds(lane: Lane, frames: Iterable[Sequence[Record]]) -> float:
    """Processor time that a lane takes for these frames."""
    took = 0.0
    for frame in frames:
        began = process_time()
        lane.hear(frame)
        took += process_time() - began
    return took


def _never(_: object, error: BaseException) -> None:
    raise error
