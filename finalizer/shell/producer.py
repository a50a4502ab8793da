"""A producer that can always be closed: aiokafka's own waits for ever where the broker does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import KafkaConnectionError, NodeNotReadyError

from finalizer.shell import logs
from finalizer.shell.produce import InPieces

log = logs.get("writer")

STOP_SECONDS = 1.0


class Producer(AIOKafkaProducer):  # type: ignore[misc]
    """aiokafka's producer; `start` leaves nothing open when it fails, `stop` ends within seconds, broker or not.

    While no broker is there it waits. (aiokafka's own gives up, with a trace, if a connection breaks at the moment at
    which it asks for its transaction's coordinator.)
    """

    SENDER = InPieces

    _sender: Any

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._sender = self.SENDER(
            self.client,
            acks=self._sender._acks,
            txn_manager=self._txn_manager,
            message_accumulator=self._message_accumulator,
            retry_backoff_ms=self._sender._retry_backoff * 1000,
            request_timeout_ms=self._sender._request_timeout_ms,
        )
        self.client.coordinator_lookup = partial(_looked_up, self.client.coordinator_lookup)

    async def start(self) -> None:
        try:
            await super().start()
        except BaseException:
            await self.stop()
            raise

    async def send_batch(self, batch: Any, topic: str, *, partition: int) -> asyncio.Future[Any]:
        sent: asyncio.Future[Any] = await super().send_batch(batch, topic, partition=partition)
        sent.add_done_callback(_seen)
        for waiting in self._message_accumulator._batches.get(TopicPartition(topic, partition), ()):
            waiting._drain_waiter.add_done_callback(_seen)
        return sent

    @property
    def coordinator(self) -> object | None:
        """The connection to the coordinator of its transactions, while there is one. Another one may lead to a node
        that was restarted.
        """
        node = self._sender._coordinators.get(CoordinationType.TRANSACTION)
        connection: object | None = self.client._conns.get((node, ConnectionGroup.COORDINATION))
        return connection

    def mark_too(self, places: Iterable[TopicPartition]) -> None:
        """Let the transaction that was begun write its marker to these partitions, too."""
        for place in places:
            self._txn_manager.maybe_add_partition_to_txn(place)

    async def mark(self, places: Iterable[TopicPartition], *, commit: bool) -> None:
        """Write markers alone. They may be written a little after this returns."""
        await self.begin_transaction()
        self.mark_too(places)
        await (self.commit_transaction() if commit else self.abort_transaction())

    async def stop(self) -> None:
        """Raises nothing: what was not committed is aborted by whoever has its transactions next."""
        lines = [one._writer.transport for one in self.client._conns.values() if one._writer is not None]
        if not await _within_limit(super().stop()):
            # Its sender waits for answers to requests that were sent, a connection for a node that reads nothing.
            sending = self._sender.sender_task
            if sending is not None and not sending.done():
                sending.cancel()
                await asyncio.wait([sending], timeout=STOP_SECONDS)
            for line in lines:
                line.abort()
            await _within_limit(self.client.close())
        if self._txn_manager is not None and self._txn_manager._transaction_waiter is not None:
            self._txn_manager._transaction_waiter.add_done_callback(_seen)


async def _within_limit(closing: Coroutine[Any, Any, None]) -> bool:
    """Whether this came to its end in time. Why it did not is told, unless it was for want of an answer."""
    task = asyncio.ensure_future(closing)
    try:
        await asyncio.wait([task], timeout=STOP_SECONDS)
        task.add_done_callback(_seen)
        if not task.done() or task.cancelled():
            return False
        error = task.exception()
        if error is not None:
            log.warning("unclosed", "a producer did not close in good order; it is cut off", reason=repr(error))
        return error is None
    finally:
        task.cancel()


async def _looked_up(lookup: Callable[..., Awaitable[int]], *what: Any) -> int:
    try:
        return await lookup(*what)
    except KafkaConnectionError as error:
        raise NodeNotReadyError(str(error)) from error


def _seen(sent: asyncio.Future[Any]) -> None:
    """A transaction that fails is told once, by its commit: its batches need not be asked."""
    if not sent.cancelled():
        sent.exception()
