"""Outputs are placed as any Kafka client would place them."""

from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from finalizer.shell.placement import murmur2, partition_of


@given(st.binary(max_size=80) | st.binary(min_size=32, max_size=32))
def test_murmur2_is_kafkas(key: bytes) -> None:
    """Every key, of whatever length, hashes as Kafka's own clients hash it."""
    assert murmur2(key) == reference(key)


@given(st.binary(max_size=40), st.integers(1, 1000))
def test_a_key_is_placed_where_kafkas_clients_place_it(key: bytes, partitions: int) -> None:
    """A reader finds all finals of a trace in one partition, the one that its own client would choose."""
    assert partition_of(key, partitions) == (reference(key) & 0x7FFFFFFF) % partitions


def test_what_has_no_key_has_a_place() -> None:
    """A rejected record may come without a key; all of these lie together."""
    assert partition_of(None, 7) == 0
