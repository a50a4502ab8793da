"""Kafka through confluent-kafka, whose own threads do the work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from finalizer.client.buffer import INSTANCE
from finalizer.client.events import Record
from finalizer.client.pace import in_slices
from finalizer.client.sinks.kafka import ANSWER_SECONDS, MAX_REQUEST
from finalizer.client.sinks.sink import Undelivered

_leaked: Final[list[object]] = []
"""What belongs to the process that forked this one."""


class ConfluentSink:
    """Sends with acks=all; a record is keyed by its trace and placed with murmur2, as Kafka's own clients do."""

    whole_heartbeats = False

    def __init__(self, brokers: str, *, topic: str, instances: str, settings: Mapping[str, Any]) -> None:
        self._topics = {INSTANCE: instances}
        self._topic = topic
        self._settings = {
            "bootstrap.servers": brokers,
            "acks": "all",
            "partitioner": "murmur2_random",
            "message.max.bytes": MAX_REQUEST,
            "delivery.timeout.ms": int(ANSWER_SECONDS * 1000),
            "linger.ms": 5,
            "log_level": 0,
            **settings,
        }
        self._producer: Any = None

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        if self._producer is None:
            self._producer = Producer(self._settings)
        answers: dict[int, Any] = {}
        refused: list[int] = []
        failure = ""
        for place, record in enumerate(in_slices(records)):
            topic = self._topics.get(record.kind, self._topic)
            try:
                self._producer.produce(
                    topic,
                    record.value,
                    key=record.routing_key,
                    on_delivery=lambda error, _, place=place: answers.__setitem__(place, error),
                )
            except BufferError:
                failure = "librdkafka's queue is full"
                break
            except KafkaException as error:
                if not _for_good(error.args[0]):
                    failure = str(error)
                    break
                refused.append(place)
        self._producer.flush(ANSWER_SECONDS)
        arrived = [place for place, error in answers.items() if error is None]
        refused += [place for place, error in answers.items() if error is not None and _for_good(error)]
        if len(arrived) + len(refused) == len(records):
            return refused
        self._producer.purge()  # what did not arrive is the caller's again
        self._producer.flush(1.0)
        errors = [error for error in answers.values() if error is not None]
        why = failure or (str(errors[0]) if errors else "the broker does not answer")
        raise Undelivered(why, arrived)

    def forget(self) -> None:
        _leaked.append(self._producer)
        self._producer = None

    def close(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(1.0)
            self._producer = None


def _for_good(error: Any) -> bool:
    return bool(error.code() == KafkaError.MSG_SIZE_TOO_LARGE)
