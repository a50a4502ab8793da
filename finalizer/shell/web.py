"""The worker's HTTP: metrics, liveness, readiness and version. Read-only, and nothing about what a span holds.

It runs in the worker's own event loop, so a loop that hangs is a probe without an answer.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.aiohttp import make_aiohttp_handler

from finalizer.shell.metrics import About, Metrics
from finalizer.shell.stop import Exit, Stop

_PATHS: Final = "/metrics, /livez, /readyz and /version"
_GOODBYE_SECONDS: Final = 1.0
"""How long a request in hand may keep a stopping worker."""


class Health(Protocol):
    """What the probes ask of the worker. All three answer at once: no I/O, no waiting."""

    def live(self) -> str | None:
        """None while its loops and its consumer make progress, else a sentence that says what is stuck.

        A restart must be the cure: being behind, or a broker that is gone, is not being stuck.
        """

    def ready(self) -> str | None:
        """None once the partitions are restored, else a sentence that says what is awaited, or that it was fenced."""

    def detail(self) -> Mapping[str, object]:
        """What `/readyz` tells beside `ready` and `reason`: `partitions`, each with number, state, lag and pauses.

        Values are those of JSON, or msgspec Structs of them.
        """


class Web:
    """The server. `port` 0 takes a free one; after `start` the property `port` tells which."""

    def __init__(self, bind: str, port: int, *, metrics: Metrics, health: Health, about: About) -> None:
        self._bind = bind
        self._port = port
        self._health = health
        self._about = about
        app = web.Application(middlewares=[_refusals])
        app.router.add_get("/metrics", make_aiohttp_handler(metrics.registry))
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/version", self._version)
        # A probe every second and a scrape every few are not events: no access log.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_GOODBYE_SECONDS)

    @property
    def port(self) -> int:
        """The port it listens on, or is to listen on."""
        return self._port

    async def start(self) -> None:
        """Listen. Raises `Stop` (wrong configuration) where this address and port cannot be had."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._bind, self._port).start()
        except (OSError, OverflowError) as problem:
            await self._runner.cleanup()
            raise Stop(
                Exit.CONFIGURATION,
                f"The web server cannot listen on {self._bind}:{self._port} ({_why(problem)}): choose another place"
                " with --web-bind and --web-port, where port 0 takes a free one.",
            ) from problem
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening; requests in hand have a second. A second call does nothing."""
        await self._runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        reason = self._health.live()
        return _answer({"live": reason is None, "reason": reason}, 200 if reason is None else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        reason = self._health.ready()
        body = {"ready": reason is None, "reason": reason, **self._health.detail()}
        return _answer(body, 200 if reason is None else 503)

    async def _version(self, _: web.Request) -> web.Response:
        return _answer(self._about)


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What is not served is refused in one sentence, as JSON."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as refused:
        allowed = ", ".join(sorted(refused.allowed_methods))
        answer = _answer({"error": f"This server is read-only: {allowed} only."}, refused.status)
        answer.headers["Allow"] = allowed
        return answer
    except web.HTTPException as refused:
        return _answer({"error": f"{refused.reason}. Here are {_PATHS}."}, refused.status)


def _answer(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def _why(problem: OSError | OverflowError) -> str:
    """The system's word for it, which asyncio wraps in many of its own."""
    number = problem.errno if isinstance(problem, OSError) else None
    return os.strerror(number) if number is not None and number > 0 else str(problem)
