"""What a span takes, in bytes: `python -m tests.bench.memory`, in process, no broker.

In memory: by what the process holds more of after so many spans (resident pages); each kind in a process of its own, so
that one finds no memory that another has let go. In the changelog: keys and values, as one group writes them.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from resource import getpagesize
from typing import NamedTuple

from finalizer.bench.events import Row, Traffic
from finalizer.bench.load import PARTITIONS, Load
from tests.bench import kept
from tests.bench.road import FRAME, LATER, NOW_MS, Lane, frames


class Weight(NamedTuple):
    """Bytes a span."""

    memory: float
    changelog: float


KINDS = {
    "open, not yet beaten": ("start",),
    "open, has beaten": ("start", "beat"),
    "finished, remembered": ("start", "end"),
}


KEPT = {"open, not yet beaten": 500, "open, has beaten": 500, "finished, remembered": 100}
"""Bytes in memory that compiled rooms may take for a span, beside the start that an open one keeps."""
WRITTEN = 20
"""Bytes in the changelog for one that finished within a group."""


def told(kind: tuple[str, ...], spans: int) -> Iterator[Row]:
    """These records of each span; what is said of one span is in one frame, and so in one group."""
    write = Traffic(Load("memory", "", FRAME * PARTITIONS, 0, beats=3), NOW_MS).writes
    for number in range(spans):
        for part in kind:
            match part:
                case "start":
                    yield Row(NOW_MS, None, write.start(number, NOW_MS))
                case "beat":
                    yield Row(NOW_MS, None, write.beat(number, NOW_MS, 1))
                case _:
                    yield Row(NOW_MS, None, write.end(number, NOW_MS))


def weigh(kind: str, spans: int) -> Weight:
    """What one span of a kind takes."""
    parts = KINDS[kind]
    warm = Lane()
    for frame in frames(told(parts, FRAME)):
        warm.hear(frame)  # the memory that a frame needs for itself
    gc.collect()
    lane, written, before = Lane(), 0, resident()
    for frame in frames(told(parts, spans)):
        written += lane.hear(frame)
        lane.tick(NOW_MS * 1_000_000 + LATER)
    gc.collect()
    return Weight((resident() - before) / spans, written / spans)


def weigh_all(spans: int) -> dict[str, Weight]:
    """What one span of each kind takes."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        return {kind: processes.submit(weigh, kind, spans).result() for kind in KINDS}


def start_bytes() -> int:
    """The size of a start."""
    return len(next(told(("start",), FRAME)).value)


def too_heavy(weights: dict[str, Weight]) -> list[str]:
    """The kinds that take more than they may."""
    start = start_bytes()
    beyond = [kind for kind, most in KEPT.items() if weights[kind].memory > most + start * kind.startswith("open")]
    return beyond + ["finished, in the changelog"] * (weights["finished, remembered"].changelog > WRITTEN)


def printed(weights: dict[str, Weight]) -> str:
    """The weights as a table."""
    rows = [[kind, f"{weight.memory:.0f}", f"{weight.changelog:.0f}"] for kind, weight in weights.items()]
    return kept.table(["a span that is", "bytes in memory", "bytes written to the changelog"], rows)


def resident() -> int:
    """Bytes of memory that this process holds (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


def main() -> int:
    """Weigh, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.memory", description=__doc__)
    parser.add_argument("--spans", type=int, default=400_000)
    parser.add_argument("--keep", action="store_true", help="for the README")
    given = parser.parse_args()
    weights, start = weigh_all(given.spans), start_bytes()
    print(f"{given.spans:,} spans; a start has {start} bytes")
    print(printed(weights))
    if given.keep:
        kept.keep("memory", spans=given.spans, start=start, weights={k: w._asdict() for k, w in weights.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
