"""The pure road in one process, without a broker: frames through decode, law and encode into changelog records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from time import process_time
from typing import Final

from google_crc32c import value as crc32c

from finalizer.bench.events import Row
from finalizer.changelog import Changelog
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.codecs.state import StateCodec
from finalizer.core.terms import SECOND
from finalizer.course import Course, first_watermark
from finalizer.decision import Topic
from finalizer.pipeline import Encoding
from finalizer.policy.load import load
from finalizer.shell.outbox import Destination, Outbox
from finalizer.shell.partition import SLICE_RECORDS
from finalizer.shell.writer import BATCH_BYTES
from finalizer.sim.broker import Record

TOPIC: Final = "spans.events"
FRAME: Final = SLICE_RECORDS
NOW_MS: Final = 1_747_648_800_000
OUTPUTS: Final = {topic: Destination(topic.name.lower(), 4) for topic in Topic}
LATER: Final = 60 * SECOND


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
        outbox = Outbox(transactional=True)
        outbox.carry(decided.decision.outputs, OUTPUTS)
        changes = self._changelog.write(decided.decision, of_timer=False, sends=True).changes
        written = sum(len(key) + len(value or b"") for key, value in changes)
        outbox.log("changelog", self._number, changes, most=BATCH_BYTES)
        for _, _, batch in outbox.batches:
            batch.build(crc32c, producer_id=1, epoch=0, sequence=0)
        return written

    def tick(self, now: int) -> None:
        """What a worker does between frames. The log goes on for ever here, so nothing is ever due."""
        decided = self.course.tick(now)
        assert decided is None or not decided.decision.outputs


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
