"""`python -m tests.bench.served SIDE SOCKET`: the small app of `tests.bench.asgi`, served by uvicorn in this process.

A request computes for about a millisecond and waits for another one, as if for a database. Its span is told by nobody,
by `SpanMiddleware` to a client with a spool, or by the OpenTelemetry SDK to a BatchSpanProcessor. Both deliver to an
exporter that drops what it gets: no network is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

from finalizer.client import Client
from finalizer.client.asgi import App, SpanMiddleware
from tests.bench.client import ATTRIBUTES, Nowhere

COMPUTED = [ATTRIBUTES] * 150
WAIT_SECONDS = 0.001


async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
    """A small JSON service."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    found = json.loads(json.dumps(COMPUTED))
    await asyncio.sleep(WAIT_SECONDS)
    total = sum(one["total"] for one in json.loads(json.dumps(found)))
    body = json.dumps({"path": scope["path"], "total": total}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def with_client(folder: Path, *, spool: bool) -> App:
    """The app with the client's middleware."""
    return SpanMiddleware(app, Client(Nowhere(), "bench", spool=folder / "spool.db" if spool else None))


def with_sdk(_: Path) -> App:
    """The app with the SDK, and a span that says the same."""
    from opentelemetry.propagate import extract
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.trace import SpanKind

    class Drop(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            assert all(isinstance(span, ReadableSpan) for span in spans)
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Drop()))
    tracer = provider.get_tracer("bench")

    async def traced(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        over = extract(headers)
        with tracer.start_as_current_span(scope["method"], over, kind=SpanKind.SERVER, attributes=attributes) as span:

            async def sending(message: Any) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await app(scope, receive, sending)

    return traced


SIDES: dict[str, Callable[[Path], App]] = {
    "nothing": lambda _: app,
    "nothing, again": lambda _: app,
    "finalizer.client with a spool": lambda folder: with_client(folder, spool=True),
    "finalizer.client": lambda folder: with_client(folder, spool=False),
    "SDK, BatchSpanProcessor": with_sdk,
}


def main() -> None:
    """Serve until somebody ends it."""
    side, socket = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="span-finalizer-bench-") as folder:
        served: Any = SIDES[side](Path(folder))
        uvicorn.run(served, uds=socket, log_level="warning", access_log=False, timeout_keep_alive=600)


if __name__ == "__main__":
    main()
