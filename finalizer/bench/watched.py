"""A worker that also notes how long its event loop stood still. Run in place of `finalizer`:

    python -m finalizer.bench.watched FILE worker ...

Each stop of 10 ms and more is a line of FILE: when it ended (wall clock, ms), how long it was (ms), and how much of it
(ms) the loop's own thread computed; on a busy machine the rest is other people's.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
import time
from pathlib import Path
from typing import Final, NamedTuple, TextIO

from finalizer.shell import run as running
from finalizer.shell.settings import Settings

STEP_SECONDS: Final = 0.005
LEAST_SECONDS: Final = 0.010


class Stop(NamedTuple):
    """One stop of an event loop, in milliseconds."""

    at: float
    long: float
    computed: float


def stops(path: Path, since: float) -> list[Stop]:
    """What is in a file, from a moment (wall clock, ms) on."""
    found = [Stop(*map(float, line.split())) for line in path.read_text().splitlines() if line.count(" ") == 2]
    return [stop for stop in found if stop.at >= since]


async def _watch(file: TextIO) -> None:
    while True:
        due, computed = time.monotonic() + STEP_SECONDS, time.thread_time()
        await asyncio.sleep(STEP_SECONDS)
        late = time.monotonic() - due
        if late >= LEAST_SECONDS:
            own = time.thread_time() - computed
            file.write(f"{time.time() * 1000:.0f} {late * 1000:.1f} {own * 1000:.1f}\n")
            file.flush()


def main() -> None:
    """Run the command line with its loop watched."""
    path, *arguments = sys.argv[1:]
    serve = running._run

    async def watched(settings: Settings) -> int:
        with Path(path).open("w") as file:  # noqa: ASYNC230 - a line now and then
            watching = asyncio.create_task(_watch(file))
            try:
                return await serve(settings)
            finally:
                watching.cancel()

    running._run = watched
    sys.argv[1:] = arguments
    runpy.run_module("finalizer", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
