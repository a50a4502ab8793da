"""`make bench-check`: does the pure road cost more than it did? Ratios in one process, which a busy machine keeps.

    make bench-check                 compares with baseline.json; exit 1 beyond what noise explains
    make bench-check ARGS="--set"    writes the baseline anew, after a change that is meant

Each part of the road and a yardstick (the standard library's JSON parser and a dict, over the same records) take turns
for many rounds, in processor time. The least of each is what it costs when nobody is in the way, and their ratio
depends little on the machine. Baselines of the compiled rooms and of pure Python are two. Compiled rooms are weighed,
too: what a span takes in memory depends on no machine at all.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Final

from finalizer import RUNNING
from finalizer.bench.events import Row, Traffic
from finalizer.bench.load import LOADS, PARTITIONS
from finalizer.codecs.native import NativeDecoder
from finalizer.core.model import Coordinates
from finalizer.shell.run import COLLECT_AFTER
from tests.bench import kept, memory
from tests.bench.road import NOW_MS, Lane, frames, seconds

BASELINE: Final = Path(__file__).with_name("baseline.json")
ALLOWED: Final = 1.15
"""A ratio may be so many times its baseline."""
SPANS: Final = 3_000
ROUNDS: Final = 25
WEIGHED: Final = 200_000
"""Spans of each kind."""


def traffic(name: str) -> list[Row]:
    """One partition of a small load."""
    load = replace(LOADS[name], spans=SPANS * PARTITIONS, open_spans=min(LOADS[name].open_spans, 600 * PARTITIONS))
    return list(Traffic(load, NOW_MS).rows(0))


def yardstick(rows: list[Row]) -> float:
    """Parse every record, and keep the last of each span."""
    last = {}
    began = process_time()
    for row in rows:
        told = json.loads(row.value)
        last[told["trace_id"]] = told
    return process_time() - began


def decoding(rows: list[Row]) -> float:
    """Decode every record."""
    decode, where = NativeDecoder().decode, Coordinates("spans.events", 0, 0, NOW_MS * 1_000_000)
    began = process_time()
    for row in rows:
        decode(row.value, where)
    return process_time() - began


def whole_road(rows: list[Row]) -> float:
    """Decode, law, encode, changelog."""
    return seconds(Lane(), list(frames(rows)))


PARTS: Final[dict[str, tuple[str, Callable[[list[Row]], float]]]] = {
    "decode": ("mixed", decoding),
    "road, mixed": ("mixed", whole_road),
    "road, worst": ("worst", whole_road),
    "road, short": ("short", whole_road),
}


def ratios(rounds: int) -> dict[str, float]:
    """What each part costs, in yardsticks."""
    gc.set_threshold(*COLLECT_AFTER)
    found = {}
    for name, (load, part) in PARTS.items():
        rows = traffic(load)
        both = [(part(rows), yardstick(rows)) for _ in range(rounds)]
        ours, theirs = map(min, zip(*both, strict=True))
        found[name] = ours / theirs
    return found


def main() -> int:
    """Compare, print the table; 1 if a part costs more than it may."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.check", description=__doc__)
    parser.add_argument("--set", action="store_true", help="write the baseline anew")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    kind = "compiled" if RUNNING.value == "compiled" else "pure"
    baselines: dict[str, dict[str, float]] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    now = ratios(given.rounds)
    if given.set:
        rounded = {name: round(ratio, 3) for name, ratio in now.items()}
        BASELINE.write_text(json.dumps(baselines | {kind: rounded}, indent=1, sort_keys=True) + "\n")
    before = {**now, **({} if given.set else baselines.get(kind, {}))}
    slower = [name for name in PARTS if now[name] > before[name] * ALLOWED]
    rows = [[name, f"{now[name]:.3f}", f"{before[name]:.3f}", f"{now[name] / before[name]:.2f} ×"] for name in PARTS]
    print(kept.table([f"{kind}, in yardsticks", "now", "baseline", "of it"], rows))
    if slower:
        print(f"slower by more than {ALLOWED - 1:.0%}: {', '.join(slower)}", file=sys.stderr)
    return int(bool(slower) | (kind == "compiled" and not light()))


def light() -> bool:
    """True if no span takes more than it may; prints what each takes."""
    weights = memory.weigh_all(WEIGHED)
    heavy = memory.too_heavy(weights)
    print(f"\n{memory.printed(weights)}")
    if heavy:
        print(
            f"heavier than they may be, beside a start of {memory.start_bytes()}: {'; '.join(heavy)}", file=sys.stderr
        )
    return not heavy


if __name__ == "__main__":
    sys.exit(main())
