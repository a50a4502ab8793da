"""`python -m tests.bench.client`: what a span costs an app, beside the OpenTelemetry SDK's own, rounds interleaved.

    python -m tests.bench.client [--spans 50000] [--rounds 5]

Each side begins and ends the same spans with four attributes, in a process of its own, and has everything delivered at
the end. "App" is the time that the app's thread spends in calls, at a pace that leaves the background its time; "CPU"
is what the whole process takes. The SDK's exporter drops what it gets; ours makes every event's text. Then a small ASGI
app serves requests, with the client's middleware and without. Last, the memory of an app whose network is gone.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from finalizer.client import Client
from finalizer.client.events import Record
from finalizer.client.testing import MemorySink
from tests.bench import kept

ATTRIBUTES: Final[dict[str, str | int | float]] = {
    "device.model.name": "Pixel 9",
    "network.connection.type": "wifi",
    "items": 3,
    "total": 19.5,
}
PAUSE_EVERY = 100
PAUSE_SECONDS = 0.005
OUTAGE_EVENTS = 200_000


class Nowhere(MemorySink):
    """Takes everything, keeps nothing."""

    def send(self, records: Sequence[Record]) -> Sequence[int]:
        return ()


def ours(folder: str, *, spool: bool) -> tuple[Callable[[], None], Callable[[], object]]:
    """One span of ours, and how all is delivered."""
    client = Client(Nowhere(), "bench", spool=Path(folder) / "spool.db" if spool else None)

    def one() -> None:
        with client.span("job", kind="client", attributes=ATTRIBUTES):
            pass

    return one, lambda: client.flush(60)


def sdk(processor: str) -> tuple[Callable[[], None], Callable[[], object]]:
    """One span of the SDK, and how all is delivered."""
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.trace import SpanKind

    class Drop(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    if processor == "batch":
        provider.add_span_processor(BatchSpanProcessor(Drop(), max_queue_size=100_000))
    tracer = provider.get_tracer("bench")

    def one() -> None:
        with tracer.start_as_current_span("job", kind=SpanKind.CLIENT, attributes=ATTRIBUTES):
            pass

    return one, lambda: provider.force_flush(60_000)


def measure(side: str, spans: int) -> dict[str, float]:
    """Microseconds a span, in this process."""
    with tempfile.TemporaryDirectory(prefix="span-finalizer-bench-") as folder:
        one, deliver = sdk(side.removeprefix("sdk ")) if side.startswith("sdk") else ours(folder, spool="spool" in side)
        for _ in range(1000):
            one()
        deliver()
        in_app = 0
        began = time.process_time_ns()
        for number in range(spans):
            before = time.perf_counter_ns()
            one()
            in_app += time.perf_counter_ns() - before
            if not number % PAUSE_EVERY:
                time.sleep(PAUSE_SECONDS)
        deliver()
        return {"app": in_app / spans / 1000, "cpu": (time.process_time_ns() - began) / spans / 1000}


def outage() -> dict[str, float]:
    """Memory of an app that goes on while its sink is down, in MiB."""
    sink = MemorySink()
    sink.down = True
    client = Client(sink, "bench", heartbeat=0.5)
    open_spans = [client.start_span("open") for _ in range(1000)]
    peaks = []
    for _ in range(10):
        for _ in range(OUTAGE_EVENTS // 20):
            client.start_span("job", attributes=ATTRIBUTES).end()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert len(open_spans) == 1000
    return {"after a tenth": peaks[0], "at the end": peaks[-1]}


def child(*arguments: str) -> dict[str, float]:
    """Run a side in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "tests.bench.client", *arguments], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def one_side(side: str, spans: int) -> dict[str, float]:
    """What is run in a process of its own."""
    if side == "outage":
        return outage()
    return measure(side, spans)


def main() -> int:
    """Run, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.client", description=__doc__)
    parser.add_argument("--spans", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="keep the figures for README")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(one_side(given.side, given.spans)))
        return 0
    sides = ("sdk none", "sdk batch", "ours", "ours spool")
    rounds = [{side: child("--side", side, "--spans", str(given.spans)) for side in sides} for _ in range(given.rounds)]
    print(f"{given.spans:,} spans, {given.rounds} rounds, medians; µs a span{'':<14}{'app':>8}{'CPU':>8}")
    names = ("SDK without a processor", "SDK, BatchSpanProcessor", "finalizer.client", "finalizer.client with a spool")
    costs = {}
    for side, name in zip(sides, names, strict=True):
        app, cpu = costs[name] = [statistics.median(one[side][what] for one in rounds) for what in ("app", "cpu")]
        print(f"{name:<58}{app:>8.1f}{cpu:>8.1f}")
    paired = {}
    for side, name in zip(sides[2:], names[2:], strict=True):
        for what in ("app", "cpu"):
            ratios = [one[side][what] / one["sdk batch"][what] for one in rounds]
            middle, low, high = paired[f"{name}, {what}"] = statistics.median(ratios), min(ratios), max(ratios)
            print(f"{name}, {what}, paired with BatchSpanProcessor: {middle:.2f} ({low:.2f} to {high:.2f})")
    memory = child("--side", "outage")
    told = ", ".join(f"{when} {size:.0f} MiB" for when, size in memory.items())
    print(f"sink down, {OUTAGE_EVENTS:,} events, 1,000 spans that beat: peak memory {told}")
    if given.keep:
        kept.keep("client", spans=given.spans, rounds=given.rounds, costs=costs, paired=paired, outage=memory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
