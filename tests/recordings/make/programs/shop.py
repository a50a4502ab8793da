"""The program whose spans are recorded: a shop with a mail service, traced by hand through OpenTelemetry's API alone.

Runs in the producers' environments. It ends as a crash does, by SIGKILL, with spans open and with spans ended that
were not sent yet.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

from opentelemetry import propagate, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from tests.recordings.make.programs.truth import Truth, pause

SCHEMA = "https://opentelemetry.io/schemas/1.26.0"
RESOURCES = [
    Resource({"service.name": "shop", "service.version": "4.2.0"}),
    Resource({"service.name": "mail"}),
]
VALUES = {
    "of.string": 'Größe ✓ "quoted" \\ \n\u2028',
    "of.bool": False,
    "of.int": -(2**63),
    "of.double": 5e-324,
    "of.whole.double": 3.0,
    "of.infinity": math.inf,
    "of.strings": ("a", ""),
    "of.ints": (1, 2**63 - 1),
    "of.nothing": (),
    "of.bytes": b"bytes",
}
REMOTE = {
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tracestate": "vendor=1,other=2",
}
LINKED = SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, False, TraceFlags(1))
LINKED_STATE = SpanContext(
    0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203332, True, TraceFlags(0), TraceState([("a", "b")])
)


def run(shop: trace.Tracer, mail: trace.Tracer, truth: Truth, *, flush: Callable[[], None], beats: bool) -> None:
    """Do the shop's work up to the crash. `flush` sends what has ended; `beats`: spans tell that they live."""
    wait = truth.wait_for_heartbeats if beats else lambda: None
    job = shop.start_span("nightly job", attributes={"job.step": 1})
    upload = shop.start_span("upload", attributes={"upload.percent": 10, "device.model.name": "Pixel 9"})
    checkout(shop, wait)
    with shop.start_as_current_span("quick", attributes={"quick": True}):
        pass
    upload.set_attributes({"upload.percent": 40, "upload.server": "eu-1"})
    job.set_attributes({"job.step": 2, "job.rows": 17})
    render = consume(mail)
    in_upload = trace.set_span_in_context(upload)
    failing = shop.start_span("chunk 2", in_upload, kind=SpanKind.CLIENT)
    failing.record_exception(ConnectionResetError("connection reset by peer"))
    failing.set_status(Status(StatusCode.ERROR, "connection reset by peer"))
    job.set_attribute("job.step", 3)
    job.set_status(Status(StatusCode.OK))
    job.end()
    flush()
    with shop.start_as_current_span("chunk 1", in_upload, kind=SpanKind.CLIENT):
        wait()
    del render


def checkout(shop: trace.Tracer, wait: Callable[[], None]) -> None:
    """A request with children, all of which end."""
    with shop.start_as_current_span(
        "POST /checkout", kind=SpanKind.SERVER, attributes={"http.request.method": "POST", "http.route": "/checkout"}
    ) as request:
        request.add_event("cart.loaded", {"items": 3, "skus": ("a-1", "b-2")})
        try:
            with shop.start_as_current_span("reserve stock", kind=SpanKind.CLIENT):
                pause(0.01)
                raise LookupError("sold out")
        except LookupError:
            request.add_event("cart.emptied")
        links = [Link(LINKED), Link(LINKED_STATE, {"link.reason": "retry", "link.try": 2})]
        with shop.start_as_current_span("send mail", kind=SpanKind.PRODUCER, attributes=VALUES, links=links):
            wait()
        request.set_status(Status(StatusCode.OK))


def consume(mail: trace.Tracer) -> trace.Span:
    """A span whose parent lies in another process, with a child that never ends."""
    with mail.start_as_current_span("consume mail", propagate.extract(REMOTE), kind=SpanKind.CONSUMER):
        return mail.start_span("render mail", attributes={"template": "welcome"})


def crash(truth: Truth, path: Path) -> None:
    """Write the truth down and end as a power cut would."""
    truth.write(path)
    os.kill(os.getpid(), signal.SIGKILL)
