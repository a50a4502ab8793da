"""Our record batches are Kafka's, byte for byte what aiokafka's own builder makes of the same records."""

from __future__ import annotations

import pytest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from finalizer.codecs.record_batch import RecordBatch
from finalizer.codecs.record_headers import rendered
from finalizer.shell.compression import PACKINGS
from finalizer.shell.settings import Compression

NOW = 1_747_648_800_000
CONTENT = st.none() | st.binary(max_size=300)
HEADERS = st.lists(st.tuples(st.text(max_size=20), st.none() | st.binary(max_size=40)), max_size=70)
RECORDS = st.lists(
    st.tuples(CONTENT, CONTENT, HEADERS, st.integers(NOW - 10**11, NOW + 10**11)), min_size=1, max_size=70
)


@given(RECORDS, st.booleans(), st.integers(-1, 2**62), st.integers(-1, 2**15 - 1), st.integers(-1, 2**31 - 1))
def test_a_batch_is_what_the_client_library_would_have_made(
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], int]],
    transactional: bool,
    producer_id: int,
    epoch: int,
    sequence: int,
) -> None:
    """Any keys, values, headers and timestamps, nulls among them."""
    ours = RecordBatch(transactional=transactional, now=NOW)
    theirs = DefaultRecordBatchBuilder(2, 0, int(transactional), producer_id, epoch, sequence, 2**30)
    for place, (key, value, headers, timestamp) in enumerate(records):
        ours.append(key, value, headers, timestamp)
        theirs.append(place, timestamp=timestamp, key=key, value=value, headers=headers)
    size = ours.size
    built = b"".join(ours.build(calc_crc32c, producer_id=producer_id, epoch=epoch, sequence=sequence))
    assert built == bytes(theirs.build())
    assert size == len(built)
    assert ours.count == len(records)


@given(st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=300)), max_size=10))
def test_headers_that_are_rendered_are_the_same_headers(headers: list[tuple[str, bytes]]) -> None:
    """Pairs, and what was made of them before: the same bytes, and the same pairs again."""
    before = rendered(headers)
    assert list(before) == headers
    once, twice = (RecordBatch(transactional=False, now=NOW) for _ in range(2))
    once.append(b"key", None, headers, NOW)
    twice.append(b"key", None, before, NOW)
    built = [batch.build(calc_crc32c, producer_id=-1, epoch=-1, sequence=-1) for batch in (once, twice)]
    assert built[0] == built[1]


def test_a_large_batch_is_read_back_as_it_was_written() -> None:
    """Lengths and offsets that take three bytes and more."""
    batch = RecordBatch(transactional=False, now=NOW)
    values = [bytes([place % 251]) * (place * 7) for place in range(10_000)]
    for value in values:
        batch.append(None, value, (), NOW)
    built = b"".join(batch.build(calc_crc32c, producer_id=-1, epoch=-1, sequence=-1))
    read = DefaultRecordBatch(built)
    assert read.validate_crc()
    assert [(record.offset, record.value) for record in read] == list(enumerate(values))


@pytest.mark.parametrize("compression", Compression)
@pytest.mark.parametrize("count", [1, 2_000])
def test_whatever_a_batch_is_compressed_with_it_says_the_same(compression: Compression, count: int) -> None:
    """Each of Kafka's compressions is read back by the client library; what is small stays as it is."""
    batch = RecordBatch(transactional=True, now=NOW)
    values = [b"a final like the one before it, number %d" % place for place in range(count)]
    for value in values:
        batch.append(b"key", value, [("name", b"header")], NOW)
    plain = batch.size
    packing = PACKINGS[compression]
    built = b"".join(batch.build(calc_crc32c, producer_id=7, epoch=1, sequence=3, packing=packing))
    read = DefaultRecordBatch(built)
    assert read.validate_crc()
    packed = packing is not None and count > 1
    assert read.compression_type == (packing.number if packed and packing is not None else 0)
    assert len(built) < plain / 4 if packed else len(built) == plain
    assert (read.producer_id, read.is_transactional) == (7, True)
    assert [(one.offset, one.key, one.value, one.headers) for one in read] == [
        (place, b"key", value, [("name", b"header")]) for place, value in enumerate(values)
    ]
