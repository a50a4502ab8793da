"""Operations that are tried again: one span for all attempts, wherever they are made (PROTOCOL: operations).

A failed attempt does not end the span: it waits, and beats, for the next one. If none comes within `keep` the span is
given up, at the moment at which the last one ended.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Final

from finalizer.client.attributes import clean, is_a, merge
from finalizer.client.clock import MILLISECOND
from finalizer.client.context import Mark, attach, detach
from finalizer.client.deadlines import Deadlines
from finalizer.client.emitter import Emitter
from finalizer.client.ids import SpanContext
from finalizer.client.left import Left
from finalizer.client.settings import OperationOptions
from finalizer.client.span import Identity, Span, Stand

ATTEMPT: Final = "op.attempt"
STATUS: Final = "span_status"
"""`resumed`, from the second attempt on."""


class Operations:
    """The operations that this process knows of and that are not over. Safe for any thread."""

    def __init__(self, emitter: Emitter, deadlines: Deadlines) -> None:
        self._emitter = emitter
        self._deadlines = deadlines
        self._lock = threading.Lock()
        self._open: dict[str, Span] = {}

    def begin(self, op_id: str, name: str, options: OperationOptions) -> Span:
        """The span of this operation, for one more attempt."""
        with self._lock:
            span = self._open.get(op_id)
            if span is None or not span.is_open:
                first = options.copy()
                given: object = options.get("attributes")
                first["attributes"] = {ATTEMPT: 1, **given} if is_a(given, dict) else {ATTEMPT: 1}
                span = self._emitter.operation(name, op_id, first)
                self._open[op_id] = span
                return span
        self._deadlines.discard(span)
        made = span.attributes.get(ATTEMPT)
        span.set_attributes({ATTEMPT: made + 1 if isinstance(made, int) else 2, STATUS: "resumed"})
        self._emitter.again(span)
        return span

    def failed(self, span: Span, error: BaseException) -> None:
        """An attempt has failed, and another one may come."""
        stood = span.status
        attributes = dict(span.attributes)
        span.record_exception(error)
        wrong, span.status = span.status, stood
        span.attributes = attributes  # what failed once is no property of what may still succeed
        self._wait(span, "abandoned", self._emitter.now(span), wrong)

    def ended(self, span: Span) -> None:
        """The operation is over."""
        self._deadlines.discard(span)
        with self._lock:
            if self._open.get(span.identity.op_id) is span:
                del self._open[span.identity.op_id]

    def adopt(self, left: Left) -> None:
        """Keep what an earlier run left open, so that it can be resumed; if it is not, it ends as `restarted`."""
        span = _span_of(left, self._emitter)
        with self._lock:
            if span.identity.op_id in self._open:
                return
            self._open[span.identity.op_id] = span
        self._emitter.adopt(span)
        self._wait(span, "restarted", left.last_at, span.status)

    def _wait(self, span: Span, reason: str, at: int, status: dict[str, str] | None) -> None:
        emitter = self._emitter
        emitter.suspend(span)

        def give_up() -> None:
            if span.stand is Stand.SUSPENDED:
                span.status = status
                emitter.end(span, reason, at=at)
                self.ended(span)

        self._deadlines.add(span, emitter.settings.keep, emitter.clock.monotonic(), give_up)


class Attempt:
    """One attempt as a block: `with client.resume(op_id, name) as span`. An error leaves the operation open."""

    def __init__(self, operations: Operations, op_id: str, name: str, options: OperationOptions) -> None:
        self._operations = operations
        self._given = (op_id, name, options)
        self._span: Span | None = None
        self._mark: Mark | None = None

    def __enter__(self) -> Span:
        self._span = self._operations.begin(*self._given)
        self._mark = attach(self._span)
        return self._span

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        span, mark = self._span, self._mark
        if span is None or mark is None:
            return
        detach(mark)
        if error is not None and span.is_open:
            self._operations.failed(span, error)
        else:
            span.end()
            self._operations.ended(span)

    async def __aenter__(self) -> Span:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)


def _span_of(left: Left, emitter: Emitter) -> Span:
    known: dict[str, Any] = left.known
    identity = Identity(
        str(known.get("name", "")),
        str(known.get("parent_span_id", "")),
        str(known.get("span_type", "")),
        str(known.get("kind", "")),
        str(known["op_id"]),
        str(known.get("session_id", "")),
        int(known.get("session_expires_unix_nano", 0)),
        int(known.get("heartbeat_interval_ms", 0) * MILLISECOND),
        int(known.get("timeout_ms", 0) * MILLISECOND),
    )
    clock = emitter.clock
    context = SpanContext(known["trace_id"], known["span_id"], trace_state=str(known.get("trace_state", "")))
    offset = clock.wall() - clock.monotonic()
    span = Span(emitter, context, identity, start_at=left.start_at, offset=offset)
    merge(span.attributes, clean(known.get("attributes"), emitter.limits)[0], emitter.limits.attributes)
    span.status, span.progress_made, span.seq = known.get("status"), known.get("progress"), left.seq
    span.links, span.events = list(known.get("links", ())), list(known.get("events", ()))
    return span
