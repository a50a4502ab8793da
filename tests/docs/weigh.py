"""What spans weigh in a worker's memory: `python -m tests.docs.weigh` prints the README's figures.

The road alone, without Kafka: the example's span many times over, open, and then finished.
"""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from resource import getpagesize
from typing import Any

from finalizer.core.model import Moment
from finalizer.pipeline import Road
from tests.docs.examples import BORN, END, SPAN, START, TOPIC, TRACE, Sent, line_of, new_road

SPANS = 200_000
FRAME = 2_000
NOW = BORN // 1_000_000


def main() -> None:
    """Weigh and print, each in a process of its own, so that one finds no memory that another has let go."""
    kinds = {"open": [START], "finished, remembered": [START, END]}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for kind, weight in zip(kinds, processes.map(weigh, kinds.values()), strict=True):
            sys.stdout.write(f"{weight:.0f} bytes a span that is {kind}\n")
    sys.stdout.write(f"({SPANS:,} spans; the start of each has {len(line_of(START))} bytes)\n")


def weigh(events: list[dict[str, Any]]) -> float:
    """Bytes of memory a span, when these events of each were heard."""
    lines = [line_of(event) for event in events]
    hear(new_road(), lines, FRAME)  # the memory that a frame needs for itself
    road = new_road()
    before = resident()
    hear(road, lines, SPANS)
    gc.collect()
    return (resident() - before) / SPANS


def hear(road: Road, lines: list[str], spans: int) -> None:
    """Let the road hear these lines of so many spans, frame by frame."""
    for first in range(0, spans, FRAME):
        frame = [record for number in range(first, first + FRAME) for record in records(number, lines)]
        road.hear(TOPIC, frame, Moment(BORN, BORN))
        road.watch.attend(Moment(BORN, BORN))


def records(number: int, lines: list[str]) -> list[Sent]:
    """The records of one span, with ids of its own."""
    trace, span = f"{number + 1:032x}", f"{number + 1:016x}"
    return [Sent(line.replace(TRACE, trace).replace(SPAN, span).encode(), number, NOW) for line in lines]


def resident() -> int:
    """Bytes of memory that this process holds (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()


if __name__ == "__main__":
    main()
