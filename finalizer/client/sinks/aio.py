"""Kafka through aiokafka, on an event loop and a thread of its own: the app's loop never sees it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordTooLargeError

from finalizer.client.buffer import INSTANCE
from finalizer.client.events import Record
from finalizer.client.pace import in_slices
from finalizer.client.sinks.kafka import ANSWER_SECONDS, MAX_REQUEST
from finalizer.client.sinks.sink import Undelivered

CLOSE_SECONDS: Final = 2.0
FOR_GOOD: Final = (MessageSizeTooLargeError, RecordTooLargeError)
THREAD: Final = "finalizer-kafka"
_leaked: Final[list[object]] = []
"""What belongs to the process that forked this one."""


class AioKafkaSink:
    """Sends with acks=all; a record is keyed by its trace and placed by Kafka's own partitioner."""

    whole_heartbeats = False

    def __init__(self, brokers: str, *, topic: str, instances: str, settings: Mapping[str, Any]) -> None:
        self._topics = {INSTANCE: instances}
        self._topic = topic
        self._arguments: dict[str, Any] = {
            "bootstrap_servers": brokers,
            "acks": "all",
            "linger_ms": 0,
            "max_request_size": MAX_REQUEST,
            "request_timeout_ms": int(ANSWER_SECONDS * 1000),
            **settings,
        }
        for name in list(logging.root.manager.loggerDict):
            if name.partition(".")[0] == "aiokafka":
                logging.getLogger(name).addFilter(_is_not_ours)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._producer: AIOKafkaProducer | None = None
        self._thread: threading.Thread | None = None

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        work = asyncio.run_coroutine_threadsafe(self._send(records), self._running_loop())
        try:
            return work.result(ANSWER_SECONDS + 5)
        except TimeoutError as error:
            work.cancel()
            raise Undelivered("the broker does not answer") from error

    def forget(self) -> None:
        _leaked.append((self._loop, self._producer, self._thread))
        self._loop = self._producer = self._thread = None

    def close(self) -> None:
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        self._loop = self._thread = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            loop = self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=loop.run_forever, name=THREAD, daemon=True)
            self._thread.start()
        return self._loop

    async def _send(self, records: Sequence[Record]) -> Sequence[int]:
        producer = await self._connected()
        answers: dict[int, asyncio.Future[Any]] = {}
        refused: list[int] = []
        failure: BaseException | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                for place, record in enumerate(in_slices(records)):
                    topic = self._topics.get(record.kind, self._topic)
                    try:
                        answers[place] = await producer.send(topic, record.value, key=record.routing_key)
                    except FOR_GOOD:
                        refused.append(place)
                if answers:
                    await asyncio.wait(answers.values())
        except (KafkaError, TimeoutError) as error:
            failure = error
            for answer in answers.values():  # those that come too late: asyncio would tell the app that nobody looks
                answer.add_done_callback(_looked_at)
        for place, answer in answers.items():
            if not answer.done():
                continue
            error_of_one = asyncio.CancelledError() if answer.cancelled() else answer.exception()
            if isinstance(error_of_one, FOR_GOOD):
                refused.append(place)
            elif error_of_one is not None:
                failure = error_of_one
        if failure is None:
            return refused
        arrived = [
            place for place, one in answers.items() if one.done() and not one.cancelled() and one.exception() is None
        ]
        raise Undelivered(_said(failure), arrived) from failure

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(**self._arguments)
            try:
                await producer.start()
            except (KafkaError, OSError) as error:
                await producer.stop()
                raise Undelivered(_said(error)) from error
            self._producer = producer
        return self._producer

    async def _stop(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(TimeoutError, KafkaError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await producer.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:  # a producer whose broker is gone waits for it, and longer than an app should
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _is_not_ours(record: logging.LogRecord) -> bool:
    """What aiokafka says on our thread is not for the app's log, each second of an hour offline: `say` says it once."""
    return record.threadName != THREAD


def _looked_at(answer: asyncio.Future[Any]) -> None:
    if not answer.cancelled():
        answer.exception()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
