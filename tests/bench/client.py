"""`python -m tests.bench.client`: what a span costs an app, beside the OpenTelemetry SDK's own, rounds interleaved.

    python -m tests.bench.client [--spans 50000] [--rounds 5]

Each side begins and ends the same spans with four attributes, in a process of its own, and has everything delivered at
the end. "App" is the time that the app's thread spends in calls, at a pace that leaves the background its time; "CPU"
is what the whole process takes. The SDK's exporter drops what it gets; ours makes every event's text. Then a small ASGI
app serves requests, with the client's middleware and without. Last, the memory of an app whose network is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from finalizer.client import Client
from finalizer.client.asgi import SpanMiddleware
from finalizer.client.events import Record
from finalizer.client.testing import MemorySink

ATTRIBUTES: Final[dict[str, str | int | float]] = {
    "device.model.name": "Pixel 9",
    "network.connection.type": "wifi",
    "items": 3,
    "total": 19.5,
}
PAUSE_EVERY = 100
PAUSE_SECONDS = 0.005
OUTAGE_EVENTS = 200_000
USERS = 8
THINK_SECONDS = 0.01


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


def requests(side: str, count: int) -> dict[str, float]:
    """Latency of a small ASGI app under load, in microseconds: each request computes, and waits for its turn."""
    client = Client(Nowhere(), "bench")

    async def app(_: object, __: object, send: Callable[..., Awaitable[None]]) -> None:
        for _turn in range(4):
            json.dumps([ATTRIBUTES] * 100)
            await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    served: Any = SpanMiddleware(app, client) if "ours" in side else app
    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    took: list[float] = []

    async def user() -> None:
        for _ in range(count // USERS):
            began = time.perf_counter_ns()
            await served(dict(scope), None, _ignore)
            took.append((time.perf_counter_ns() - began) / 1000)
            await asyncio.sleep(THINK_SECONDS)

    async def load() -> None:
        await asyncio.gather(*(user() for _ in range(USERS)))

    asyncio.run(load())
    client.close()
    took.sort()
    return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100]}


async def _ignore(_: object) -> None:
    """The server's side."""


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
    return requests(side, spans // 10) if side.startswith("asgi") else measure(side, spans)


def main() -> int:
    """Run, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.client", description=__doc__)
    parser.add_argument("--spans", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(one_side(given.side, given.spans)))
        return 0
    sides = ("sdk none", "sdk batch", "ours", "ours spool")
    rounds = [{side: child("--side", side, "--spans", str(given.spans)) for side in sides} for _ in range(given.rounds)]
    print(f"{given.spans:,} spans, {given.rounds} rounds, medians; µs a span{'':<14}{'app':>8}{'CPU':>8}")
    names = ("SDK without a processor", "SDK, BatchSpanProcessor", "finalizer.client", "finalizer.client with a spool")
    for side, name in zip(sides, names, strict=True):
        app, cpu = (statistics.median(one[side][what] for one in rounds) for what in ("app", "cpu"))
        print(f"{name:<58}{app:>8.1f}{cpu:>8.1f}")
    for what in ("app", "cpu"):
        ratios = [one["ours"][what] / one["sdk batch"][what] for one in rounds]
        print(f"ratio {what}, paired: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    # Twice without: what two runs of the same thing differ by is what the third may differ by.
    served = {"without": "asgi bare", "without, again": "asgi bare", "with finalizer.client": "asgi ours"}
    print(f"{'a request of a small ASGI app, µs':<58}{'p50':>8}{'p99':>8}")
    latencies = [
        {name: child("--side", app, "--spans", str(given.spans)) for name, app in served.items()}
        for _ in range(given.rounds)
    ]
    for title in served:
        p50, p99 = (statistics.median(one[title][part] for one in latencies) for part in ("p50", "p99"))
        print(f"{title:<58}{p50:>8.0f}{p99:>8.0f}")
    for part in ("p50", "p99"):
        for title in list(served)[1:]:
            ratios = [one[title][part] / one["without"][part] for one in latencies]
            told = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"ratio {part}, {title}, paired: {told}")
    memory = child("--side", "outage")
    told = ", ".join(f"{when} {size:.0f} MiB" for when, size in memory.items())
    print(f"sink down, {OUTAGE_EVENTS:,} events, 1,000 spans that beat: peak memory {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
