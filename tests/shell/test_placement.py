"""Outputs are placed as any Kafka client would place them."""

from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from finalizer.shell.placement import murmur2, partition_of, partitions_of


@given(st.binary(max_size=80) | st.binary(min_size=32, max_size=32))
def test_murmur2_is_kafkas(key: bytes) -> None:
    """Every key, of whatever length, hashes as Kafka's own clients hash it."""
    assert murmur2(key) == reference(key)


@given(st.binary(min_size=1), st.integers(1, 1000))
def test_a_partition_is_one_of_those_there_are(key: bytes, partitions: int) -> None:
    """A key is always placed on a partition that exists."""
    assert 0 <= partition_of(key, partitions) < partitions


TRACES = st.lists(st.binary(min_size=32, max_size=32))


@given(TRACES | st.lists(st.none() | st.binary(max_size=40)), st.integers(1, 100))
def test_many_keys_are_placed_as_each_alone(keys: list[bytes | None], partitions: int) -> None:
    """How many records are written at once, and of which kind, moves none of them."""
    alone = [0 if key is None else (reference(key) & 0x7FFFFFFF) % partitions for key in keys]
    assert partitions_of(keys, partitions) == alone
