"""Loads that are about moments: spans due at once, records as they come, a worker that is killed and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from itertools import dropwhile
from pathlib import Path
from statistics import quantiles
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from finalizer.bench.events import Row, Traffic, Want, pilot_rows, trace_id
from finalizer.bench.load import PARTITIONS, Load
from finalizer.bench.process import Processes
from finalizer.bench.run import LIMIT_SECONDS, LOOK_SECONDS, Figures, until_quiet, worker
from finalizer.bench.topic import BATCH_BYTES, Filled, WrongOutput, create, fill, judge
from finalizer.bench.watched import stops
from finalizer.shell.placement import partition_of

STEP_SECONDS: Final = 0.05


async def expiry(bootstrap: str, load: Load, topic: str, folder: Path) -> tuple[Filled, Figures]:
    """All spans are due at one moment, by which the worker has read them."""
    filled = await fill(bootstrap, topic, load)
    due, path, output = filled.traffic.due_ms, folder / f"{topic}.stops", f"{topic}.finalized"
    command = worker(bootstrap, load, topic, folder=folder, app_id=topic, watched=path)
    with Processes([command]) as processes:
        await until_quiet(bootstrap, output, processes, quiet_seconds=load.quiet_seconds, past=due)
    told = await judge(bootstrap, output, filled.traffic.wanted(), said=processes.last_words)
    last = max(stamp for stamp, _ in told.inferred)
    closed, seconds = len(told.inferred), (last - due) / 1000
    note = f"{closed:,} closed, the last on the topic {seconds:.1f} s after all were due; {_stood_still(path, due)}"
    return filled, Figures(closed / seconds, processes.cpu(due, last) / closed * 1e6, processes.peak_mib, note)


async def steady(bootstrap: str, load: Load, topic: str, folder: Path) -> tuple[Filled, Figures]:
    """Records come at their times, and spans are due at theirs."""
    await create(bootstrap, topic, load)
    path, output = folder / f"{topic}.stops", f"{topic}.finalized"
    command = worker(bootstrap, load, topic, folder=folder, app_id=topic, watched=path)
    with Processes([command]) as processes:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=BATCH_BYTES * 2) as producer:
            pilot = await _send_pilot(producer, topic, load.spans)
            async with Finals(bootstrap, output) as finals:
                await finals.first(pilot, processes)
            traffic = Traffic(load, round((time.time() + load.log_seconds) * 1000))
            began = time.time() * 1000
            everybody = [traffic.rows(number) for number in range(PARTITIONS)]
            records, size = await _replay(producer, topic, everybody, processes)
            ended = time.time() * 1000
            alive = asyncio.create_task(_replay(producer, topic, _from(traffic, ended), processes))
            await until_quiet(bootstrap, output, processes, quiet_seconds=load.quiet_seconds)
            alive.cancel()
            await asyncio.wait([alive])
    told = await judge(bootstrap, output, {pilot: Want.COMPLETED, **traffic.wanted()}, said=processes.last_words)
    delays = sorted((stamp - due) / 1000 for stamp, due in told.inferred)
    parts = quantiles(delays, n=100)
    note = (
        f"deadline to topic p50 {parts[49]:.2f} s, p99 {parts[98]:.2f} s, max {delays[-1]:.2f} s of {len(delays):,}; "
        f"{_stood_still(path, began)}; it holds {processes.held((began + ended) / 2):,.0f} MiB at half time, "
        f"{processes.held(ended):,.0f} at the end"
    )
    cpu = processes.cpu(began, ended) / records * 1e6
    figures = Figures(records / (ended - began) * 1000, cpu, processes.peak_mib, note)
    return Filled(topic, traffic, records, size / records), figures


class Restores:
    """A worker with a large state, killed and started again, round by round."""

    def __init__(self, bootstrap: str, filled: Filled, folder: Path) -> None:
        self._bootstrap, self._filled = bootstrap, filled
        self._output = f"{filled.topic}.finalized"
        self._next = filled.load.spans + filled.load.standing
        self._command = worker(
            bootstrap,
            filled.load,
            filled.topic,
            folder=folder,
            app_id=filled.topic,
            more=["--instance-id", filled.load.instance_id] if filled.load.instance_id else [],
        )

    @property
    def changelog(self) -> str:
        """The topic that is read back."""
        return f"{self._filled.topic}-open_spans-changelog"

    async def prepare(self) -> None:
        """Have everything pass through the changelog, and kill the worker. Raises `WrongOutput`."""
        with Processes([self._command]) as processes:
            quiet = self._filled.load.quiet_seconds
            await until_quiet(self._bootstrap, self._output, processes, quiet_seconds=quiet)
            processes.kill()
        await judge(self._bootstrap, self._output, self._filled.traffic.wanted(), said=processes.last_words)

    async def again(self) -> Figures:
        """Start it, see its first new final, kill it."""
        load = self._filled.load
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap) as producer:
            pilot = await _send_pilot(producer, self._filled.topic, self._next)
        self._next += 1
        async with Finals(self._bootstrap, self._output) as finals:
            with Processes([self._command]) as processes:
                at = await finals.first(pilot, processes)
                processes.kill()
        used = processes.used(at)
        seconds, open_spans = (at - processes.began) / 1000, load.open_spans + load.standing
        note = f"{seconds:.1f} s and {used:.1f} CPU s from its start to its first new final"
        return Figures(open_spans / seconds, used / open_spans * 1e6, processes.peak_mib, note)


async def _send_pilot(producer: AIOKafkaProducer, topic: str, number: int) -> bytes:
    """Send a span that begins and ends at once; returns its key."""
    key = trace_id(number)
    for stamp, _, value in pilot_rows(number, time.time_ns() // 1_000_000):
        partition = partition_of(key, PARTITIONS)
        await producer.send_and_wait(topic, key=key, value=value, timestamp_ms=stamp, partition=partition)
    return key


class Finals:
    """Finals that are written from now on."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        if await self._is_there():
            ends = await self._consumer.end_offsets(self._consumer.assignment())
            for place, end in ends.items():
                self._consumer.seek(place, end)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def first(self, key: bytes, processes: Processes) -> int:
        """When (ms) the final of a span reached its topic. Raises `WrongOutput` if it never does."""
        give_up = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < give_up:
            processes.look()
            if not self._consumer.assignment() and not await self._is_there():
                await asyncio.sleep(LOOK_SECONDS)
                continue
            batches = await self._consumer.getmany(timeout_ms=20)
            found = [record for records in batches.values() for record in records if record.key == key]
            if found:
                processes.look()
                return int(found[0].timestamp)
        raise WrongOutput("no final came")

    async def _is_there(self) -> bool:
        known = await self._consumer._client.fetch_all_metadata()
        if self._topic not in known.topics():
            return False
        self._consumer.assign([TopicPartition(self._topic, number) for number in range(PARTITIONS)])
        return True


def _from(traffic: Traffic, since: float) -> list[Iterator[Row]]:
    """The beats that come without end, partition by partition, from a moment (ms) on."""

    def before(row: Row) -> bool:
        return (row.stamp or 0) < since

    return [dropwhile(before, traffic.healthy(number)) for number in range(PARTITIONS)]


async def _replay(
    producer: AIOKafkaProducer, topic: str, rows: Sequence[Iterator[Row]], processes: Processes
) -> tuple[int, int]:
    """Send each record when its time has come; returns how many there were, and their bytes."""
    count = size = 0
    waiting: list[Row | None] = [next(one, None) for one in rows]
    while any(waiting):
        now = time.time() * 1000
        for partition, source in enumerate(rows):
            row, batch = waiting[partition], producer.create_batch()
            while row is not None and (row.stamp or 0) <= now:
                batch.append(key=row.key, value=row.value, timestamp=row.stamp)
                count, size, row = count + 1, size + len(row.value), next(source, None)
            waiting[partition] = row
            if batch.record_count():
                await producer.send_batch(batch, topic, partition=partition)
        processes.look()
        await asyncio.sleep(max(0.0, STEP_SECONDS - (time.time() - now / 1000)))
    await producer.flush()
    return count, size


def _stood_still(path: Path, since: float) -> str:
    """The longest stop of an event loop since a moment."""
    longest = max(stops(path, since), key=lambda stop: stop.long, default=None)
    if longest is None:
        return "no loop stall of 10 ms"
    return f"longest loop stall {longest.long:.0f} ms, of which it computed {longest.computed:.0f} ms"
