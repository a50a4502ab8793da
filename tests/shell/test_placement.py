"""Outputs are placed as any Kafka client would place them."""

from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from finalizer.shell.placement import murmur2, partition_of


@given(st.binary(max_size=80) | st.binary(min_size=32, max_size=32))
def test_murmur2_is_kafkas(key: bytes) -> None:
    """Every key, of whatever length, hashes as Kafka's own clients hash it."""
    assert murmur2(key) == reference(key)


@given(st.binary(min_size=1), st.integers(1, 1000))
def test_a_partition_is_one_of_those_there_are(key: bytes, partitions: int) -> None:
    """A key is always placed on a partition that exists."""
    assert 0 <= partition_of(key, partitions) < partitions
