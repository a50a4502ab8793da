"""ASGI: a span for each request, and a flush when the server stops (FastAPI, Starlette, Django, Quart)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from finalizer.client.client import Client

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
FLUSH_SECONDS: Final = 2.0


class SpanMiddleware:
    """`app.add_middleware(SpanMiddleware, client=client)`. The caller's `traceparent` makes the request its child."""

    def __init__(self, app: App, client: Client) -> None:
        self._app = app
        self._client = client

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, self._at_the_end(send))
        elif scope["type"] == "http":
            await self._request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _request(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        traceparent = _header(scope, b"traceparent")
        method, path = scope.get("method", "HTTP"), scope.get("path", "")
        span = self._client.start_span(
            method,
            kind="server",
            span_type="http",
            traceparent=traceparent,
            tracestate=None if traceparent is None else _header(scope, b"tracestate"),
            attributes={"http.request.method": method, "url.path": path},
        )
        with span:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= 500:
                        span.set_status("error")
                await send(message)

            try:
                await self._app(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path", None)
                if isinstance(route, str):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)

    def _at_the_end(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.complete":
                import asyncio  # noqa: PLC0415 - the server has it, if it runs on it

                await asyncio.get_running_loop().run_in_executor(None, self._client.flush, FLUSH_SECONDS)
            await send(message)

        return sending


def _header(scope: MutableMapping[str, Any], wanted: bytes) -> str | None:
    """The last header of this name."""
    found = None
    for name, value in scope.get("headers", ()):
        if len(name) == len(wanted) and name.lower() == wanted:
            found = value.decode("latin-1")
    return found
