"""Re-keying without a broker: what of a record is evidence, what is rejected, and how a partition takes it in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pytest

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.evidence import EvidenceDecoder, NewerFormat, encode, encode_mark
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.codecs.parts import BadPart, Part
from finalizer.core.model import Coordinates
from finalizer.core.sources import Sources, Vouched
from finalizer.core.terms import SECOND
from finalizer.course import Course, RekeyedInput, first_watermark
from finalizer.following import Hole
from finalizer.pipeline import Encoding, Topic
from finalizer.policy.load import load
from finalizer.rekeying import Group, Limits, Rekeying
from finalizer.sim.broker import Record
from tests.codecs.spans import SPAN, TRACE
from tests.core.making import EPOCH, at

POLICY = load("inputs: [{topic: logs, rekey: always}]\noutputs: {rejected: {max_ratio: 0.5, over: 4}}\n")
NATIVE = NativeDecoder()


def record(offset: int, value: bytes | None, *, topic: str = "logs", partition: int = 7) -> Record:
    """A record as a client hands it out."""
    return Record(topic, partition, offset, EPOCH // 1_000_000, None, value)


def native(kind: str, seconds: float = 0, *, trace: str = TRACE) -> bytes:
    """A native record."""
    told = {"type": kind, "trace_id": trace, "span_id": SPAN, "time_unix_nano": at(seconds), "name": "upload"}
    return json.dumps(told).encode()


def lines(value: bytes | None, source: Coordinates) -> Sequence[Part]:
    """A format for the tests: one piece of evidence a line."""
    assert value is not None
    return list(_parts(value, source))


def _parts(value: bytes, source: Coordinates) -> Iterator[Part]:
    if value == b"bug":
        raise KeyError("ours")
    for number, line in enumerate(value.splitlines()):
        try:
            yield NATIVE.decode(line, source)
        except Unusable as error:
            yield BadPart(line, f"lines[{number}]", error)


def source(*, position: int = 0, limits: Limits | None = None) -> Rekeying:
    """A source that was assigned just now, with whatever cannot be decoded put aside in silence."""
    rekeying = Rekeying(
        ("logs", 7),
        POLICY,
        position=position,
        decode=lines,
        limits=limits or Limits(),
        put_aside=_in_silence,
    )
    rekeying.assigned(at(0), log_end=100, asked_at=at(0))
    return rekeying


def decoded(rekeying: Rekeying, *values: bytes, first: int = 0) -> Group:
    """The group of a frame with these values."""
    records = [record(offset, value) for offset, value in enumerate(values, start=first)]
    group = rekeying.begin(records, end=first + len(values), stamped=True, arrived_at=at(1))
    rekeying.decode(group, group.records)
    return group


def test_a_bad_part_is_rejected_by_itself_and_its_neighbours_are_used() -> None:
    """Its bytes, and where in the record it was; what stands beside it in the same record is evidence."""
    other = "b" * 32
    group = decoded(source(), b"\n".join([native("start"), b"garbage", native("end", trace=other)]))
    assert [entry.key for entry in group.entries] == [TRACE.encode(), other.encode()]
    (rejected,) = group.rejected
    headers = dict(rejected.headers)
    assert rejected.value == b"garbage"
    assert headers["dlq.where"] == b"lines[1]"
    assert (headers["__connect.errors.topic"], headers["__connect.errors.offset"]) == (b"logs", b"0")
    assert group.tally == {
        ("evidence_total", "logs", "START"): 1,
        ("evidence_total", "logs", "END"): 1,
        ("rejected_total", "logs", "malformed"): 1,
    }


def test_evidence_says_where_and_when_it_was_heard() -> None:
    """Coordinates and heard time are those of the source, not of the topic it goes through."""
    group = decoded(source(position=5), native("start"), first=5)
    found = EvidenceDecoder({}).decode(group.entries[0].value)
    assert found.source == Coordinates("logs", 7, 5, EPOCH)


def test_evidence_that_its_topic_does_not_take_is_rejected() -> None:
    """Too large is bad data: the source goes on behind it."""
    group = decoded(source(limits=Limits(evidence=100)), native("start"))
    assert not group.entries
    (rejected,) = group.rejected
    assert rejected.value == native("start")
    assert dict(rejected.headers)["dlq.reason"] == Reason.TOO_LARGE.value.encode()


def test_what_our_decoder_cannot_read_by_a_mistake_of_ours_is_put_aside() -> None:
    """A bug costs one record, which is rejected as `internal_error`, and its neighbours nothing."""
    group = decoded(source(), b"bug", native("start"))
    assert len(group.entries) == 1
    assert dict(group.rejected[0].headers)["dlq.reason"] == Reason.INTERNAL_ERROR.value.encode()


def test_what_was_written_is_not_written_again() -> None:
    """A frame that repeats what is decided brings only the rest of it; nothing is decided before it was written."""
    rekeying = source()
    group = decoded(rekeying, native("start"), native("heartbeat"))
    assert rekeying.decided == -1
    rekeying.written(group)
    assert rekeying.decided == 1
    assert len(decoded(rekeying, native("start"), native("heartbeat"), native("end")).entries) == 1


def test_a_missing_frame_is_a_hole() -> None:
    """A frame polled before the seek is passed over; one that leaves records out is never taken."""
    rekeying = source(position=5)
    assert not rekeying.follows(begin=9, end=12)
    assert rekeying.follows(begin=5, end=8)
    assert rekeying.follows(begin=8, end=9)
    with pytest.raises(Hole):
        rekeying.follows(begin=10, end=12)


def test_a_frame_from_before_the_seek_is_no_hole() -> None:
    """The group's offset may be older than what was written: its frames are passed over until what was sought comes."""
    rekeying = source(position=50)
    assert rekeying.follows(begin=20, end=40)
    assert rekeying.follows(begin=50, end=60)


def test_too_much_that_is_unusable_is_told() -> None:
    """Parts are counted, not records: one batch of garbage is as bad as many records."""
    rekeying = source()
    assert rekeying.written(decoded(rekeying, native("start") + b"\n" + native("end"))) is None
    too_many = rekeying.written(decoded(rekeying, b"a\nb\nc\nd", first=1))
    assert too_many is not None
    assert (too_many.refused, too_many.of) == (4, 6)
    assert "spans.rejected" in too_many.told("spans.rejected")


def _in_silence(record: object, error: BaseException) -> None:
    """The worker would say so."""


class Log:
    """One partition of the evidence, as its reader gets it."""

    def __init__(self, *places: tuple[str, int]) -> None:
        self.sources = Sources(places)
        self.course = Course(
            POLICY,
            first_watermark(POLICY, {"evidence": -1}, delivery="exactly_once", partitions=1),
            decoders={},
            encoding=Encoding(encode_json, JSON),
            most_bytes=2**20,
            put_aside=_in_silence,
            rekeyed=RekeyedInput("evidence", self.sources),
        )
        self.course.assigned(at(0), ends={"evidence": 0}, asked_at=at(0))
        self.position = 0

    def read(self, *values: bytes, now: float) -> Sequence[Topic]:
        """A frame of these values; what it brings about goes to these topics."""
        records = [record(self.position + n, value, topic="evidence", partition=0) for n, value in enumerate(values)]
        self.position += len(records)
        decided = self.course.hear("evidence", records, end=self.position, stamped=True, now=at(now))
        return [output.topic for output in decided.decision.outputs]

    def tick(self, now: float) -> Sequence[Topic]:
        """What the time brings about."""
        decided = self.course.tick(at(now))
        return [] if decided is None else [output.topic for output in decided.decision.outputs]


def told(kind: str, seconds: float, *, partition: int = 7) -> bytes:
    """Evidence that was heard when it says it was."""
    return encode(NATIVE.decode(native(kind, seconds), Coordinates("logs", partition, 1, at(seconds))), stamped=True)


def mark(seconds: float, *, partition: int = 7, deaf: tuple[tuple[int, int], ...] = ()) -> bytes:
    """A mark of one source."""
    return encode_mark([Vouched("logs", partition, at(seconds), deaf=deaf)])


def test_evidence_that_comes_before_any_mark_counts_from_when_it_was_heard() -> None:
    """The very first evidence begins the clock: what was taken off before it concerns nobody, later time does."""
    log = Log(("logs", 7))
    log.read(told("start", 0), told("heartbeat", 1), now=2)
    log.read(mark(100, deaf=((0, at(2)), (at(2), at(62)))), now=100)
    reading = log.course.reading
    assert reading is not None
    assert (reading.clock, reading.patience) == (at(100), at(100) - 62 * SECOND)
    assert not log.tick(100)
    log.read(mark(160), now=160)
    assert log.tick(160) == [Topic.FINALIZED, Topic.DLQ]


def test_what_stands_behind_a_mark_is_not_judged_by_it() -> None:
    """A beat behind a mark of its own time, in one frame with it, is heard then and there."""
    log = Log(("logs", 7))
    log.read(mark(0), told("start", 0), told("heartbeat", 1), mark(90), told("heartbeat", 91), mark(92), now=92)
    assert not log.tick(92)
    log.read(mark(185), now=185)
    assert log.tick(185) == [Topic.FINALIZED, Topic.DLQ]


def test_what_finishes_while_a_source_lags_is_remembered() -> None:
    """The clock waits for the source that lags. What closes meanwhile is remembered from when it was heard: the other
    end of the same span is yet to come from there."""
    log = Log(("logs", 7), ("logs", 8))
    log.read(mark(0), mark(0, partition=8), now=0)
    ended = (told("start", 3600), told("end", 3601), mark(3602))
    assert log.read(mark(3600), *ended, now=3602) == [Topic.FINALIZED]
    log.read(mark(3700), mark(3650, partition=8), now=3700)
    log.tick(3700)
    assert log.read(told("start", 3600, partition=8), told("end", 3601, partition=8), now=3701) == []


def test_what_finishes_before_the_mark_of_its_time_is_remembered_from_when_it_was_heard() -> None:
    """After an outage the marks that are known are as old as the outage is long: by their time an end would be
    forgotten with the next mark, and a beat of the same span that comes after it would open the span again."""
    log = Log(("logs", 7), ("logs", 8))
    log.read(mark(0), mark(0, partition=8), now=0)
    assert log.read(told("start", 3600), told("end", 3601), now=3602) == [Topic.FINALIZED]
    log.read(mark(3700), mark(3650, partition=8), now=3700)
    log.tick(3700)
    log.read(told("heartbeat", 3600.5, partition=8), now=3701)
    assert log.course.spans.states == {}


def test_a_frame_of_marks_alone_moves_the_position_and_nothing_else() -> None:
    """It is in the next watermark, and no reason for one."""
    log = Log(("logs", 7))
    assert log.read(mark(1), mark(2), now=2) == []
    assert log.course.watermark().offsets == {"evidence": 1}


def test_evidence_beyond_memory_is_rejected_with_the_place_of_its_source() -> None:
    """What is left of it, and where the record itself still is."""
    log = Log(("logs", 7))
    log.course.spans.memory.horizon = at(100)
    records = [record(0, told("heartbeat", 1), topic="evidence", partition=0)]
    (output,) = log.course.hear("evidence", records, end=1, stamped=True, now=at(2)).decision.outputs
    headers = dict(output.headers)
    assert output.value == native("heartbeat", 1)
    assert headers["dlq.reason"] == Reason.BEYOND_MEMORY.value.encode()
    assert (headers["__connect.errors.topic"], headers["__connect.errors.partition"]) == (b"logs", b"7")


def test_garbage_in_the_evidence_is_rejected() -> None:
    """Whoever else writes there harms himself: it is neither evidence nor a mark."""
    log = Log(("logs", 7))
    assert log.read(b"garbage", mark(1)[:-1], told("start", 0)[:-1], now=1) == [Topic.REJECTED] * 2
    assert log.sources.unmarked


def test_evidence_of_a_newer_release_stops_the_worker() -> None:
    """After a roll-back, what the newer release wrote is neither lost nor guessed at."""
    with pytest.raises(NewerFormat):
        Log(("logs", 7)).read(bytes((2, 0)) + told("start", 0)[2:], now=1)
