"""`make profile`: where a worker's time goes, in microseconds an event, from stacks sampled of a real run.

    make profile ARGS="--load mixed --scale 0.5"

py-spy looks at the worker's process from outside, compiled functions and C included, from its first final to its last.
The time of a stage is its share of the samples, of the processor time that the run took. Needs the right to look at
another process (root, or /proc/sys/kernel/yama/ptrace_scope 0).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from finalizer.bench.load import LOADS, Load, Scene
from finalizer.bench.run import Figures, measure, worker
from finalizer.bench.topic import fill
from tests.bench import kept
from tests.bench.broker import broker, say
from tests.bench.stages import Stage, shares

SAMPLES_A_SECOND = 100
PROMPTLY = "safety: {settle: 1s, outage: {min_spans: 1000000000}}\n"
"""What is due is closed right after the log is read: waiting would be sampled, too. And a worker that is sampled may
read for so long that the log's end looks like an outage."""
LONGER_THAN_ANY_RUN = "3600"


@contextlib.contextmanager
def sampled(pid: int, into: Path) -> Iterator[None]:
    """Sample the stacks of a process into a file."""
    program = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    rate = ["--rate", str(SAMPLES_A_SECOND), "--duration", LONGER_THAN_ANY_RUN]
    command = [program, "record", "--native", "--format", "raw", *rate, "--pid", str(pid), "--output", str(into)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        if not into.exists():
            raise SystemExit(f"py-spy could not look at the worker: {said.strip()}")


async def profiled(bootstrap: str, load: Load, folder: Path) -> tuple[Figures, dict[Stage, float]]:
    """One run of a load, and the share of each stage."""
    raw = folder / "stacks"
    filled = await fill(bootstrap, "bench-profile", load)
    command = worker(bootstrap, load, filled.topic, folder=folder, app_id="bench-profile-app")
    figures = await measure(
        bootstrap,
        filled,
        "bench-profile-app.finalized",
        commands=[command],
        beside=lambda pid: sampled(pid, raw),
    )
    return figures, shares(raw.read_text())


def main() -> int:
    """Run, print the table, return 0."""
    names = [load.name for load in LOADS.values() if load.scene is Scene.READ and load.workers == 1]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profile", description=__doc__)
    parser.add_argument("--load", choices=names, default="mixed")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--keep", action="store_true", help="for the README")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="span-finalizer-profile-")))
        bootstrap, _ = stack.enter_context(broker())
        figures, parts = asyncio.run(
            profiled(
                bootstrap, replace(LOADS[given.load].scaled(given.scale), policy=PROMPTLY, quiet_seconds=3.0), folder
            )
        )
    whole = figures.cpu_seconds_a_million
    rows = [[stage.value, f"{share * whole:.2f}", f"{share:.1%}"] for stage, share in parts.items()]
    say(f"\n{given.load}: {figures.events_a_second:,.0f} events/s while sampled, {whole:.2f} µs an event")
    say(kept.table(["stage", "µs an event", "share"], rows))
    if given.keep:
        stages = {stage.value: share for stage, share in parts.items()}
        kept.keep("profile", load=given.load, microseconds=whole, stages=stages)
    return 0


if __name__ == "__main__":
    sys.exit(main())
