"""`make bench`: our worker beside a stock Faust agent with a Table, the same job, rounds interleaved, output checked.

    python -m tests.bench [--spans 300000] [--rounds 3]

Needs Java and Maven for Apache Kafka; without them it runs on the embedded broker, and says so.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import uuid
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from finalizer.embedded import EmbeddedBroker
from tests.bench.load import PARTITIONS, Load, write
from tests.bench.runs import Figures, measure, ours
from tests.brokers.jars import KafkaUnavailable
from tests.brokers.kafka import ApacheKafka

STOCK_SHARE = 20
"""The stock agent gets one in so many of our spans: it is that much slower."""
OPEN_SPANS = 20_000


async def _rounds(bootstrap: str, spans: int, rounds: int, folder: Path) -> tuple[list[Figures], list[Figures]]:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    load, small = Load(spans, OPEN_SPANS), Load(spans // STOCK_SHARE, OPEN_SPANS // STOCK_SHARE)
    await write(bootstrap, name, load)
    mine: list[Figures] = []
    stock: list[Figures] = []
    for number in range(rounds):
        app_id = f"{name}-{number}"
        command = ours(bootstrap, name, folder, app_id=app_id)
        mine.append(await measure(bootstrap, f"{app_id}.finalized", load, command))
        topic = f"{name}-small-{number}"
        await write(bootstrap, topic, small)
        env = {
            "BENCH_BROKER": bootstrap,
            "BENCH_TOPIC": topic,
            "BENCH_PARTITIONS": str(PARTITIONS),
            "F_DATADIR": str(folder / topic),
        }
        command = [sys.executable, "-m", "tests.bench.stock", "worker", "-l", "warn", "--without-web"]
        stock.append(await measure(bootstrap, f"{topic}.stock", small, command, env=env))
        print(f"round {number + 1}: ours {mine[-1].records_a_second:,.0f}/s, stock {stock[-1].records_a_second:,.0f}/s")
    return mine, stock


def _row(name: str, figures: Iterable[Figures]) -> str:
    runs = list(figures)
    rates = [one.records_a_second for one in runs]
    cpu = statistics.median(one.cpu_seconds_a_million for one in runs)
    peak = max(one.peak_mib for one in runs)
    spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
    return f"{name:<38}{statistics.median(rates):>12,.0f}{spread:>22}{cpu:>12.1f}{peak:>10,.0f}"


def main() -> int:
    """Run, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--spans", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="span-finalizer-bench-")))
        try:
            bootstrap = stack.enter_context(ApacheKafka()).bootstrap
            print("on Apache Kafka, exactly once; broker and worker on this machine")
        except KafkaUnavailable as problem:
            print(f"NOT on Apache Kafka, on the embedded broker, effectively once: {problem}")
            bootstrap = stack.enter_context(EmbeddedBroker()).bootstrap
        mine, stock = asyncio.run(_rounds(bootstrap, given.spans, given.rounds, folder))
    print(f"\nstart + end, every span stored; {given.spans:,} spans, {OPEN_SPANS:,} open")
    print(f"{'':<38}{'records/s':>12}{'spread':>22}{'CPU s/M':>12}{'peak MiB':>10}")
    print(_row("span-finalizer, one worker", mine))
    print(_row("stock Faust agent + Table, one worker", stock))
    ratios = [a.records_a_second / b.records_a_second for a, b in zip(mine, stock, strict=True)]
    print(f"ratio, paired: {statistics.median(ratios):.1f} x ({min(ratios):.1f} to {max(ratios):.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
