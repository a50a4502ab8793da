"""An app under gunicorn, which forks its workers from a process that has the app: configuration and app in one module.

`python -m gunicorn -c python:tests.client.served tests.client.served:app`; what differs is in the environment.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - before the SDK, whose own handler hangs in a child's child else (1.45)
import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from finalizer.client import Client
from finalizer.client.otel import FinalizerSpanProcessor

preload_app = True
workers = 3
graceful_timeout = 20
control_socket_disable = True
bind = f"unix:{os.environ['SERVED_SOCKET']}"

BEAT: Final = 0.05
LONG_SECONDS: Final = 0.5

if "SERVED_LARGEST_FILE" in os.environ:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(os.environ["SERVED_LARGEST_FILE"]), most))

client = Client(
    os.environ["SERVED_SINK"],
    "served",
    spool=os.environ.get("SERVED_SPOOL"),
    heartbeat=BEAT,
    flush_before_exit=float(os.environ.get("SERVED_EXIT_SECONDS", "10")),
)
provider = TracerProvider(resource=Resource({"service.name": "served"}))
provider.add_span_processor(FinalizerSpanProcessor(client))
tracer = provider.get_tracer("served")
tracer.start_span("boot").end()
reigning = tracer.start_span("master")
"""Open while the workers are forked, and ended by the process that began it."""


def on_exit(_: Any) -> None:
    """The master ends."""
    reigning.end()


def quick() -> object:
    """Nothing special."""
    return os.getpid()


def long() -> object:
    """Long enough to beat."""
    time.sleep(LONG_SECONDS)
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("finalizer-"))


def pool() -> object:
    """A request that forks by itself."""
    child = multiprocessing.get_context("fork").Process(target=_in_pool)
    child.start()
    child.join(20)
    return child.exitcode


def _in_pool() -> None:
    tracer.start_span("pooled").end()
    assert client.flush(10)


PATHS: Final[dict[str, Callable[[], object]]] = {"/quick": quick, "/long": long, "/pool": pool}


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> Iterable[bytes]:
    """Each request is a span with the number that its caller gave to it."""
    with tracer.start_as_current_span("request", attributes={"number": int(environ["QUERY_STRING"])}):
        tracer.start_span("inner").end()
        body = json.dumps(PATHS[environ["PATH_INFO"]]()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
