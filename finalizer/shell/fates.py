"""What a broker has decided about the last transaction of a producer (KIP-664, DescribeTransactions)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable
from enum import Enum
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import CoordinationType
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    IncompatibleBrokerVersion,
    NotCoordinatorError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from finalizer.shell.settings import Settings


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
_NOT_NOW = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError)


async def fates_of(settings: Settings, transactional_ids: Collection[str]) -> dict[str, Fate]:
    """The fate of the last transaction of each. Raises `KafkaError`: what passes is to be tried again."""
    admin = AIOKafkaAdminClient(**settings.client_arguments())
    await admin.start()
    try:
        return await _asked(admin._client, transactional_ids)
    finally:
        await admin.close()


async def _asked(client: Any, transactional_ids: Collection[str]) -> dict[str, Fate]:
    fates = dict.fromkeys(transactional_ids, Fate.UNKNOWN)
    nodes = await asyncio.gather(
        *(client.coordinator_lookup(CoordinationType.TRANSACTION, name) for name in transactional_ids)
    )
    of_node = defaultdict[int, list[str]](list)
    for name, node in zip(transactional_ids, nodes, strict=True):
        of_node[node].append(name)
    for node, names in of_node.items():
        try:
            answer = await client.send(node, DescribeTransactionsRequest(names))
        except IncompatibleBrokerVersion:
            continue
        for code, name, state, *_ in answer.transaction_states:
            error = for_code(code)
            if error in _NOT_NOW:
                raise error()
            fates[name] = _FATES.get(state, Fate.UNKNOWN)
    return fates


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
