"""Logs of record batches as a broker may hold them, made with aiokafka's own builders."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack, pack_into, unpack_from
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from google_crc32c import value as crc32c
from hypothesis import strategies as st

PLACE = TopicPartition("events", 0)
STAMP = 1_747_648_800_000
APPENDED, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20
_HEADER = 61

Headers = Sequence[tuple[str, bytes | None]]


class Batch(NamedTuple):
    """A batch, from `begin` up to the offset `following` it."""

    begin: int
    following: int
    data: bytes


class Log(NamedTuple):
    """Batches, and the transactions (producer, first offset) of which a broker says that they were aborted."""

    batches: Sequence[Batch]
    aborted: Sequence[tuple[int, int]] = ()

    @property
    def end(self) -> int:
        return self.batches[-1].following


class Entry(NamedTuple):
    """What stands in a record; `place` counts from the beginning of its batch."""

    place: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def v2(
    begin: int,
    values: Sequence[bytes | Entry],
    *,
    compression: int = 0,
    attributes: int = 0,
    producer: int = -1,
    removed_behind: int = 0,
) -> Batch:
    """A batch of today's format. Of those that compaction took, `removed_behind` stood behind what is left."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, producer, 0 if producer >= 0 else -1, 0, 1 << 20)
    entries = [one if isinstance(one, Entry) else Entry(place, None, one) for place, one in enumerate(values)]
    for one in entries or [Entry(0, None, b"")]:
        headers = [(name, value) for name, value in one.headers]
        builder.append(one.place, timestamp=STAMP + one.place, key=one.key, value=one.value, headers=headers)
    data = bytearray(builder.build())
    last = (entries[-1].place if entries else 0) + removed_behind
    if not entries:
        del data[_HEADER:]
        pack_into(">i", data, 57, 0)
    pack_into(">qi", data, 0, begin, len(data) - 12)
    pack_into(">hi", data, 21, unpack_from(">h", data, 21)[0] | attributes, last)
    pack_into(">I", data, 17, crc32c(bytes(data[21:])))
    return Batch(begin, begin + last + 1, bytes(data))


def marker(begin: int, producer: int, *, commits: bool) -> Batch:
    """The control batch that ends a transaction."""
    entry = Entry(0, pack(">hh", 0, commits), pack(">hi", 0, 0))
    return v2(begin, [entry], attributes=TRANSACTIONAL | CONTROL, producer=producer)


def old(begin: int, values: Sequence[bytes], *, magic: int, compression: int) -> Batch:
    """A message set of the formats before: one message that holds all, if it is compressed."""
    builder = LegacyRecordBatchBuilder(magic, compression, 1 << 20)
    for place, value in enumerate(values):
        relative = place if compression and magic else begin + place
        builder.append(relative, timestamp=STAMP + place, key=None, value=value)
    data, following = bytearray(builder.build()), begin + len(values)
    if compression:
        pack_into(">q", data, 0, following - 1)
    return Batch(begin, following, bytes(data))


def logs() -> st.SearchStrategy[Log]:
    """Logs of one format: of today's, with all that is in it, or of one of the two before."""
    return _todays() | _olds()


_texts = st.none() | st.binary(max_size=4)
_headers = st.lists(st.tuples(st.text(max_size=2), _texts), max_size=2)


@st.composite
def _todays(draw: st.DrawFn) -> Log:
    batches, following = list[Batch](), draw(st.integers(0, 3))
    for _ in range(draw(st.integers(1, 6))):
        producer = draw(st.integers(-1, 2))
        following += draw(st.integers(0, 2))
        if producer >= 0 and draw(st.booleans()):
            batches.append(marker(following, producer, commits=draw(st.booleans())))
        else:
            places = sorted(draw(st.sets(st.integers(0, 9), max_size=6)))
            entries = [Entry(place, draw(_texts), draw(_texts), draw(_headers)) for place in places]
            attributes = draw(st.sampled_from([0, APPENDED]))
            if producer >= 0:
                attributes |= draw(st.sampled_from([0, TRANSACTIONAL]))
            batches.append(
                v2(
                    following,
                    entries,
                    compression=draw(st.integers(0, 4)) if entries else 0,
                    attributes=attributes,
                    producer=producer,
                    removed_behind=draw(st.integers(0, 2)),
                )
            )
        following = batches[-1].following
    return Log(batches, draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, following)), max_size=4)))


@st.composite
def _olds(draw: st.DrawFn) -> Log:
    magic, batches, following = draw(st.integers(0, 1)), list[Batch](), draw(st.integers(0, 3))
    for _ in range(draw(st.integers(1, 5))):
        compression = draw(st.integers(0, 2))  # lz4 only by the later one, zstd by none
        values = draw(st.lists(st.binary(max_size=3), min_size=1, max_size=5 if compression else 1))
        batches.append(old(following, values, magic=magic, compression=compression))
        following = batches[-1].following + draw(st.integers(0, 2))
    return Log(batches)
