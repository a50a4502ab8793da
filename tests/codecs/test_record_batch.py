"""Our record batches are Kafka's, byte for byte what aiokafka's own builder makes of the same records."""

from __future__ import annotations

from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from finalizer.codecs.record_batch import RecordBatch
from finalizer.codecs.record_headers import rendered

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
