"""What a broker has decided about the last transaction of a producer (KIP-664, DescribeTransactions)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields


class Fate(Enum):
    """What becomes of a transaction, whether its markers are written already or not."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    UNKNOWN = "unknown"
    """There is none, its producer was fenced since, or the broker does not tell."""


_FATES = {
    "PrepareCommit": Fate.COMMITTED,
    "CompleteCommit": Fate.COMMITTED,
    "Ongoing": Fate.ABORTED,  # by the fence
    "PrepareAbort": Fate.ABORTED,
    "CompleteAbort": Fate.ABORTED,
    "PrepareEpochFence": Fate.ABORTED,
}


async def fate_of(client: AIOKafkaClient, coordinator: int, transactional_id: str) -> Fate:
    """The fate of the last transaction, told by its coordinator. Raises `KafkaError`, what may pass as well."""
    try:
        answer = await client.send(coordinator, DescribeTransactionsRequest([transactional_id]))
    except IncompatibleBrokerVersion:
        return Fate.UNKNOWN
    (told,) = answer.transaction_states
    error = for_code(told[0])
    if error.retriable:
        raise error()
    return _FATES.get(told[2], Fate.UNKNOWN)


class _Response(Response):  # type: ignore[misc]
    API_KEY = 65
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transaction_states",
            CompactArray(
                ("error_code", Int16),
                ("transactional_id", CompactString("utf-8")),
                ("transaction_state", CompactString("utf-8")),
                ("transaction_timeout_ms", Int32),
                ("transaction_start_time_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                (
                    "topics",
                    CompactArray(
                        ("topic", CompactString("utf-8")), ("partitions", CompactArray(Int32)), ("tags", TaggedFields)
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(("transactional_ids", CompactArray(CompactString("utf-8"))), ("tags", TaggedFields))


class DescribeTransactionsRequest(Request[_Struct]):  # type: ignore[misc]
    """Source: https://kafka.apache.org/protocol#The_Messages_DescribeTransactions (version 0)."""

    API_KEY = 65

    def __init__(self, transactional_ids: Iterable[str]) -> None:
        self._ids = list(transactional_ids)

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        return request_struct_class(self._ids, {})
