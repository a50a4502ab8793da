"""A course to run by hand: frames, fetch answers and the time, in seconds after `EPOCH`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from finalizer.changelog import Change, Changelog, read_back
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.codecs.state import StateCodec
from finalizer.codecs.stored import Watermark
from finalizer.core.model import Coordinates
from finalizer.core.terms import SECOND
from finalizer.course import Course, Decided, first_watermark
from finalizer.decision import Output, united
from finalizer.pipeline import Decode, Encoding
from finalizer.policy.load import Policy, load
from finalizer.sim.broker import Record
from tests.core.making import EPOCH, at

EVENTS, ENDS = "spans.events", "spans.ends"
POLICY = "safety: {settle: 4s}\nterms: {orphan_grace: 5s, background_grace: 10s}\n"


class Written(NamedTuple):
    """What became durable together."""

    outputs: list[Output]
    changes: list[Change]


class Running:
    """A course over some topics, from a changelog on. What raises in it is kept in `undecided`."""

    def __init__(self, *topics: str, now: float = 0, changelog: Sequence[tuple[bytes, bytes | None]] = ()) -> None:
        self.topics = topics or (EVENTS,)
        self.policy = policy(*self.topics)
        self.codec = StateCodec(self.topics, 0)
        self.restored = read_back(self.codec, changelog)
        watermark = self.restored.watermark or first_watermark(
            self.policy, dict.fromkeys(self.topics, -1), delivery="exactly_once", partitions=1
        )
        self.undecided: list[tuple[Coordinates, BaseException]] = []
        self.decoders: dict[str, Decode] = {topic: NativeDecoder().decode for topic in self.topics}
        self.course = Course(
            self.policy,
            watermark,
            decoders=self.decoders,
            encoding=Encoding(encode_json, JSON),
            most_bytes=self.policy.remember.max_bytes,
            put_aside=lambda record, error: self.undecided.append((record, error)),
        )
        self.course.fill(self.restored)
        self.changelog = Changelog(self.codec, watermark, self.restored.blocks, self.restored.sending)
        self.ends = {topic: offset + 1 for topic, offset in watermark.offsets.items()}
        self.course.assigned(at(now), ends=self.ends, asked_at=at(now))

    def hear(
        self,
        now: float,
        *events: bytes,
        topic: str = EVENTS,
        stamps: Sequence[float] = (),
        stamped: bool = True,
        arrived: float | None = None,
    ) -> Decided:
        """Poll (or have polled: `arrived`) and decide one frame. Its records have these stamps (else `now`), the
        broker's or their producers'."""
        begin = self.ends[topic]
        times = stamps or [now] * len(events)
        records = [
            Record(topic, 0, begin + place, at(seconds) // 1_000_000, None, value)
            for place, (seconds, value) in enumerate(zip(times, events, strict=True))
        ]
        end = self.ends[topic] = begin + len(records)
        arrived_at = at(now if arrived is None else arrived)
        self.course.clock.answered(topic, arrived_at=arrived_at, position=end, highwater=end)
        return self.course.hear(topic, records, end=end, stamped=stamped, now=at(now), arrived_at=arrived_at)

    def answered(self, now: float, *topics: str) -> list[Decided]:
        """Fetch answers without records, and what the time brings about."""
        for topic in topics or self.topics:
            self.course.clock.answered(topic, arrived_at=at(now), position=self.ends[topic], highwater=self.ends[topic])
        told = []
        while (decided := self.course.tick(at(now))) is not None:
            told.append(decided)
        return told

    def goes_on(self, since: float, until: float) -> list[Decided]:
        """Answers every half a second, and what the time brings about."""
        steps = round((until - since) * 2)
        return [decided for step in range(1, steps + 1) for decided in self.answered(since + step / 2)]

    def writes(self, *group: Decided) -> list[Written]:
        """How a group becomes durable."""
        for decided in group:
            if decided.watermark is not None:
                self.changelog.watermark = decided.watermark
        whole = united(one.decision for one in group)
        write = self.changelog.write(whole, of_timer=group[0].watermark is None, sends=bool(whole.outputs))
        if not self.changelog.owes:
            return [Written(whole.outputs, write.changes)]
        return [Written([], write.changes), Written(whole.outputs, self.changelog.settle().changes)]


def policy(*topics: str) -> Policy:
    """Short terms over these inputs."""
    return load(f"{POLICY}inputs: {json.dumps([{'topic': topic} for topic in topics])}")


def event(kind: str, seconds: float, *, span: int = 1, **fields: Any) -> bytes:
    """A native event."""
    told: dict[str, Any] = {
        "type": kind,
        "trace_id": f"{span:032x}",
        "span_id": f"{span:016x}",
        "time_unix_nano": at(seconds),
        **({"name": "upload"} if kind == "start" else {}),
        **fields,
    }
    return json.dumps(told).encode()


def key(span: int = 1) -> bytes:
    """The key of a span."""
    return span.to_bytes(16, "big") + span.to_bytes(8, "big")


def seconds(moment: int) -> float:
    """Seconds after `EPOCH` of a moment on the clock."""
    return (moment - EPOCH) / SECOND


def marks(watermark: Watermark | None) -> dict[str, int]:
    """Its offsets."""
    assert watermark is not None
    return watermark.offsets
