"""One measured run: processes work through a filled topic, and what they wrote is judged afterwards."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from finalizer.bench.load import PARTITIONS, SESSION_SECONDS, Load
from finalizer.bench.process import Processes
from finalizer.bench.topic import Filled, Output, judge

LIMIT_SECONDS: Final = 600.0
LOOK_SECONDS: Final = 0.05
ASK_SECONDS: Final = 0.25


class Figures(NamedTuple):
    """What one run took."""

    events_a_second: float
    """From the first final to the last that a client reported: all of the input."""
    cpu_seconds_a_million: float
    """Of that, and of closing what was due; without the waiting between the two."""
    peak_mib: float
    note: str = ""


async def measure(
    bootstrap: str,
    filled: Filled,
    output: str,
    *,
    commands: Sequence[Sequence[str]],
    environment: Mapping[str, str] | None = None,
    beside: Callable[[int], AbstractContextManager[object]] | None = None,
) -> Figures:
    """Run the commands until their output topic is quiet. Raises `WrongOutput` or `Ended`.

    `beside`: what is to run with them, given the first one's process id, from the first final on.
    """
    with Processes(commands, environment) as processes, ExitStack() as stack:
        if beside is not None:
            await until_quiet(bootstrap, output, processes, quiet_seconds=0)
            stack.enter_context(beside(processes.pids[0]))
        await until_quiet(bootstrap, output, processes, quiet_seconds=filled.load.quiet_seconds)
    told = await judge(bootstrap, output, filled.traffic.wanted(), said=processes.last_words)
    return _figures(filled, told, processes)


def _figures(filled: Filled, told: Output, processes: Processes) -> Figures:
    cpu, note = processes.cpu(told.first, told.reported), ""
    if told.inferred:
        stamps = [max(stamp, told.reported) for stamp, _ in told.inferred]
        cpu += processes.cpu(min(stamps), max(stamps))
        note = f"due ones closed {(max(stamps) - told.reported) / 1000:.1f} s after the log was read"
    seconds = max(told.reported - told.first, 1) / 1000
    return Figures(filled.events / seconds, cpu / filled.events * 1e6, processes.peak_mib, note)


async def until_quiet(
    bootstrap: str, topic: str, processes: Processes, *, quiet_seconds: float, past: float = 0
) -> None:
    """Take samples until nothing has come to a topic for so long, after something has, and after `past` (ms)."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        ends = 0
        changed = asked = time.monotonic()
        give_up = changed + LIMIT_SECONDS
        while (now := time.monotonic()) < give_up and not (ends and now - changed > quiet_seconds):
            await asyncio.sleep(LOOK_SECONDS)
            processes.look()
            if now - asked > ASK_SECONDS:
                asked, before = now, ends
                ends = await end_of(consumer, topic)
                if ends != before or time.time() * 1000 < past:
                    changed = now
    finally:
        await consumer.stop()


async def end_of(consumer: AIOKafkaConsumer, topic: str) -> int:
    """The sum of a topic's end offsets; 0 where there is none yet."""
    known = await consumer._client.fetch_all_metadata()
    if topic not in known.topics():
        return 0
    ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
    return int(sum(ends.values()))


def config(load: Load, topic: str, app_id: str) -> str:
    """The finalizer.yaml of a load; outputs are named after the app id."""
    outputs = {role: {"topic": f"{app_id}.{role}"} for role in ("finalized", "dlq", "rejected")}
    inputs = [{"topic": topic, "format": load.shape.value}]
    return f"inputs: {json.dumps(inputs)}\noutputs: {json.dumps(outputs)}\n{load.policy}"


def worker(
    bootstrap: str,
    load: Load,
    topic: str,
    *,
    folder: Path,
    app_id: str,
    watched: Path | None = None,
    more: Sequence[str] = (),
) -> list[str]:
    """The command of our worker; `watched`: the file for the stops of its event loop."""
    path = folder / f"{app_id}.yaml"
    path.write_text(config(load, topic, app_id))
    flags = ["--broker", bootstrap, "--app-id", app_id, "--config", str(path), "--web-port", "0"]
    if not load.instance_id:  # a static member that comes back within its session, however long it was away
        flags += ["--session-timeout", str(SESSION_SECONDS)]
    flags += ["--log-level", "warning", *more]
    program = ["finalizer"] if watched is None else ["finalizer.bench.watched", str(watched)]
    return [sys.executable, "-m", *program, "worker", *flags]
