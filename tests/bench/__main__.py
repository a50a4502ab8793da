"""`make bench`: our worker beside peers on the same records, rounds interleaved, the output checked; one table.

    make bench ARGS="--loads mixed,worst --rounds 3 --spans 500000 --scale 0.1"

On Apache Kafka (Java and Maven); without them on the embedded broker, and it says so.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from finalizer.bench.load import LOADS, Load
from finalizer.bench.rounds import Measured, measured
from finalizer.bench.table import of_rounds, text
from tests.bench import kept
from tests.bench.broker import broker, say


async def _all(bootstrap: str, loads: Sequence[Load], rounds: int, folder: Path) -> list[Measured]:
    return [await measured(bootstrap, load, rounds, folder=folder, say=say) for load in loads]


def main() -> int:
    """Run, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--loads", default=",".join(LOADS), help=", ".join(LOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spans", type=int, help="spans of each load, instead of its own number")
    parser.add_argument("--scale", type=float, default=1.0, help="everything so many times as large")
    parser.add_argument("--keep", action="store_true", help="for the README")
    given = parser.parse_args()
    unknown = set(given.loads.split(",")) - set(LOADS)
    if unknown:
        parser.error(f"no such load: {', '.join(sorted(unknown))}; there are {', '.join(LOADS)}")
    loads = [LOADS[name].scaled(given.scale, given.spans) for name in given.loads.split(",")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="span-finalizer-bench-")))
        bootstrap, what = stack.enter_context(broker())
        done = asyncio.run(_all(bootstrap, loads, given.rounds, folder))
    say(f"\n{text(done)}")
    if given.keep:
        kept.keep("bench", broker=what, rounds=given.rounds, loads=of_rounds(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
