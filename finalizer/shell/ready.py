"""Making partitions ready: fence the previous owner, restore, check what does not fit, send what was not sent.

Where they do not fit the worker stops with exit 5 and one sentence, closing nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from aiokafka import TopicPartition

from finalizer.changelog import Changelog, Restored
from finalizer.codecs.state import StateCodec
from finalizer.codecs.stored import Watermark
from finalizer.core.instances import Instances
from finalizer.core.safety import Releases
from finalizer.core.sources import Place, Sources
from finalizer.course import Course, RekeyedInput, first_watermark, past_gaps
from finalizer.pipeline import Decode, Encoding
from finalizer.shell import logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.compression import PACKINGS
from finalizer.shell.fates import Fate
from finalizer.shell.hanging import WatchedProducer, end_what_hangs
from finalizer.shell.metrics import Metrics
from finalizer.shell.offsets import Log, committed_of, logs_of
from finalizer.shell.partition import Keeper, Partition, Undecided, tell_of_gap
from finalizer.shell.producer import Producer
from finalizer.shell.restore import read_changelog
from finalizer.shell.routing import Routing
from finalizer.shell.settings import Settings, StartFrom
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended
from finalizer.shell.topics import Facts
from finalizer.shell.writer import BATCH_BYTES, Writer

log = logs.get("restore")

TRANSACTION_TIMEOUT_MS = 60_000


class _Inputs(NamedTuple):
    """What the broker tells of the input partitions."""

    ends: Mapping[TopicPartition, Log]
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
        self.instances = None if settings.instances is None else Instances()
        """Processes whose heartbeats count for their spans; the reader of their topic fills it."""
        self._decoders = decoders
        self._encoding = encoding
        self._routing = Routing(facts.partitions, metrics)
        self._fates: dict[int, Fate] = {}
        """Of the last transactions of those partitions that were fenced, and whose restore did not come further."""
        self.places: set[Place] = set()
        """All source partitions that there are; kept up by whoever re-keys them."""

    async def ready(self, numbers: Iterable[int], keeper: Keeper) -> list[Partition]:
        """The partitions, restored and with an open writer. Whoever had them before is fenced first."""
        numbers = sorted(numbers)
        if not numbers:
            return []
        began = time.monotonic()
        producers = {number: self._producer(number) for number in numbers}
        watched = [one for one in producers.values() if isinstance(one, WatchedProducer)]
        try:
            await _all_started(producers.values())
            if watched:
                await end_what_hangs(self.settings, watched, self.facts.outputs.values())
                for number in numbers:
                    self._fates.pop(number, None)
            restored = await read_changelog(self.settings, numbers)
            asked_at = time.monotonic()
            places = [TopicPartition(topic, number) for topic in self.settings.inputs for number in numbers]
            ends = await logs_of(self.settings, places)
            inputs = _Inputs(ends, await committed_of(self.settings, places), asked_at)
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
        arguments = {
            **self.settings.client_arguments(),
            "acks": "all",
            "max_batch_size": BATCH_BYTES,
            "max_request_size": BATCH_BYTES + 1024 * 1024,
            "request_timeout_ms": 30_000,
        }
        if not self.facts.transactional:
            return Producer(**arguments)
        outputs = self.facts.outputs.values()
        return WatchedProducer(
            self.settings, number, outputs, self._fates, transaction_timeout_ms=TRANSACTION_TIMEOUT_MS, **arguments
        )

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
            number=number,
            releases=self.releases,
            rekeyed=RekeyedInput(settings.evidence, Sources(self.places)) if settings.sources else None,
            instances=self.instances,
        )
        course.fill(restored)
        writer = Writer(
            producer,
            Changelog(StateCodec(settings.named, number), watermark, restored.blocks, restored.sending),
            topic=settings.changelog,
            partition=number,
            outputs=facts.outputs,
            transactional=facts.transactional,
            packing=PACKINGS[settings.compression],
        )
        if restored.unsent:
            decision, unsent = course.unsent(restored.unsent)
            await writer.write(writer.changelog.again(unsent), decision.outputs)
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
            routing=self._routing,
            gaps=gaps,
            app_id=settings.app_id,
        )

    def _first_watermark(self, number: int, ends: Mapping[TopicPartition, Log]) -> Watermark:
        facts, settings = self.facts, self.settings
        logs = {topic: ends[TopicPartition(topic, number)] for topic in settings.inputs}
        latest = settings.direct if settings.start_from is StartFrom.LATEST else ()
        offsets = {topic: (log.next if topic in latest else log.first) - 1 for topic, log in logs.items()}
        return first_watermark(
            settings.policy,
            offsets,
            delivery=facts.delivery.value,
            partitions=facts.partitions,
            sources=settings.sources,
        )

    def _check_first(self, number: int, committed: Mapping[TopicPartition, int]) -> None:
        for place, offset in committed.items():
            if offset and place.partition == number and place.topic in self.settings.inputs:
                raise Stop(
                    Exit.SAFETY,
                    f"the changelog {self.settings.changelog} is empty, but the group {self.settings.app_id} has read "
                    f"{place.topic} up to {offset}: the state is lost; restore the topic, or begin anew with "
                    "another --app-id",
                )

    def _check(self, number: int, watermark: Watermark, ends: Mapping[TopicPartition, Log]) -> None:
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
    made_from = tuple(sorted({*watermark.offsets, *watermark.sources} - {settings.evidence}))
    if made_from != settings.named or watermark.sources != settings.sources:
        raise Stop(
            Exit.SAFETY,
            f"the state was made from {_told(made_from, watermark.sources)}, the configuration names "
            f"{_told(settings.named, settings.sources)}: inputs cannot change under a running state; use a new "
            "--app-id",
        )
    if watermark.partitions != partitions:
        raise Stop(
            Exit.SAFETY,
            f"the state was made with {watermark.partitions} partitions, the inputs have {partitions}: "
            "spans would be looked for in the wrong partition; use a new --app-id",
        )


def _told(topics: Iterable[str], rekeyed: Iterable[str]) -> str:
    return ", ".join(f"{topic} (re-keyed)" if topic in rekeyed else topic for topic in topics)


async def _all_started(producers: Iterable[Producer]) -> None:
    """Start them all at once; if one fails, none is left starting."""
    starting = [asyncio.ensure_future(producer.start()) for producer in producers]
    try:
        await asyncio.gather(*starting)
    finally:
        await ended(starting)
