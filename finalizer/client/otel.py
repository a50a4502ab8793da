"""OpenTelemetry's SDK as a source of spans: each sampled span is told when it begins, beats, and ends (extra `otel`).

Called on the app's threads, so everything is short, nothing waits, and nothing raises. What the SDK still writes to is
read without its locks: a child that is forked meanwhile would find them held for ever.
"""

from __future__ import annotations

import weakref
from base64 import b64encode
from collections.abc import Callable
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.trace import SpanContext as SdkContext
from opentelemetry.trace import StatusCode

from finalizer.client.attributes import INT64_MAX, Attributes, clean, text
from finalizer.client.client import Client
from finalizer.client.emitter import Emitter
from finalizer.client.events import DROPPED
from finalizer.client.ids import MAX_TRACE_STATE, SAMPLED, SpanContext
from finalizer.client.saying import say
from finalizer.client.settings import YEAR_2000
from finalizer.client.span import MAX_NAME, Identity, Span

NOT_AS_THE_SDK_MAKES_THEM: Final = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""What a span may raise that somebody else's code has made or changed."""
UNNAMED: Final = "unknown_service"
"""How the SDK names a service that nobody has named."""


class FinalizerSpanProcessor(SpanProcessor):
    """`provider.add_span_processor(FinalizerSpanProcessor(Client("kafka://host:9092", "shop")))`.

    Beside whatever else exports the spans, or instead of it. The client's settings hold: its heartbeat, spool, limits,
    and its sink, which is the dialect too (`http://collector:4318` sends partial-span logs). The resource is that of
    the provider; the client's name of the service stands in where the provider has none.

    Shutting the processor down closes the client.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._open: dict[tuple[int, int], Mirror] = {}
        self._resource: tuple[Resource | None, Attributes] = (None, {})
        self._is_shut_down = False

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """A span begins: its start is queued, if it is sampled."""
        try:
            context = span.get_span_context()
            if self._is_shut_down or not context.trace_flags & SAMPLED:
                return
            key = (context.trace_id, context.span_id)
            opened = self._open
            emitter = self._client.emitter
            mirror = self._mirror(emitter, span, weakref.ref(span, lambda _: opened.pop(key, None)))
            mirror.look(span)
            mirror.changed = False
            opened[key] = mirror
            emitter.mirror(mirror)
        except NOT_AS_THE_SDK_MAKES_THEM as error:
            _say(error)

    def on_end(self, span: ReadableSpan) -> None:
        """A span ends: its end is queued, with everything that the span has become."""
        try:
            context = span.get_span_context()
            if self._is_shut_down or context is None or not context.trace_flags & SAMPLED:
                return
            mirror = self._open.pop((context.trace_id, context.span_id), None)
            if mirror is None:  # it began before this was added to the provider: an end is enough by itself
                mirror = self._mirror(self._client.emitter, span, weakref.ref(span))
            mirror.finish_as(span)
        except NOT_AS_THE_SDK_MAKES_THEM as error:
            _say(error)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until all that was told until now has arrived; False if the time is over first."""
        return self._client.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Close the client: wait for what was told, as long as its `flush_before_exit`."""
        self._is_shut_down = True
        self._client.close()

    def _mirror(self, emitter: Emitter, span: ReadableSpan, source: Callable[[], ReadableSpan | None]) -> Mirror:
        settings, parent = emitter.settings, span.parent
        identity = Identity(
            text(span.name, MAX_NAME) or "operation",
            "" if parent is None else f"{parent.span_id:016x}",
            kind=span.kind.name.lower(),
            interval=settings.heartbeat,
            on_pause=settings.on_pause,
            lazy=settings.lazy,
            resource=self._resource_of(span, emitter),
        )
        clock = emitter.clock
        wall = clock.wall()
        start_at = _moment(span.start_time, wall)
        context = _context(span.get_span_context())
        mirror = Mirror(emitter, context, identity, start_at=start_at, offset=max(wall, start_at) - clock.monotonic())
        mirror.source = source
        mirror.links = _links(span, mirror)
        return mirror

    def _resource_of(self, span: ReadableSpan, emitter: Emitter) -> Attributes:
        last, cleaned = self._resource
        resource = span.resource
        if resource is not last:
            cleaned, left_out = clean(_copy(resource.attributes), emitter.limits)
            if left_out:
                emitter.left_out(left_out)
            if str(cleaned.get("service.name", UNNAMED)).startswith(UNNAMED):
                cleaned |= emitter.settings.resource
            self._resource = resource, cleaned
        return cleaned


class Mirror(Span):
    """A span of the SDK, as the client tells of it."""

    __slots__ = ("_seen", "source")
    _seen: dict[str, Any] | None
    source: Callable[[], ReadableSpan | None]
    """The span itself; None when nobody holds it any more, and so nobody can end it."""

    def renew(self) -> bool:
        span = self.source()
        if span is None:
            return False
        try:
            self.look(span)
        except NOT_AS_THE_SDK_MAKES_THEM as error:
            _say(error)  # the next heartbeat looks again
        return True

    def look(self, span: ReadableSpan) -> None:
        """Take over what the span is by now: attributes, status, name. Events and later links wait for its end."""
        status = _status(span, self._emitter.limits.value_length)
        name = text(span.name, MAX_NAME) or self.identity.name
        if status != self.status or name != self.identity.name:
            self.status, self.identity = status, self.identity._replace(name=name)
            self.changed = True
        seen = _copy(span.attributes)
        if seen == getattr(self, "_seen", None):
            return
        self._seen = seen
        self.set_all({**self._cleaned(seen), **_scope(span)})

    def set_all(self, now: Attributes) -> None:
        """These are the attributes now; what the client tells of itself stays."""
        self.attributes.update(now)
        for name in [name for name in self.attributes if name not in now and not name.startswith(DROPPED)]:
            del self.attributes[name]
        self.changed = True

    def finish_as(self, span: ReadableSpan) -> None:
        """End it as the SDK has ended it."""
        self.look(span)
        self.attributes.update(_dropped(span))
        self.links = _links(span, self)
        events, most = span.events, self._emitter.limits.events
        if len(events) > most:
            self._emitter.left_out(len(events) - most)
        self.events = [
            self._with(
                {
                    "time_unix_nano": str(_moment(event.timestamp, self.start_at)),
                    "name": text(event.name, MAX_NAME) or "event",
                },
                event.attributes,
            )
            for event in events[-most:]
        ]
        self._emitter.end(self, "", at=max(self.start_at, _moment(span.end_time, self._emitter.now(self))))

    def _with(self, told: dict[str, Any], attributes: Any) -> dict[str, Any]:
        cleaned = self._cleaned(_copy(attributes))
        return {**told, "attributes": cleaned} if cleaned else told

    def _cleaned(self, attributes: dict[str, Any]) -> Attributes:
        if bytes in map(type, attributes.values()):
            attributes = {name: _no_bytes(value) for name, value in attributes.items()}
        cleaned, left_out = clean(attributes, self._emitter.limits)
        if left_out:
            self._emitter.left_out(left_out)
        return cleaned


def _links(span: ReadableSpan, mirror: Mirror) -> list[dict[str, Any]]:
    found = []
    for link in span.links[: mirror._emitter.limits.links]:
        to = _context(link.context)
        told = {"trace_id": to.trace_id, "span_id": to.span_id}
        if to.trace_state:
            told["trace_state"] = to.trace_state
        found.append(mirror._with(told, link.attributes))
    return found


def _context(context: SdkContext | None) -> SpanContext:
    if context is None:
        raise TypeError("a span without ids")
    state = context.trace_state.to_header()
    state = text(state, MAX_TRACE_STATE) if len(state) <= MAX_TRACE_STATE else ""
    return SpanContext(f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags), state)


def _copy(attributes: Any) -> dict[str, Any]:
    """A copy that takes no lock: `dict()` would ask the SDK's container for its keys, and that one locks."""
    return attributes.copy() if attributes else {}


def _no_bytes(value: object) -> object:
    """Bytes in base64, as OpenTelemetry says it for formats without them."""
    return b64encode(value).decode() if isinstance(value, bytes) else value


def _moment(told: object, otherwise: int) -> int:
    """A time that can be one; an app may give any to the SDK, and a float."""
    at = int(told) if isinstance(told, int | float) and YEAR_2000 <= told < INT64_MAX else otherwise
    return min(at, INT64_MAX - 1)


def _status(span: ReadableSpan, most: int) -> dict[str, str] | None:
    status = span.status
    if status.status_code is StatusCode.UNSET:
        return None
    told = {"code": status.status_code.name.lower()}
    message = text(status.description, most)
    return {**told, "message": message} if message else told


def _scope(span: ReadableSpan) -> Attributes:
    """The instrumentation scope, by the names that OpenTelemetry has for formats without one (non-OTLP exporters)."""
    scope = span.instrumentation_scope
    if scope is None:
        return {}
    told: Attributes = {
        "otel.scope.name": text(scope.name, MAX_NAME),
        "otel.scope.version": text(scope.version, MAX_NAME),
    }
    return {name: word for name, word in told.items() if word}


def _dropped(span: ReadableSpan) -> Attributes:
    """What the SDK's own limits have cost, by the names for formats without such fields."""
    counts = {
        "attributes": span.dropped_attributes,
        "events": span.dropped_events,
        "links": span.dropped_links,
    }
    return {f"otel.dropped_{what}_count": count for what, count in counts.items() if count}


def _say(error: BaseException) -> None:
    say("otel", f"a span was not told as it is: {type(error).__name__}: {error}")
