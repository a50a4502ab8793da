"""One measured run: a process works through a topic, and what it wrote is counted afterwards."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.bench.load import PARTITIONS, Load, count

LIMIT_SECONDS = 300.0
QUIET_SECONDS = 3.0
TICKS = os.sysconf("SC_CLK_TCK")


class Figures(NamedTuple):
    """What one run took."""

    records_a_second: float
    cpu_seconds_a_million: float
    peak_mib: float


class WrongOutput(Exception):
    """A run that lost or doubled a span has no figure."""


async def measure(
    bootstrap: str, output: str, load: Load, command: Sequence[str], *, env: Mapping[str, str] | None = None
) -> Figures:
    """Run the command until the output topic is quiet; from its first output to its last.

    Raises `WrongOutput` if not every span is there exactly once.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - outlives no await of ours
            command, env={**os.environ, **(env or {})}, stdout=log, stderr=log
        )
        try:
            figures = await _watch(bootstrap, output, load, process)
        except ProcessLookupError:
            log.seek(0)
            raise WrongOutput(f"the process ended: {log.read().decode()[-2000:]}") from None
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
    found = await count(bootstrap, output)
    missing, twice = load.spans - len(found), sum(n - 1 for n in found.values())
    if missing or twice:
        raise WrongOutput(f"{missing} spans missing, {twice} too many")
    return figures


async def _watch(bootstrap: str, output: str, load: Load, process: subprocess.Popen[bytes]) -> Figures:
    pid = process.pid
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        began = ended = written = 0.0
        cpu_before = cpu_after = 0.0
        give_up = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < give_up:
            await asyncio.sleep(0.1)
            if process.poll() is not None:
                raise ProcessLookupError
            now, total = time.monotonic(), await _end(consumer, output)
            if total and not began:
                began, cpu_before = now, _cpu(pid)
            if total != written:
                ended, cpu_after, written = now, _cpu(pid), total
            if written and now - ended > QUIET_SECONDS:
                break
        share = load.records / max(ended - began, 0.001)
        return Figures(share, (cpu_after - cpu_before) / load.records * 1e6, _peak(pid))
    finally:
        await consumer.stop()


async def _end(consumer: AIOKafkaConsumer, topic: str) -> int:
    known = await consumer._client.fetch_all_metadata()
    if topic not in known.topics():
        return 0
    ends = await consumer.end_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
    return sum(ends.values())


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _peak(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def ours(bootstrap: str, topic: str, folder: Path, *, app_id: str) -> list[str]:
    """The command of our worker for a topic; its outputs are named after the app id."""
    config = folder / f"{app_id}.yaml"
    outputs = ", ".join(f"{role}: {{topic: {app_id}.{role}}}" for role in ("finalized", "dlq", "rejected"))
    config.write_text(f"inputs: [{{topic: {topic}}}]\noutputs: {{{outputs}}}\n")
    flags = ["--broker", bootstrap, "--app-id", app_id, "--config", str(config), "--web-port", "0"]
    return [sys.executable, "-m", "finalizer", "worker", *flags, "--session-timeout", "6", "--log-level", "warning"]
