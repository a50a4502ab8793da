"""Produce requests that are put together once. aiokafka's own are copied eight times on their way to the socket, which
took a sixth of a worker's time: each level of a request is joined into the one above, then its header goes before it,
then its length.

What of aiokafka this leans on: a sender makes a request in `SendProduceReqHandler.create_request`, and a connection
sends `size + (header.encode() + request.encode())`.

Source: https://kafka.apache.org/protocol#The_Messages_Produce (versions 3 to 7, which differ in their answers alone)
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Any

from aiokafka.producer.sender import Sender, SendProduceReqHandler
from aiokafka.protocol import produce
from aiokafka.protocol.types import Int16, Int32, String

_LENGTH = Struct(">i").pack
_TEXT = String("utf-8").encode


class Pieces:
    """Bytes that lie in several places: more may follow; put after a length they become one."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return sum(map(len, self._pieces))

    def __add__(self, other: Pieces) -> Pieces:
        return Pieces([*self._pieces, *other._pieces])

    def __radd__(self, length: bytes) -> bytes:
        return b"".join([length, *self._pieces])


class _Header:
    """Of a request in pieces."""

    def __init__(self, header: Any) -> None:
        self._header = header

    def encode(self) -> Pieces:
        return Pieces([self._header.encode()])


class _InPieces:
    """For a request of version 3 or newer. A batch in it is bytes, or a tuple of such."""

    transactional_id: str | None
    required_acks: int
    timeout: int
    topics: list[tuple[str, list[tuple[int, bytes | tuple[bytes, ...]]]]]

    def build_request_header(self, correlation_id: int, client_id: str) -> _Header:
        return _Header(super().build_request_header(correlation_id, client_id))  # type: ignore[misc]

    def encode(self) -> Pieces:
        pieces = [_TEXT(self.transactional_id), Int16.encode(self.required_acks), Int32.encode(self.timeout)]
        pieces.append(_LENGTH(len(self.topics)))
        for topic, partitions in self.topics:
            pieces += [_TEXT(topic), _LENGTH(len(partitions))]
            for partition, batch in partitions:
                parts = batch if isinstance(batch, tuple) else (batch,)
                pieces += [_LENGTH(partition), _LENGTH(sum(map(len, parts))), *parts]
        return Pieces(pieces)


_FIRST_VERSION = 3
_STRUCTS: dict[Any, Any] = {
    known: type(known.__name__, (_InPieces, known), {})
    for known in produce.ProduceRequest._CLASSES
    if known.API_VERSION >= _FIRST_VERSION
}


class ProduceRequest(produce.ProduceRequest):  # type: ignore[misc]
    """A request whose batches are as `RecordBatch.build` makes them, or as aiokafka does."""

    def build(self, request_struct_class: Any) -> Any:
        return super().build(_STRUCTS[request_struct_class])


class _Handler(SendProduceReqHandler):  # type: ignore[misc]
    def create_request(self) -> ProduceRequest:
        request = super().create_request()
        return ProduceRequest(request._transactional_id, request._required_acks, request._timeout, request._topics)


class InPieces(Sender):  # type: ignore[misc]
    """aiokafka's sender, with these requests."""

    async def _send_produce_req(self, node_id: int, batches: dict[Any, Any]) -> None:
        await _Handler(self, batches).do(node_id)
        self._in_flight.remove(node_id)
        self._muted_partitions -= set(batches)
