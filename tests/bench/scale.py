"""What an event costs by what is open, and by partitions: `python -m tests.bench.scale`, in process, no broker.

So many spans stand open already; then the mixed load (start, 3 heartbeats, end) passes, at equal density. The collector
is set as the worker sets it. Each point is a process of its own; the least of some rounds counts.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Final

from finalizer.bench.events import Row, Traffic, pilot_rows
from finalizer.bench.load import MIXED, PARTITIONS
from finalizer.shell.run import COLLECT_AFTER
from finalizer.sim.broker import Record
from tests.bench import kept
from tests.bench.road import NOW_MS, Lane, frames, seconds

OPEN: Final = (1_000, 10_000, 100_000, 500_000, 1_000_000, 2_000_000)
LANES: Final = (1, 2, 4, 8, 16, 32, 64)
MEASURED_SPANS: Final = 16_000
MANY: Final = 100_000
FAR: Final = 10**9
"""Numbers of the spans that stand open, out of the way of those that pass."""


def standing(count: int) -> list[Row]:
    """The starts of spans that never say anything again."""
    return [next(pilot_rows(FAR + number, NOW_MS - 1_800_000)) for number in range(count)]


def passing() -> list[Row]:
    """One partition of the mixed load."""
    load = replace(MIXED, spans=MEASURED_SPANS * PARTITIONS, open_spans=1_000 * PARTITIONS)
    return list(Traffic(load, NOW_MS).rows(0))


def point(open_spans: int, lanes: int, rounds: int) -> float:
    """Microseconds an event, with so many open over so many partitions."""
    gc.set_threshold(*COLLECT_AFTER)
    all_rows = passing()
    share = len(all_rows) // rounds
    worked = [Lane(number, lanes) for number in range(lanes)]
    offsets = []
    for number, lane in enumerate(worked):
        count = 0
        for frame in frames(standing(open_spans // lanes), number):
            lane.hear(frame)
            count += len(frame)
        offsets.append(count)
    gc.collect()
    gc.freeze()
    times = []
    for turn in range(rounds):
        rows = all_rows[turn * share : (turn + 1) * share]
        parts: list[list[list[Record]]] = []
        for number in range(lanes):
            mine = [row for row in rows if int(row.key or b"0", 16) % lanes == number]
            parts.append(list(frames(mine, number, first=offsets[number])))
            offsets[number] += len(mine)
        took = sum(seconds(lane, part) for lane, part in zip(worked, parts, strict=True))
        times.append(took / len(rows) * 1e6)
    return min(times)


def curve(points: Sequence[tuple[int, int]], rounds: int) -> list[float]:
    """Each point in a process of its own, one after the other."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        return [processes.submit(point, *one, rounds).result() for one in points]


def main() -> int:
    """Measure, print both curves, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scale", description=__doc__)
    parser.add_argument("--most", type=int, default=OPEN[-1], help="most open spans")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--keep", action="store_true", help="for the README")
    given = parser.parse_args()
    sizes = [size for size in OPEN if size <= given.most]
    many = min(MANY, given.most)
    told = curve([*((size, 1) for size in sizes), *((many, lanes) for lanes in LANES)], given.rounds)
    by_open = {f"{size:,}": us for size, us in zip(sizes, told, strict=False)}
    by_lanes = {str(lanes): us for lanes, us in zip(LANES, told[len(sizes) :], strict=True)}
    print(kept.table(["open spans, one partition", "µs an event"], [[n, f"{us:.2f}"] for n, us in by_open.items()]))
    print(kept.table([f"\npartitions, {many:,} open", "µs an event"], [[n, f"{u:.2f}"] for n, u in by_lanes.items()]))
    if given.keep:
        kept.keep("scale", open=by_open, partitions=by_lanes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
