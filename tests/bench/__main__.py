"""`make bench`: our worker beside peers on the same records, rounds interleaved, the output checked; one table.

    make bench ARGS="--loads mixed,worst --rounds 3 --spans 500000 --scale 0.1"

On Apache Kafka (Java and Maven); without them on the embedded broker, and it says so.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from finalizer.bench.load import LOADS
from finalizer.bench.rounds import measured
from finalizer.bench.table import text
from finalizer.embedded import EmbeddedBroker
from tests.brokers.jars import KafkaUnavailable
from tests.brokers.kafka import ApacheKafka

TOGETHER = {"group.initial.rebalance.delay.ms": "1000"}
"""Two workers that start together share from the beginning."""


async def _all(bootstrap: str, given: argparse.Namespace, folder: Path) -> None:
    done = []
    for name in given.loads.split(","):
        load = LOADS[name].scaled(given.scale, given.spans)
        done.append(await measured(bootstrap, load, given.rounds, folder=folder, say=say))
    say(f"\n{text(done)}")


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)


def main() -> int:
    """Run, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--loads", default=",".join(LOADS), help=", ".join(LOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--spans", type=int, help="spans of each load, instead of its own number")
    parser.add_argument("--scale", type=float, default=1.0, help="everything so many times as large")
    given = parser.parse_args()
    unknown = set(given.loads.split(",")) - set(LOADS)
    if unknown:
        parser.error(f"no such load: {', '.join(sorted(unknown))}; there are {', '.join(LOADS)}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="span-finalizer-bench-")))
        try:
            bootstrap = stack.enter_context(ApacheKafka(settings=TOGETHER)).bootstrap
            say("on Apache Kafka, exactly once; broker and worker on this machine")
        except KafkaUnavailable as problem:
            say(f"NOT on Apache Kafka, on the embedded broker, effectively once: {problem}")
            bootstrap = stack.enter_context(EmbeddedBroker()).bootstrap
        asyncio.run(_all(bootstrap, given, folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
