"""Produce requests that are put together once are on the wire what aiokafka's would be."""

from __future__ import annotations

from aiokafka.protocol import produce
from hypothesis import given
from hypothesis import strategies as st

from finalizer.shell.produce import ProduceRequest

TOPICS = st.lists(
    st.tuples(st.text(max_size=20), st.lists(st.tuples(st.integers(0, 99), st.binary(max_size=200)), max_size=4)),
    max_size=4,
)


def on_the_wire(request: produce.ProduceRequest, version: int) -> bytes:
    """As `AIOKafkaConnection.send` writes it."""
    made = request.prepare({produce.ProduceRequest.API_KEY: (version, version)})
    message = made.build_request_header(correlation_id=7, client_id="us").encode() + made.encode()
    written: bytes = produce.Int32.encode(len(message)) + message
    return written


@given(TOPICS, st.none() | st.text(max_size=20), st.integers(-1, 1), st.integers(3, 7), st.integers(0, 200))
def test_the_same_bytes(
    topics: list[tuple[str, list[tuple[int, bytes]]]], name: str | None, acks: int, version: int, cut: int
) -> None:
    """Any topics, partitions and batches, whole and in two pieces, in each version that a broker may ask for."""
    theirs = produce.ProduceRequest(transactional_id=name, required_acks=acks, timeout=30_000, topics=topics)
    in_two = [
        (topic, [(number, (batch[:cut], batch[cut:]) if number % 2 else batch) for number, batch in partitions])
        for topic, partitions in topics
    ]
    ours = ProduceRequest(transactional_id=name, required_acks=acks, timeout=30_000, topics=in_two)
    assert on_the_wire(ours, version) == on_the_wire(theirs, version)
    assert ours.required_acks == acks


def test_the_answer() -> None:
    """The answer to each of them is read as aiokafka reads its own."""
    for version in range(3, 8):
        versions = {produce.ProduceRequest.API_KEY: (version, version)}
        ours = ProduceRequest(transactional_id=None, required_acks=-1, timeout=1, topics=[]).prepare(versions)
        theirs = produce.ProduceRequest(transactional_id=None, required_acks=-1, timeout=1, topics=[]).prepare(versions)
        assert ours.RESPONSE_TYPE is theirs.RESPONSE_TYPE
        assert version == ours.API_VERSION
