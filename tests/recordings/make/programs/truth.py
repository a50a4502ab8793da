"""What a program knows about its own spans, written down beside what it puts on the wire.

Runs in the producers' environments. The facts come from the span objects of the SDK that runs there, and from
exporters that count what was taken off their hands; never from a decoder.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry import context as context_api
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

LIMIT_SECONDS = 20.0
OF_PENDING_SPANS = {"logfire.span_type", "logfire.pending_parent_id"}


class Truth(SpanProcessor):
    """A span processor that keeps every span, in the order of their starts."""

    def __init__(self) -> None:
        self._spans: dict[str, ReadableSpan] = {}
        self._last_heard: dict[str, int] = {}
        self._attributes_heard: dict[str, dict[str, Any]] = {}
        self._heartbeats: Counter[str] = Counter()
        self._ends: dict[str, list[str]] = {}
        self._changed = threading.Condition()

    def on_start(self, span: Span, parent_context: context_api.Context | None = None) -> None:
        self._keep(span)

    def on_end(self, span: ReadableSpan) -> None:
        self._keep(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True

    def heard(self, span_id: str, at: int, attributes: Mapping[str, Any] | None = None) -> None:
        """That this span is open, at this event time, has reached the other side; with these attributes, or its present
        ones."""
        with self._changed:
            self._last_heard[span_id] = max(at, self._last_heard.get(span_id, 0))
            self._attributes_heard[span_id] = plain(attributes or self._spans[span_id].attributes)
            self._heartbeats[span_id] += 1
            self._changed.notify_all()

    def end(self, span_id: str, topic: str) -> None:
        """The end of this span has reached the other side, as a record of this topic."""
        with self._changed:
            self._ends.setdefault(span_id, []).append(topic)

    def wait_for_heartbeats(self) -> None:
        """Return when every open span has been told of once more."""
        with self._changed:
            before = Counter(self._heartbeats)
            open_spans = [span_id for span_id, span in self._spans.items() if span.end_time is None]
            done = self._changed.wait_for(
                lambda: all(self._heartbeats[one] > before[one] for one in open_spans), LIMIT_SECONDS
            )
        assert done, "a span was not told of in time"

    def write(self, path: Path) -> None:
        """Write one JSON object with a line for each span."""
        with self._changed:
            lines = [json.dumps(self._told(span_id, span), ensure_ascii=False) for span_id, span in self._spans.items()]
        path.write_text('{"spans": [\n' + ",\n".join(lines) + "\n]}\n")

    def _keep(self, span: ReadableSpan) -> None:
        with self._changed:
            self._spans[identify(span)] = span

    def _told(self, span_id: str, span: ReadableSpan) -> dict[str, Any]:
        context, scope = span.get_span_context(), span.instrumentation_scope
        assert context is not None
        assert scope is not None
        return {
            "trace_id": f"{context.trace_id:032x}",
            "span_id": span_id,
            "parent_span_id": f"{span.parent.span_id:016x}" if span.parent else "",
            "trace_state": context.trace_state.to_header(),
            "name": span.name,
            "kind": span.kind.name.lower(),
            "start_unix_nano": span.start_time,
            "end_unix_nano": span.end_time,
            "heartbeats": self._heartbeats[span_id],
            "last_heard_unix_nano": self._last_heard.get(span_id),
            "ends": sorted(self._ends.get(span_id, [])),
            "status": {"code": span.status.status_code.name.lower(), "message": span.status.description or ""},
            "events": [{"time_unix_nano": event.timestamp, "name": event.name} for event in span.events],
            "links": [
                {
                    "trace_id": f"{link.context.trace_id:032x}",
                    "span_id": f"{link.context.span_id:016x}",
                    "attributes": plain(link.attributes),
                }
                for link in span.links
            ],
            "attributes": plain(span.attributes) if span.end_time else self._attributes_heard.get(span_id, {}),
            "resource": plain(span.resource.attributes),
            "scope": {"name": scope.name, "version": scope.version or "", "schema_url": scope.schema_url or ""},
        }


class TruthfulSpanExporter(SpanExporter):
    """A span exporter that says which spans another one has delivered."""

    def __init__(self, inner: SpanExporter, truth: Truth) -> None:
        self._inner, self._truth = inner, truth

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        assert result is SpanExportResult.SUCCESS
        for span in spans:
            attributes = span.attributes or {}
            if attributes.get("logfire.span_type") == "pending_span":
                assert span.parent is not None
                assert span.start_time is not None
                told = {name: value for name, value in attributes.items() if name not in OF_PENDING_SPANS}
                self._truth.heard(f"{span.parent.span_id:016x}", span.start_time, told)
            else:
                self._truth.end(identify(span), "otlp_spans")
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def identify(span: ReadableSpan) -> str:
    """The span id, as 16 lower hex characters."""
    context = span.get_span_context()
    assert context is not None
    return f"{context.span_id:016x}"


def plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    """Attributes as JSON can say them: bytes are `{"bytes": hex}`, doubles that are no numbers `{"double": name}`."""
    return {name: _plain(value) for name, value in (attributes or {}).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"double": str(value)}
    if isinstance(value, Mapping):
        return plain(value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


def pause(seconds: float) -> None:
    """The work that a span is about."""
    time.sleep(seconds)
