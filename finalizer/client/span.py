"""A span as the app holds it: what it is told is kept here, and sent by others.

Nothing here raises for what the app gives, and nothing waits. After its end a span changes no more, and in a forked
child the spans of the parent are the parent's: there their methods do nothing.
"""

from __future__ import annotations

import sys
from enum import IntEnum
from math import isnan
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from finalizer.client.attributes import Attributes, clean, is_a, merge, number, text
from finalizer.client.context import Mark, attach, detach
from finalizer.client.ids import SpanContext

if TYPE_CHECKING:
    from finalizer.client.emitter import Emitter

MAX_NAME: Final = 256
MAX_REASON: Final = 64
MAX_STACK: Final = 16_384
"""Characters of a stack trace that are kept, from its end."""
NOT_TOLD: Final = ""
CODES: Final = ("ok", "error")


class Stand(IntEnum):
    """How far a span is."""

    OPEN = 0
    PAUSED = 1
    """The app is in the background: nothing is owed until it comes back."""
    SUSPENDED = 2
    """An operation between two attempts: kept alive, for a while."""
    PARTIAL = 3
    """Its closing summary went out; the real end may still come."""
    ENDED = 4


class Identity(NamedTuple):
    """What a span is from its start on."""

    name: str
    parent_span_id: str = ""
    span_type: str = ""
    kind: str = ""
    op_id: str = ""
    session_id: str = ""
    session_expires: int = 0
    interval: int = 0
    """Declared heartbeat interval, nanoseconds; 0: it does not beat."""
    timeout: int = 0
    on_pause: str = "background"
    lazy: bool = False
    resource: Attributes | None = None
    """Whose it is, where another tracer has begun it; None: its client's."""


class Span:
    """One span. Made by `Client.span`, `start_span`, `resume`, `with_timeout`."""

    __slots__ = (
        "_emitter",
        "_mark",
        "attributes",
        "changed",
        "context",
        "events",
        "identity",
        "links",
        "offset",
        "progress_made",
        "seq",
        "stand",
        "start_at",
        "started",
        "status",
        "timed_out",
    )

    def __init__(
        self, emitter: Emitter, context: SpanContext, identity: Identity, *, start_at: int, offset: int
    ) -> None:
        self._emitter = emitter
        self._mark: Mark | None = None
        self.context = context
        self.identity = identity
        self.start_at = start_at
        """Wall time of the start, nanoseconds."""
        self.offset = offset
        """Wall minus monotonic time, as it was when the outermost local span began: all times of a tree agree."""
        self.attributes: Attributes = {}
        self.links: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.status: dict[str, str] | None = None
        self.progress_made: float | None = None
        self.seq = 0
        self.stand = Stand.OPEN
        self.started = False
        """Its start was queued."""
        self.changed = False
        """Something was told that no event has carried yet."""
        self.timed_out = False
        """Its guard's time is over."""

    @property
    def trace_id(self) -> str:
        return self.context.trace_id

    @property
    def span_id(self) -> str:
        return self.context.span_id

    @property
    def key(self) -> str:
        """Trace id and span id as one text."""
        return self.context.trace_id + self.context.span_id

    @property
    def traceparent(self) -> str:
        """The header that makes spans of other processes children of this one."""
        return self.context.traceparent

    @property
    def is_open(self) -> bool:
        """False once its end was told."""
        return self.stand < Stand.PARTIAL

    def renew(self) -> bool:
        """Called before it beats: take over what another tracer knows of it. False: nobody is left who could end it."""
        return True

    def progress(self, made: float | None = None, attributes: Any = None, /, **more: Any) -> None:
        """Tell how far it is, 0 to 1, and more about it. Sent with the next heartbeat; only the latest counts."""
        part = number(made)
        if part is not None and not isnan(part) and self.stand is not Stand.ENDED:
            self.progress_made = min(1.0, max(0.0, part))
            self.changed = True
        if attributes is not None:
            self.set_attributes(attributes)
        if more:
            self.set_attributes(more)

    def set_attribute(self, name: str, value: object) -> None:
        """Set one attribute."""
        self.set_attributes({name: value} if is_a(name, str) else None)

    def set_attributes(self, attributes: Any) -> None:
        """Set attributes; a later value wins. What cannot be sent is left out and counted."""
        if self.stand is not Stand.ENDED:
            limits = self._emitter.limits
            cleaned, left_out = clean(attributes, limits)
            left_out += merge(self.attributes, cleaned, limits.attributes)
            self.changed = True
            if left_out:
                self._emitter.left_out(left_out)

    def update_name(self, name: str) -> None:
        """Give it another name, when more is known of it than at its start."""
        known = text(name, MAX_NAME)
        if known and self.stand is not Stand.ENDED:
            self.identity = self.identity._replace(name=known)
            self.changed = True

    def set_status(self, code: str, message: str = "") -> None:
        """Set the status, "ok" or "error"; set before the end, it holds for a presumed close too."""
        known = text(code, MAX_NAME)
        if known in CODES and self.stand is not Stand.ENDED:
            said = text(message, self._emitter.limits.value_length)
            self.status = {"code": known, "message": said} if said else {"code": known}
            self.changed = True

    def add_link(self, to: SpanContext | str, attributes: Any = None) -> None:
        """Link to another span, given by its ids or its `traceparent`."""
        emitter = self._emitter
        if self.stand is not Stand.ENDED and emitter.add_link(self, to, attributes):
            self.changed = True

    def add_event(self, name: str, attributes: Any = None) -> None:
        """Tell something that happened at this moment of the span. Sent with the span's end."""
        emitter = self._emitter
        if self.stand is Stand.ENDED:
            return
        if len(self.events) >= emitter.limits.events:
            emitter.left_out(1)
            return
        cleaned, left_out = clean(attributes, emitter.limits)
        if left_out:
            emitter.left_out(left_out)
        event: dict[str, Any] = {"time_unix_nano": str(emitter.now(self)), "name": text(name, MAX_NAME) or "event"}
        self.events.append({**event, "attributes": cleaned} if cleaned else event)

    def record_exception(self, error: BaseException) -> None:
        """Add the event `exception` (OpenTelemetry: recording exceptions) and set the status to error."""
        import traceback  # noqa: PLC0415 - what goes well need not wait for it

        told = traceback.TracebackException.from_exception(error, limit=-64)
        kind = type(error)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        message = "".join(told.format_exception_only()).strip().removeprefix(name).removeprefix(": ")
        stack = "".join(told.format())[-MAX_STACK:]
        self.add_event(
            "exception", {"exception.type": name, "exception.message": message, "exception.stacktrace": stack}
        )
        self.set_attribute("error.type", name)
        self.set_status("error", message)

    def end(self, status: str = NOT_TOLD, message: str = "", *, reason: str = "") -> None:
        """End it; what was told until now goes with the end. The first end counts, another does nothing.

        `status` is "ok" or "error"; `reason` a word of yours (`cancelled`, `timeout`), which stands on the final.
        """
        if status is not NOT_TOLD:
            self.set_status(status, message)
        self._emitter.end(self, text(reason, MAX_REASON))

    def partial(self, attributes: Any = None) -> None:
        """Close it with what it has, as `partial`. The real end, if it comes, supersedes."""
        if attributes is not None:
            self.set_attributes(attributes)
        self._emitter.end(self, "partial", partial=True)

    def finish(self, error: BaseException | None) -> None:
        """End it as a block ends: with an error if there is one; a block that was cancelled says so."""
        if error is None or isinstance(error, GeneratorExit | SystemExit):
            self.end()
        elif isinstance(error, KeyboardInterrupt) or is_cancellation(error):
            self.end(reason="cancelled")
        else:
            self.record_exception(error)
            self.end()

    def __enter__(self) -> Self:
        self._mark = attach(self)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._mark is not None:
            detach(self._mark)
            self._mark = None
        self.finish(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)


def is_cancellation(error: BaseException) -> bool:
    """True for asyncio's CancelledError, without importing asyncio: who raised it has."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)
