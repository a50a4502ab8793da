"""Making partitions ready: fence the previous owner, restore, check what does not fit, send what was not sent.

Where they do not fit the worker stops with exit 5 and one sentence, closing nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from finalizer.changelog import Changelog, Restored
from finalizer.codecs.state import StateCodec, Watermark
from finalizer.core.safety import Releases
from finalizer.course import Course, first_watermark, past_gaps
from finalizer.pipeline import Decode, Encoding
from finalizer.shell import logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.metrics import Metrics
from finalizer.shell.partition import Keeper, Partition, Undecided, tell_of_gap
from finalizer.shell.producer import Producer
from finalizer.shell.restore import read_changelog
from finalizer.shell.settings import Settings, StartFrom
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.topics import Facts
from finalizer.shell.writer import BATCH_BYTES, Writer

log = logs.get("restore")

TRANSACTION_TIMEOUT_MS = 60_000


class _Inputs(NamedTuple):
    """What the broker tells of the input partitions."""

    ends: Mapping[TopicPartition, tuple[int, int]]
    """First and next offset of each."""
    committed: Mapping[TopicPartition, int]
    """Where the group would read on, if it has read at all."""
    asked_at: float
    """Monotonic seconds before it was asked. (Of the broker's time nothing may be known yet, at the first start.)"""


class Making:
    """Makes partitions of one worker ready."""

    def __init__(
        self,
        settings: Settings,
        facts: Facts,
        *,
        decoders: Mapping[str, Decode],
        encoding: Encoding,
        broker_time: BrokerTime,
        metrics: Metrics,
    ) -> None:
        self.settings = settings
        self.facts = facts
        self.metrics = metrics
        self.broker_time = broker_time
        self.releases = Releases()
        """What operators have released; the control topic's reader fills it."""
        self._decoders = decoders
        self._encoding = encoding

    async def ready(self, numbers: Iterable[int], keeper: Keeper) -> list[Partition]:
        """The partitions, restored and with an open writer. Whoever had them before is fenced first."""
        numbers = sorted(numbers)
        if not numbers:
            return []
        began = time.monotonic()
        producers = {number: self._producer(number) for number in numbers}
        try:
            await _all_started(producers.values())
            restored = await read_changelog(self.settings, numbers)
            asked_at = time.monotonic()
            ends = await self._ends(numbers)
            inputs = _Inputs(ends, await self._committed(list(ends)), asked_at)
            records = sum(one.records for one in restored.values())
            made = [
                await self._install(number, restored.pop(number), producers[number], inputs, keeper)
                for number in numbers
            ]
        except BaseException:
            await asyncio.gather(*(producer.stop() for producer in producers.values()))
            raise
        self.metrics.restored(time.monotonic() - began, records)
        return made

    def _producer(self, number: int) -> Producer:
        """The partition's producer. Its start fences whoever had the partition before."""
        transaction = {
            "transactional_id": f"{self.settings.app_id}-{number}",
            "transaction_timeout_ms": TRANSACTION_TIMEOUT_MS,
        }
        return Producer(
            **self.settings.client_arguments(),
            acks="all",
            max_batch_size=BATCH_BYTES,
            max_request_size=BATCH_BYTES + 1024 * 1024,
            request_timeout_ms=30_000,
            **(transaction if self.facts.transactional else {}),
        )

    async def _ends(self, numbers: list[int]) -> dict[TopicPartition, tuple[int, int]]:
        """First and next offset of each input partition."""
        places = [TopicPartition(topic, number) for topic in self.settings.inputs for number in numbers]
        consumer = AIOKafkaConsumer(**self.settings.client_arguments(), enable_auto_commit=False)
        await consumer.start()
        try:
            first = await consumer.beginning_offsets(places)
            after = await consumer.end_offsets(places)
        finally:
            await consumer.stop()
        return {place: (first[place], after[place]) for place in places}

    async def _committed(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        admin = AIOKafkaAdminClient(**self.settings.client_arguments())
        await admin.start()
        try:
            found = await admin.list_consumer_group_offsets(self.settings.app_id, partitions=places)
        finally:
            await admin.close()
        return {place: known.offset for place, known in found.items() if known.offset > 0}

    async def _install(
        self,
        number: int,
        restored: Restored,
        producer: Producer,
        inputs: _Inputs,
        keeper: Keeper,
    ) -> Partition:
        settings, facts, policy = self.settings, self.facts, self.settings.policy
        watermark = restored.watermark
        if watermark is None:
            self._check_first(number, inputs.committed)
            watermark = self._first_watermark(number, inputs.ends)
        else:
            self._check(number, watermark, inputs.ends)
        first = {topic: inputs.ends[TopicPartition(topic, number)][0] for topic in watermark.offsets}
        watermark, gaps = past_gaps(watermark, first, restored.states)
        for topic, records in gaps.items():
            tell_of_gap(topic, number, records)
        course = Course(
            policy,
            watermark,
            decoders=self._decoders,
            encoding=self._encoding,
            most_bytes=policy.remember.max_bytes // facts.partitions,
            put_aside=Undecided(),
            releases=self.releases,
        )
        course.fill(restored)
        writer = Writer(
            producer,
            Changelog(StateCodec(settings.inputs, number), watermark, restored.blocks),
            topic=settings.changelog,
            partition=number,
            outputs=facts.outputs,
            transactional=facts.transactional,
        )
        if restored.unsent:
            decision, unsent = course.unsent(restored.unsent)
            await writer.write(writer.changelog.again(decision.outputs, unsent))
        stamp = await writer.write(writer.changelog.touch())
        if stamp is not None:
            self.broker_time.learned(stamp.stamp_ms, answered_at=stamp.answered_at)
        ends = {topic: inputs.ends[TopicPartition(topic, number)][1] for topic in settings.inputs}
        course.assigned(self.broker_time.now(), ends=ends, asked_at=self.broker_time.at(inputs.asked_at))
        spans = course.spans
        log.info(
            "done",
            "the partition is restored",
            partition=number,
            records=restored.records,
            open=spans.open,
            remembered=spans.memory.fingerprints + len(spans.states) - spans.open,
            sent_again=len(restored.unsent),
        )
        return Partition(
            number,
            course,
            writer,
            keeper=keeper,
            broker_time=self.broker_time,
            metrics=self.metrics,
            gaps=gaps,
            app_id=settings.app_id,
        )

    def _first_watermark(self, number: int, ends: Mapping[TopicPartition, tuple[int, int]]) -> Watermark:
        which = 1 if self.settings.start_from is StartFrom.LATEST else 0
        offsets = {topic: ends[TopicPartition(topic, number)][which] - 1 for topic in self.settings.inputs}
        facts = self.facts
        return first_watermark(
            self.settings.policy, offsets, delivery=facts.delivery.value, partitions=facts.partitions
        )

    def _check_first(self, number: int, committed: Mapping[TopicPartition, int]) -> None:
        for place, offset in committed.items():
            if place.partition == number and place.topic in self.settings.inputs:
                raise Stop(
                    Exit.SAFETY,
                    f"the changelog {self.settings.changelog} is empty, but the group {self.settings.app_id} has read "
                    f"{place.topic} up to {offset}: the state is lost; restore the topic, or begin anew with "
                    "another --app-id",
                )

    def _check(self, number: int, watermark: Watermark, ends: Mapping[TopicPartition, tuple[int, int]]) -> None:
        check_state(self.settings, watermark, partitions=self.facts.partitions)
        if watermark.delivery != self.facts.delivery.value:
            raise Stop(
                Exit.SAFETY,
                f"the state was made with --delivery {watermark.delivery}, the worker would run "
                f"{self.facts.delivery.value}: say so with --delivery, or use a new --app-id",
            )
        for topic, offset in watermark.offsets.items():
            end = ends[TopicPartition(topic, number)][1]
            if self.facts.transactional and end < offset + 1:
                raise Stop(
                    Exit.SAFETY,
                    f"{topic} (partition {number}) ends at {end}, but was read up to {offset}: it was re-created or "
                    "mirrored; use a new --app-id",
                )


def check_state(settings: Settings, watermark: Watermark, *, partitions: int) -> None:
    """Raise `Stop` where a state was made from other inputs, or with other partitions, than are read now."""
    if set(watermark.offsets) != set(settings.inputs):
        raise Stop(
            Exit.SAFETY,
            f"the state was made from {', '.join(sorted(watermark.offsets))}, the configuration names "
            f"{', '.join(settings.inputs)}: inputs cannot change under a running state; use a new --app-id",
        )
    if watermark.partitions != partitions:
        raise Stop(
            Exit.SAFETY,
            f"the state was made with {watermark.partitions} partitions, the inputs have {partitions}: "
            "spans would be looked for in the wrong partition; use a new --app-id",
        )


async def _all_started(producers: Iterable[Producer]) -> None:
    """Start them all at once; if one fails, none is left starting."""
    starting = [asyncio.ensure_future(producer.start()) for producer in producers]
    try:
        await asyncio.gather(*starting)
    finally:
        for one in starting:
            one.cancel()
        await asyncio.wait(starting)
