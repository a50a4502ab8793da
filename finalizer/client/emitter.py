"""The emitter: spans begin, beat and end here, and each of that becomes an event in the buffer.

Called on the app's threads, so everything is short, nothing waits and nothing raises for what the app gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from finalizer.client.attributes import clean, is_a
from finalizer.client.beats import Beats
from finalizer.client.buffer import END, HEARTBEAT, INSTANCE, LIFECYCLE, START, Buffer, Event
from finalizer.client.clock import Clock
from finalizer.client.context import Parent, context_of, current
from finalizer.client.ids import SpanContext, new_ids, new_span_id, operation_ids, parse_traceparent
from finalizer.client.saying import say
from finalizer.client.settings import OperationOptions, Settings, SpanOptions, identity_of
from finalizer.client.span import Span, Stand

SLICE: Final = 64
"""Spans that are looked at under one hold of the lock."""


class Emitter:
    """Makes spans and their events. `wake` is called when the next thing to do comes sooner than was known."""

    def __init__(self, settings: Settings, clock: Clock, buffer: Buffer, wake: Callable[[], None]) -> None:
        self.settings = settings
        self.limits = settings.limits
        self.clock = clock
        self.buffer = buffer
        self.beats = Beats(settings.initial_delay)
        self.attributes_left_out = 0
        self._wake = wake
        self._lock = threading.RLock()
        self._instance_seq = 0
        self.retired = False
        """In a forked child: its spans are the parent's, who will end them."""

    def retire(self) -> None:
        """Belong to the process that forked this one. Its locks may be held for ever by threads that are not here."""
        self.retired = True
        self._lock = threading.RLock()
        self.buffer = Buffer(1)

    def now(self, span: Span) -> int:
        """Wall time for an event of this span: never before its start, whatever became of the wall clock."""
        return self.clock.monotonic() + span.offset

    def left_out(self, count: int) -> None:
        """Count what the app gave and cannot be sent."""
        self.attributes_left_out += count
        say("attributes", "an attribute, event or link was left out: of an unknown type, or more than the limits allow")

    # --- begin, beat, end --------------------------------------------------------------------------------------------

    def start(self, name: str, options: SpanOptions) -> Span:
        """A new span: a child of the one that is given, else of the current one, else a root."""
        parent = self._parent(options) if options else current()
        if parent is None:
            context, above = SpanContext(*new_ids()), ""
        else:
            over = parent if isinstance(parent, SpanContext) else parent.context
            context = SpanContext(over.trace_id, new_span_id(), over.trace_flags, over.trace_state)
            above = over.span_id
        return self._begin(name, context, above, options, offset=parent.offset if isinstance(parent, Span) else None)

    def operation(self, name: str, op_id: str, options: OperationOptions) -> Span:
        """The span of an operation, a trace of its own, linked to the caller's."""
        described = SpanOptions(**options, op_id=op_id)
        over = context_of(self._parent(options))
        if over is not None:
            links: object = options.get("links")
            described["links"] = [over, *links] if is_a(links, list) else [over]
        return self._begin(name, SpanContext(*operation_ids(op_id)), "", described, offset=None)

    def mirror(self, span: Span) -> None:
        """Tell of a span that another tracer has begun."""
        self._open(span, self.clock.monotonic())

    def adopt(self, span: Span) -> None:
        """Keep a span alive that an earlier run left open; nothing is sent of it yet."""
        span.started = True
        span.stand = Stand.SUSPENDED
        self._open(span, self.clock.monotonic())

    def again(self, span: Span) -> None:
        """Send the start of a span once more, with what it has become: an attempt begins, or it goes on here."""
        with self._lock:
            if span.stand is not Stand.ENDED and not self.retired:
                span.stand = Stand.OPEN
                self._send(START, span, self.now(span))

    def end(self, span: Span, reason: str, *, partial: bool = False, at: int = 0) -> None:
        """End a span, once, now or at a moment that is over; after a partial end the real one may still come."""
        with self._lock:
            if span.stand is Stand.ENDED or (partial and span.stand is Stand.PARTIAL) or self.retired:
                return
            self.beats.closed(span)
            span.stand = Stand.PARTIAL if partial else Stand.ENDED
            self._send(END, span, at or self.now(span), reason)

    def suspend(self, span: Span) -> None:
        """An operation waits for its next attempt."""
        with self._lock:
            if span.is_open and not self.retired:
                span.stand = Stand.SUSPENDED
                span.changed = True

    def pause(self, spans: list[Span]) -> None:
        """The app goes to the background: each span says so, or closes with what it has, as it was asked to."""
        for span in spans:
            if span.stand is Stand.OPEN and span.identity.on_pause == "partial":
                self.end(span, "partial", partial=True)
                continue
            with self._lock:
                if span.stand in (Stand.OPEN, Stand.SUSPENDED):
                    span.stand = Stand.PAUSED if span.stand is Stand.OPEN else span.stand
                    self._send(LIFECYCLE, span, self.now(span), "background")

    def proceed(self, spans: list[Span]) -> None:
        """The app is back."""
        with self._lock:
            for span in spans:
                if span.stand in (Stand.PAUSED, Stand.SUSPENDED):
                    span.stand = Stand.OPEN if span.stand is Stand.PAUSED else span.stand
                    self._send(LIFECYCLE, span, self.now(span), "foreground")

    def terminate(self, spans: list[Span]) -> None:
        """The process ends, and these spans with it, if nobody takes them up."""
        with self._lock:
            for span in spans:
                if span.is_open and span.started:
                    self._send(LIFECYCLE, span, self.now(span), "terminate")

    def beat(self) -> int:
        """Send the heartbeats that are due; returns the monotonic time at which the next one is."""
        beats, clock = self.beats, self.clock
        while True:
            now = clock.monotonic()
            with self._lock:
                due = beats.due(now, SLICE)
                for span in due:
                    if span.stand is Stand.PAUSED:
                        continue
                    if not span.renew():
                        self.end(span, "abandoned")
                    elif not span.started:
                        self._send(START, span, span.start_at)
                    elif span.identity.interval and (span.changed or not self.settings.instance_id):
                        self._send(HEARTBEAT, span, now + span.offset)
                if len(due) < SLICE:
                    return beats.next_due(now)

    def beat_for_all(self) -> None:
        """One heartbeat of this process, for all its spans."""
        self._instance_seq += 1
        self.buffer.put(Event(INSTANCE, None, self.clock.wall(), self._instance_seq))

    @property
    def open_count(self) -> int:
        """How many spans are open."""
        return len(self.beats)

    def open_spans(self) -> list[Span]:
        """All that are open now."""
        with self._lock:
            return self.beats.all()

    def add_link(self, span: Span, to: object, attributes: Any) -> bool:
        """Add a link; False if it is none, or one too many."""
        target = to if is_a(to, SpanContext) else parse_traceparent(to)
        if target is None or len(span.links) >= self.limits.links:
            self.left_out(1)
            return False
        cleaned, left_out = clean(attributes, self.limits)
        if left_out:
            self.left_out(left_out)
        link = {"trace_id": target.trace_id, "span_id": target.span_id}
        span.links.append({**link, "attributes": cleaned} if cleaned else link)
        return True

    def _begin(self, name: str, context: SpanContext, above: str, options: SpanOptions, *, offset: int | None) -> Span:
        identity = identity_of(name, above, self.settings, options)
        clock = self.clock
        now = clock.monotonic()
        if offset is None:
            offset = clock.wall() - now
        span = Span(self, context, identity, start_at=now + offset, offset=offset)
        if options:
            self._describe(span, options)
        self._open(span, now)
        return span

    def _describe(self, span: Span, options: SpanOptions) -> None:
        if "attributes" in options:
            span.attributes, left_out = clean(options["attributes"], self.limits)
            if left_out:
                self.left_out(left_out)
        links: object = options.get("links")
        for link in list.copy(links) if is_a(links, list) else ():
            self.add_link(span, link, None)

    def _open(self, span: Span, now: int) -> None:
        with self._lock:
            sooner = self.beats.opened(span, now)
            if not span.started and not span.identity.lazy:
                self._send(START, span, span.start_at)
        if sooner:
            self._wake()

    def _send(self, kind: str, span: Span, at: int, word: str = "") -> None:
        span.seq += 1
        if kind == START:
            span.started = True
        self.buffer.put(Event(kind, span, at, span.seq, word))

    def _parent(self, options: OperationOptions) -> Parent | None:
        if "traceparent" in options:
            return parse_traceparent(options["traceparent"], options.get("tracestate"))
        if "parent" not in options:
            return current()
        given: object = options["parent"]
        return given if is_a(given, Span) or is_a(given, SpanContext) else None
