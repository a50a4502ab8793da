"""The whole road over any bytes: a story of records and pauses, told to a course with all its inputs.

The bytes are parted by `BREAK`; the first byte of a part says what it is. A part that says nothing is passed over.
"""

from __future__ import annotations

import msgspec

from finalizer.changelog import Changelog, Write, read_back
from finalizer.codecs.evidence import encode_mark
from finalizer.codecs.foreign import decoder_of
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.codecs.state import StateCodec
from finalizer.core.model import Coordinates
from finalizer.core.sources import Place, Sources
from finalizer.core.terms import SECOND
from finalizer.course import Course, Decided, RekeyedInput, first_watermark
from finalizer.pipeline import Encoding, Output, Topic
from finalizer.policy.load import load
from finalizer.rekeying import Limits, Rekeying
from finalizer.sim.broker import Record
from finalizer.sim.shadow import memory_apart

BREAK = b"\n~"
DIRECT, EVIDENCE = "events", "evidence"
FOREIGN = {ord("p"): "partial_log", ord("s"): "otlp_spans", ord("z"): "zipkin"}
NATIVE, PAUSE, RESTART = map(ord, "nt!")
"""A native event, a pause of so many seconds, a crash."""
EPOCH = 1_747_648_800 * SECOND
MOST_STEPS = 40
LONGEST = 16
"""Seconds of a pause."""
POLICY = load(
    """
    inputs:
      - {topic: events}
      - {topic: partial_log, format: partial_log}
      - {topic: otlp_spans, format: otlp_spans}
      - {topic: zipkin, format: zipkin}
    terms:
      {heartbeat: {interval: 1s, max: 3s, allowance: 1s}, start_grace: 3s, orphan_grace: 2s, silence: 6s,
       max_duration: 12s, background_grace: 4s}
    rules: [{name: uploads, match: {span_type: upload}, terms: {progress_timeout: 5s, late_end: dead_letter}}]
    remember: {finished: 24h, max_bytes: 64MiB}
    safety: {settle: 1s}
    limits: {open_spans: 10, bytes: 64MiB}
    """
)
TOPICS = (DIRECT, EVIDENCE)
EVERYWHERE = (DIRECT, *FOREIGN.values())


def travelled(data: bytes) -> bool:
    """True if anything was decided. What the road promises of any story is asserted on the way."""
    journey = Journey()
    for part in data.split(BREAK)[:MOST_STEPS]:
        if not part:
            continue
        what, rest = part[0], part[1:]
        if what == NATIVE:
            journey.hear(rest)
        elif what in FOREIGN:
            journey.source(FOREIGN[what], rest)
        elif what == PAUSE:
            journey.passes(rest[0] % LONGEST if rest else 1)
        elif what == RESTART:
            journey.restart()
    journey.ends()
    journey.restart()
    return bool(journey.finals)


class Journey:
    """One partition of everything, and a changelog behind it."""

    def __init__(self) -> None:
        self.finals: set[bytes] = set()
        """Ids of those that were written."""
        self._now = EPOCH
        self.rejected = 0
        self.letters = 0
        """Of spans without a start."""
        self._changes: dict[bytes, bytes] = {}
        """The changelog, compacted."""
        self._ends = dict.fromkeys((*TOPICS, *FOREIGN.values()), 0)
        self._begin()

    def _begin(self) -> None:
        codec = StateCodec((*TOPICS, *EVERYWHERE), 0)
        restored = read_back(codec, self._changes.items())
        watermark = restored.watermark or first_watermark(
            POLICY, dict.fromkeys(TOPICS, -1), delivery="exactly_once", partitions=1, sources=list(FOREIGN.values())
        )
        self._restored = restored
        self._sources = {topic: self._rekeying(topic) for topic in FOREIGN.values()}
        self.course = Course(
            POLICY,
            watermark,
            decoders={DIRECT: NativeDecoder().decode},
            encoding=Encoding(encode_json, JSON),
            most_bytes=POLICY.remember.max_bytes,
            put_aside=_bug,
            rekeyed=RekeyedInput(EVIDENCE, Sources([one.place for one in self._sources.values()])),
        )
        self.course.fill(restored)
        self._changelog = Changelog(codec, watermark, restored.blocks, restored.sending)
        self.course.assigned(self._now, ends=self._ends, asked_at=self._now)

    def _rekeying(self, topic: str) -> Rekeying:
        place: Place = (topic, 0)
        one = Rekeying(
            place, POLICY, position=self._ends[topic], decode=decoder_of(topic), limits=Limits(), put_aside=_bug
        )
        one.assigned(self._now, log_end=self._ends[topic], asked_at=self._now)
        return one

    def hear(self, value: bytes) -> None:
        """A native event."""
        self._take(DIRECT, value)

    def source(self, topic: str, value: bytes) -> None:
        """A record of a foreign format, by way of the evidence topic."""
        self._passes_a_moment()
        record = self._record(topic, value)
        one = self._sources[topic]
        one.clock.answered(topic, arrived_at=self._now, position=record.offset + 1, highwater=record.offset + 1)
        group = one.begin([record], end=record.offset + 1, stamped=True, arrived_at=self._now)
        one.decode(group, group.records)
        one.written(group)
        assert len(group.rejected) + len(group.entries) == group.seen
        self.rejected += len(group.rejected)
        for entry in group.entries:
            self._take(EVIDENCE, entry.value)
        self._mark(one)

    def passes(self, seconds: int) -> None:
        """Time, in which every input answers each second that there is nothing new."""
        for _ in range(seconds):
            self._now += SECOND
            self._answers()

    def ends(self) -> None:
        """Time in which nobody is heard, so that every span is over, and time in which those without a start are."""
        self._now += POLICY.default.max_duration
        self.passes(9)
        assert not self.course.spans.open, "something is open for ever"

    def restart(self) -> None:
        """Leave all behind but the changelog; what it holds must be what was in memory."""
        before = dict(self.course.spans.states)
        self._begin()
        assert not memory_apart(before, self._restored)
        assert not self._restored.unsent

    def _answers(self) -> None:
        self._passes_a_moment()
        for topic, one in self._sources.items():
            one.clock.answered(topic, arrived_at=self._now, position=self._ends[topic], highwater=self._ends[topic])
        self._mark(*self._sources.values())
        self.course.clock.answered(
            DIRECT, arrived_at=self._now, position=self._ends[DIRECT], highwater=self._ends[DIRECT]
        )
        self._tick()

    def _mark(self, *sources: Rekeying) -> None:
        marks = [one.vouch(self._now) for one in sources]
        self._take(EVIDENCE, encode_mark(marks))
        for one, vouched in zip(sources, marks, strict=True):
            one.told(vouched)

    def _take(self, topic: str, value: bytes) -> None:
        self._passes_a_moment()
        record = self._record(topic, value)
        end = record.offset + 1
        if topic == DIRECT:
            self.course.clock.answered(topic, arrived_at=self._now, position=end, highwater=end)
        self._commit(self.course.hear(topic, [record], end=end, stamped=True, now=self._now))
        self._tick()

    def _record(self, topic: str, value: bytes) -> Record:
        offset = self._ends[topic]
        self._ends[topic] = offset + 1
        return Record(topic, 0, offset, self._now // 1_000_000, None, value)

    def _passes_a_moment(self) -> None:
        self._now += SECOND // 100

    def _tick(self) -> None:
        while (decided := self.course.tick(self._now)) is not None:
            self._commit(decided)
        assert self.course.spans.open <= (POLICY.limits.open_spans or 0), "more is open than may be"

    def _commit(self, decided: Decided) -> None:
        if decided.watermark is not None:
            self._changelog.watermark = decided.watermark
        outputs, of_timer = decided.decision.outputs, decided.watermark is None
        write = self._changelog.write(decided.decision, of_timer=of_timer, sends=bool(outputs))
        self._change(write)
        if self._changelog.owes:
            self._change(self._changelog.settle())
        for output in outputs:
            self._written(output)

    def _change(self, write: Write) -> None:
        for key, value in write.changes:
            self._changes.pop(key, None)
            if value is not None:
                self._changes[key] = value

    def _written(self, output: Output) -> None:
        if output.topic is Topic.FINALIZED:
            assert output.value is not None
            final = dict(output.headers)["span-finalizer-id"]
            assert final not in self.finals, "a final was written twice"
            self.finals.add(final)
            _check(output.value)
        elif output.topic is Topic.DLQ:
            assert output.value is not None
            letter = msgspec.json.decode(output.value, type=_Letter)
            assert letter.incomplete or letter.kind in {"resolved", "late_end"}
            self.letters += letter.kind == "missing_start"
        else:
            self.rejected += 1


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str
    span_id: str
    start_time_unix_nano: str
    end_time_unix_nano: str


class _Spans(msgspec.Struct):
    spans: list[_Span]


class _Scopes(msgspec.Struct, rename="camel"):
    scope_spans: list[_Spans]


class _Request(msgspec.Struct, rename="camel"):
    resource_spans: list[_Scopes]


class _Letter(msgspec.Struct):
    kind: str
    incomplete: bool


def _check(value: bytes) -> None:
    """A collector takes it: one span, ids that name something, no end before its start."""
    [outer] = msgspec.json.decode(value, type=_Request).resource_spans
    [inner] = outer.scope_spans
    [span] = inner.spans
    assert (len(span.trace_id), len(span.span_id)) == (32, 16)
    assert int(span.trace_id, 16), "a trace id of zeros"
    assert int(span.span_id, 16), "a span id of zeros"
    assert 0 < int(span.start_time_unix_nano) <= int(span.end_time_unix_nano) < 2**64


def _bug(source: Coordinates, error: BaseException) -> None:
    raise AssertionError(f"{source} cannot be decided") from error
