"""What an app told, captured: no threads, no network, and time goes by when the test says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from finalizer.client.client import Client
from finalizer.client.clock import SECOND
from finalizer.client.keeper import Keeper
from finalizer.client.sender import Sender, Step
from finalizer.client.sinks.memory import MemorySink
from finalizer.client.testing.clock import FakeClock
from finalizer.client.threads import Safe


@dataclass(slots=True)
class CapturedSpan:
    """One span, as a reader of all its events sees it."""

    trace_id: str
    span_id: str
    name: str = ""
    parent_span_id: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    status: str = ""
    """"ok", "error", or empty."""
    reason: str = ""
    progress: float | None = None
    ends: int = 0
    start_unix_nano: int = 0
    end_unix_nano: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    """The native events, in the order in which they were sent."""

    @property
    def kinds(self) -> list[str]:
        """The kinds of its events: start, heartbeat, ..."""
        return [event["type"] for event in self.events]

    def hear(self, event: dict[str, Any]) -> None:
        """Join one more event."""
        self.events.append(event)
        at = int(event["time_unix_nano"])
        self.name = event.get("name", self.name)
        self.parent_span_id = event.get("parent_span_id", self.parent_span_id)
        self.attributes |= event.get("attributes", {})
        self.status = event.get("status", {}).get("code", self.status)
        self.progress = event.get("progress", self.progress)
        if event["type"] == "start":
            self.start_unix_nano = self.start_unix_nano or at
        if event["type"] == "end":
            self.start_unix_nano = int(event["start_time_unix_nano"])
            self.ends, self.end_unix_nano, self.reason = self.ends + 1, at, event.get("reason", "")


class Capture:
    """Made by `capture`. Everything that it is asked for includes what was told a moment ago."""

    def __init__(self, client: Client, sink: MemorySink, clock: FakeClock) -> None:
        self.client = client
        self.clock = clock
        self.sink = sink
        """Where all goes; `down` makes it a network that is gone."""

    @property
    def events(self) -> list[dict[str, Any]]:
        """All native events so far."""
        self.client.flush(0)
        return self.sink.events

    @property
    def spans(self) -> list[CapturedSpan]:
        """All spans so far, in the order in which they were first heard of."""
        found: dict[str, CapturedSpan] = {}
        for event in self.events:
            if "span_id" in event:
                key = event["trace_id"] + event["span_id"]
                found.setdefault(key, CapturedSpan(event["trace_id"], event["span_id"])).hear(event)
        return list(found.values())

    def span(self, name: str) -> CapturedSpan:
        """The one span of this name. Raises `AssertionError` if there is none, or more than one."""
        found = [span for span in self.spans if span.name == name]
        names = sorted({span.name for span in self.spans})
        assert len(found) == 1, f"{len(found)} spans are named {name!r}; there are {', '.join(names) or 'none'}"
        return found[0]

    def assert_all_ended(self) -> None:
        """Raises `AssertionError` that names each span that was begun and not ended."""
        left = [span.name for span in self.spans if not span.ends]
        assert not left, f"begun and never ended: {', '.join(left)}"

    def advance(self, seconds: float) -> None:
        """Time goes by, and what is due meanwhile is done when it is due."""
        until = self.clock.now + int(seconds * SECOND)
        steps = self.client.runner
        assert isinstance(steps, Steps)
        while (due := steps.keep()) <= until:
            self.clock.now = max(self.clock.now, due)
        self.clock.now = until
        steps.keep()


class Steps:
    """Lets keeper and sender take their steps when they are asked to, on the thread that asks."""

    def __init__(self, keeper: Keeper, sender: Sender) -> None:
        self._keeper = keeper
        self._sender = sender

    def keep(self) -> int:
        """One step of the keeper; returns when the next is due."""
        return self._keeper.step()

    def wake(self) -> None:
        pass

    def new(self) -> None:
        self._sender.step()

    def ensure(self) -> None:
        pass

    def flush(self, seconds: float, *, until: Safe = Safe.ARRIVED) -> bool:
        self._keeper.step()
        self._sender.hurry()
        while (step := self._sender.step()) is Step.SENT:
            pass
        return step is Step.EMPTY

    def stop(self, seconds: float) -> None:
        self._sender.close()


@contextmanager
def capture(client: Client | None = None) -> Iterator[Capture]:
    """Capture what a client is told inside of the block: your app's own, or a new one (`.client`)."""
    sink, clock = MemorySink(), FakeClock()
    captured = Client(sink, "test") if client is None else client
    restore = captured.redirect(sink, clock, Steps)
    try:
        yield Capture(captured, sink, clock)
    finally:
        restore()
        if client is None:
            captured.close(0)
