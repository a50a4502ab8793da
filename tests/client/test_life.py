"""The app's life: pauses, the end, signals, servers."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import pytest

from finalizer.client import Client
from finalizer.client.asgi import SpanMiddleware
from finalizer.client.testing import Capture, MemorySink, capture

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans() -> Iterator[Capture]:
    """A client whose spans are captured."""
    client = Client(MemorySink(), "test", heartbeat=10)
    with capture(client) as captured:
        yield captured
    client.close(0)


def test_a_paused_app_owes_nothing(spans: Capture) -> None:
    """Each open span says `background`, is silent until the app is back, says `foreground`, and beats again."""
    span = spans.client.start_span("sync")
    spans.client.on_pause()
    spans.advance(600)
    spans.client.on_resume()
    spans.advance(9)
    span.end()
    told = spans.span("sync")
    assert told.kinds[:3] == ["start", "lifecycle", "lifecycle"]
    assert set(told.kinds[3:-1]) == {"heartbeat"}  # once or twice: when it was due went on while it was silent
    assert told.kinds[-1] == "end"
    assert [event["state"] for event in told.events[1:3]] == ["background", "foreground"]


def test_a_pause_may_close_spans_with_what_they_have(spans: Capture) -> None:
    """`on_pause="partial"` on a span sends its closing summary; its real end supersedes."""
    span = spans.client.start_span("upload", on_pause="partial")
    span.progress(0.5)
    spans.client.on_pause()
    assert (spans.span("upload").reason, spans.span("upload").progress) == ("partial", 0.5)
    spans.client.on_pause()
    spans.client.on_resume()
    span.end("ok")
    told = spans.span("upload")
    assert (told.kinds, told.reason, told.status) == (["start", "end", "end"], "", "ok")


def test_a_summary_may_be_told_at_any_time(spans: Capture) -> None:
    """`partial` closes a span with what it has, and more."""
    spans.client.start_span("upload").partial({"sent": 3})
    assert (spans.span("upload").attributes, spans.span("upload").reason) == ({"sent": 3}, "partial")


def test_the_end_of_the_process_is_told(spans: Capture) -> None:
    """Open spans say `terminate`; what was told is sent."""
    spans.client.start_span("open")
    spans.client.start_span("ended").end()
    spans.client.on_terminate()
    assert spans.span("open").events[-1]["state"] == "terminate"
    assert spans.span("ended").ends == 1


def test_sigterm_closes_the_client_and_then_does_what_it_did_before() -> None:
    """An app's own handler is called after ours."""
    called: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: called.append(number))
    try:
        client = Client(MemorySink(), "test")
        client.end_with_sigterm()
        client.end_with_sigterm()
        sink = client._sink
        assert isinstance(sink, MemorySink)
        client.start_span("open")
        signal.raise_signal(signal.SIGTERM)
        assert called == [signal.SIGTERM]
        assert [event["type"] for event in sink.events] == ["start", "lifecycle"]
    finally:
        signal.signal(signal.SIGTERM, before)


async def request(
    spans: Capture, app: Callable[..., Awaitable[None]], scope: MutableMapping[str, Any]
) -> list[MutableMapping[str, Any]]:
    """What the app sends as an answer, through the middleware."""
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await SpanMiddleware(app, spans.client)(scope, receive, send)
    return sent


async def test_a_request_is_a_span(spans: Capture) -> None:
    """Method, path, route and status; the caller is the parent; what the handler does are its children."""

    class Route:
        path = "/photos/{id}"

    async def app(scope: MutableMapping[str, Any], _: object, send: Callable[..., Awaitable[None]]) -> None:
        scope["route"] = Route()
        with spans.client.span("query"):
            await send({"type": "http.response.start", "status": 503, "headers": []})

    headers = [(b"traceparent", CALLER.encode()), (b"x", b"\xff")]
    scope = {"type": "http", "method": "GET", "path": "/photos/7", "headers": headers}
    sent = await request(spans, app, scope)
    assert [message["status"] for message in sent] == [503]
    told = spans.span("GET /photos/{id}")
    assert told.attributes == {
        "http.request.method": "GET",
        "url.path": "/photos/7",
        "http.route": "/photos/{id}",
        "http.response.status_code": 503,
    }
    assert (told.status, told.parent_span_id, told.trace_id) == ("error", CALLER[36:52], CALLER[3:35])
    assert spans.span("query").parent_span_id == told.span_id


async def test_an_error_of_a_request_goes_on_its_way(spans: Capture) -> None:
    """The server sees it, and the span has it."""

    async def app(*_: object) -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await request(spans, app, {"type": "http", "method": "GET", "path": "/", "headers": []})
    assert spans.span("GET").status == "error"


async def test_a_server_that_stops_flushes(spans: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was told has arrived when the shutdown is complete; the loop is not blocked meanwhile."""
    flushed: list[float] = []

    async def app(_: object, __: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "lifespan.startup.complete"})
        assert flushed == []
        await send({"type": "lifespan.shutdown.complete"})

    def flush(seconds: float) -> bool:
        flushed.append(seconds)
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return True

    monkeypatch.setattr(spans.client, "flush", flush)
    sent = await request(spans, app, {"type": "lifespan"})
    assert flushed == [2.0]
    assert [message["type"] for message in sent] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


async def test_other_protocols_pass_through(spans: Capture) -> None:
    """A websocket is none of our business."""

    async def app(_: object, __: object, send: Callable[..., Awaitable[None]]) -> None:
        await send({"type": "websocket.accept"})

    assert await request(spans, app, {"type": "websocket"}) == [{"type": "websocket.accept"}]
    assert spans.spans == []
