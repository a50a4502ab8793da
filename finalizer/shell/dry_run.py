"""A dry run: reads what a worker reads, decides what it would decide, tells whom it would close, and writes nothing.

It joins no group, commits no offset, opens no transaction and creates no topic: a plain consumer reads all partitions,
from the state of the real worker on where there is one. What it decides is in its memory alone.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from finalizer.changelog import Restored
from finalizer.codecs.otlp import JSON
from finalizer.codecs.verdict import cause_word
from finalizer.core.instances import Instances
from finalizer.core.model import Phase
from finalizer.core.sources import Place, Sources
from finalizer.course import Course, RekeyedInput, first_watermark, past_gaps
from finalizer.pipeline import Decision, Decode, Encoding
from finalizer.shell import alarms, logs
from finalizer.shell.brokertime import BrokerTime
from finalizer.shell.instances import InstanceLog
from finalizer.shell.metrics import About, InstancesView, Metrics, PartitionView, SourceView
from finalizer.shell.partition import Undecided
from finalizer.shell.ready import check_state
from finalizer.shell.restore import read_changelog
from finalizer.shell.settings import Delivery, Settings, StartFrom
from finalizer.shell.status import instances_view
from finalizer.shell.stop import Exit, Stop
from finalizer.shell.tasks import ended
from finalizer.shell.topics import connect
from finalizer.shell.web import Web

log = logs.get("dry_run")

POLL_MS = 50
POLL_RECORDS = 4_000


def run_dry(settings: Settings, decoders: Mapping[str, Decode]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    try:
        return asyncio.run(_run(settings, decoders))
    except Stop as stop:
        log.error("stopped", stop.sentence, exit=int(stop.code))  # noqa: TRY400 - a sentence, never a trace
        return int(stop.code)


async def _run(settings: Settings, decoders: Mapping[str, Decode]) -> int:
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    partitions, places, has_state = await _look(settings)
    restored = await read_changelog(settings, range(partitions)) if has_state else {}
    about = About(policy=settings.policy.fingerprint, delivery="dry_run", app_id=settings.app_id)
    rules = ["default", *(rule.name for rule in settings.policy.rules)]
    metrics = Metrics(inputs=settings.heard, rules=rules, about=about)
    dry = DryRun(settings, decoders, metrics, partitions=partitions, places=places)
    metrics.watch(dry)
    web = Web(settings.web_bind, settings.web_port, metrics=metrics, health=dry, about=about)
    await web.start()
    log.warning(
        "starting",
        "this is a dry run: nothing is written to any topic, no span is closed, and no worker is replaced by it",
        app_id=settings.app_id,
        state="the worker's own" if has_state else "none, the inputs alone",
        web=f"http://{settings.web_bind}:{web.port}",
    )
    listening = asyncio.create_task(dry.listen(asked))
    try:
        await dry.follow(restored, asked)
    finally:
        await ended([listening])
        await web.stop()
    if not listening.cancelled():
        listening.result()
    log.info("stopped", "as asked", **{f"would_close_{word}": count for word, count in sorted(dry.causes.items())})
    return int(Exit.DONE)


async def _look(settings: Settings) -> tuple[int, set[Place], bool]:
    """Partitions of the inputs, those of the re-keyed ones, and whether a worker has left a state.

    Raises `Stop` where there is nothing to read.
    """
    admin = await connect(settings)
    try:
        described = await admin.describe_topics()
    finally:
        await admin.close()
    found = {topic["topic"]: len(topic["partitions"]) for topic in described if not topic["error_code"]}
    heard = {*settings.inputs, *settings.heard}
    missing = [topic for topic in sorted(heard) if topic not in found]
    if settings.evidence in missing:
        words = f"there is no topic {settings.evidence}: what is re-keyed can be followed only once a worker has run"
        raise Stop(Exit.CONFIGURATION, words)
    if missing:
        raise Stop(Exit.CONFIGURATION, f"there is no topic {', '.join(missing)}, and a dry run creates none")
    counts = {found[topic] for topic in settings.inputs}
    if len(counts) > 1:
        raise Stop(Exit.CONFIGURATION, "input topics must have equal numbers of partitions")
    places = {(topic, number) for topic in settings.sources for number in range(found[topic])}
    return counts.pop(), places, settings.changelog in found


class DryRun:
    """All partitions in one task. What the web server asks of a worker, it answers itself."""

    def __init__(
        self,
        settings: Settings,
        decoders: Mapping[str, Decode],
        metrics: Metrics,
        *,
        partitions: int,
        places: set[Place],
    ) -> None:
        self._settings = settings
        self._decoders = decoders
        self._metrics = metrics
        self._partitions = partitions
        self._places = places
        self._courses: dict[int, Course] = {}
        self._time = BrokerTime()
        self._instances = None if settings.instances is None else Instances()
        self._stamps: dict[TopicPartition, int] = {}
        self._polled_at = time.monotonic()
        self.causes: Counter[str] = Counter()
        """Spans that would have been closed, by cause."""

    def partitions(self) -> Iterable[PartitionView]:
        """One view for each partition."""
        now = self._time.now()
        return [
            PartitionView(
                number=number,
                open_spans=course.spans.open,
                open_bytes=course.spans.bytes,
                due_backlog=course.spans.windows.backlog(0 if course.reading is None else course.reading.clock),
                clock_lag_seconds=0.0 if course.reading is None else max(0.0, (now - course.reading.clock) / 1e9),
                caught_up=course.reading is not None and course.reading.caught_up,
            )
            for number, course in self._courses.items()
        ]

    def sources(self) -> Iterable[SourceView]:
        """The workers tell of them: a dry run re-keys nothing."""
        return ()

    def instances(self) -> InstancesView | None:
        return instances_view(self._instances, self._time)

    def broker_clock_offset_seconds(self) -> float:
        return self._time.offset_seconds()

    def live(self) -> str | None:
        return None

    def ready(self) -> str | None:
        return None if self._courses else "reading the worker's state"

    def detail(self) -> Mapping[str, object]:
        return {"dry_run": True, "would_close": dict(self.causes)}

    async def listen(self, asked: asyncio.Event) -> None:
        """Follow the topic of instances, if there is one; an error ends the run."""
        topic, view = self._settings.instances, self._instances
        if topic is None or view is None:
            return
        try:
            await InstanceLog(self._settings, topic, view, broker_time=self._time, metrics=self._metrics).follow()
        finally:
            asked.set()

    async def follow(self, restored: dict[int, Restored], asked: asyncio.Event) -> None:
        """Read and decide until asked to stop."""
        consumer = AIOKafkaConsumer(
            **self._settings.client_arguments(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=250,
        )
        await consumer.start()
        try:
            await self._begin(consumer, restored)
            while not asked.is_set():
                await self._poll(consumer)
                for number, course in self._courses.items():
                    decided = course.tick(self._time.now())
                    if decided is not None:
                        self._report(decided.decision)
                    alarms.tell(
                        course.watch.news,
                        partition=number,
                        app_id=self._settings.app_id,
                        safety=self._settings.policy.safety,
                    )
        finally:
            await consumer.stop()

    async def _begin(self, consumer: AIOKafkaConsumer, restored: dict[int, Restored]) -> None:
        settings = self._settings
        places = [TopicPartition(topic, number) for topic in settings.inputs for number in range(self._partitions)]
        consumer.assign(places)
        first, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        which = ends if settings.start_from is StartFrom.LATEST else first
        for number in range(self._partitions):
            found = restored.pop(number, None) or Restored()
            watermark = found.watermark
            if watermark is None:
                offsets = {topic: which[TopicPartition(topic, number)] - 1 for topic in settings.inputs}
                delivery = Delivery.EFFECTIVELY_ONCE.value
                watermark = first_watermark(
                    settings.policy,
                    offsets,
                    delivery=delivery,
                    partitions=self._partitions,
                    sources=settings.sources,
                )
            check_state(settings, watermark, partitions=self._partitions)
            begins = {topic: first[TopicPartition(topic, number)] for topic in settings.inputs}
            watermark, _ = past_gaps(watermark, begins, found.states)
            course = Course(
                settings.policy,
                watermark,
                decoders=self._decoders,
                encoding=Encoding(lambda _: b"", JSON),
                most_bytes=settings.policy.remember.max_bytes // self._partitions,
                put_aside=Undecided(),
                number=number,
                rekeyed=RekeyedInput(settings.evidence, Sources(self._places)) if settings.sources else None,
                instances=self._instances,
            )
            course.fill(found)
            now = self._time.now()
            course.assigned(now, ends={t: ends[TopicPartition(t, number)] for t in settings.inputs}, asked_at=now)
            for topic, offset in watermark.offsets.items():
                consumer.seek(TopicPartition(topic, number), offset + 1)
            self._courses[number] = course

    async def _poll(self, consumer: AIOKafkaConsumer) -> None:
        began, fetched = time.monotonic(), await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
        for place in consumer.assignment():
            course, records = self._courses[place.partition], fetched.get(place, ())
            position = await consumer.position(place)
            if records or position > course.decided[place.topic] + 1:
                self._hear(course, place.topic, records, position)
            if place.topic == course.evidence:
                continue  # what is known of the sources stands in it
            stamp, highwater = consumer.last_poll_timestamp(place), consumer.highwater(place)
            if stamp and highwater is not None and stamp != self._stamps.get(place):
                self._stamps[place] = stamp
                at = self._time.at(self._polled_at)  # it arrived after this
                course.clock.answered(place.topic, arrived_at=at, position=position, highwater=highwater)
        self._polled_at = began

    def _hear(self, course: Course, topic: str, records: Any, position: int) -> None:
        if topic != course.evidence:
            course.clock.moved(topic, position=position)
        stamped = bool(records) and records[-1].timestamp_type == 1
        course.hear(topic, records, end=position, stamped=stamped, now=self._time.now())

    def _report(self, decision: Decision) -> None:
        would: Counter[tuple[str, ...]] = Counter()
        for key, (before, after) in decision.changes.items():
            if before is None or after is None or before.phase is not Phase.OPEN or after.closed is None:
                continue
            closed, ids = after.closed, key.hex()
            word = cause_word(closed.cause)
            would["would_close_total", word, after.rule] += 1
            self.causes[word] += 1
            log.info(
                "would_close",
                "a worker would close this span now",
                trace_id=ids[:32],
                span_id=ids[32:],
                cause=word,
                rule=after.rule,
                last_seen_unix_nano=closed.last_seen,
                deadline_unix_nano=closed.deadline_at or None,
            )
        self._metrics.apply(would)
