"""The shop with `partial-span-processor` beside the usual batches: spans tell that they live, as OTLP logs.

Its argument is the file for the truth; OTEL_EXPORTER_OTLP_ENDPOINT says where to send. It fits 0.0.6 and 0.0.9, whose
arguments differ.
"""

import inspect
import sys
from collections.abc import Sequence
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LogData
from opentelemetry.sdk._logs.export import LogExporter, LogExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from partial_span_processor import PartialSpanProcessor

from tests.recordings.make.programs import shop
from tests.recordings.make.programs.truth import Truth, TruthfulSpanExporter

SETTINGS = {
    "heartbeat_interval_millis": 400,
    "initial_heartbeat_delay_millis": 100,
    "process_interval_millis": 100,
}


class TruthfulLogExporter(LogExporter):
    """A log exporter that says which heartbeats and stops another one has delivered."""

    def __init__(self, inner: LogExporter, truth: Truth) -> None:
        self._inner, self._truth = inner, truth

    def export(self, batch: Sequence[LogData]) -> LogExportResult:
        result = self._inner.export(batch)
        assert result is LogExportResult.SUCCESS
        for one in batch:
            log = one.log_record
            span_id = f"{log.span_id:016x}"
            if log.attributes["partial.event"] == "stop":
                self._truth.end(span_id, "otlp_logs")
            else:
                self._truth.heard(span_id, log.timestamp)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def provider(resource: Resource, truth: Truth) -> TracerProvider:
    """A provider as the processor's page sets it up, with the usual batches beside it."""
    known = inspect.signature(PartialSpanProcessor).parameters
    settings = {name: value for name, value in SETTINGS.items() if name in known}
    made = TracerProvider(resource=resource)
    made.add_span_processor(truth)
    # Batches first: the partial processor answers force_flush with None, which skips those after it.
    made.add_span_processor(BatchSpanProcessor(TruthfulSpanExporter(OTLPSpanExporter(), truth)))
    made.add_span_processor(
        PartialSpanProcessor(TruthfulLogExporter(OTLPLogExporter(), truth), resource=resource, **settings)
    )
    return made


def main(path: Path) -> None:
    """Run the shop to its end."""
    truth = Truth()
    providers = [provider(resource, truth) for resource in shop.RESOURCES]
    tracers: list[trace.Tracer] = [one.get_tracer("shop.tracing", "2.1.0", shop.SCHEMA) for one in providers]

    def flush() -> None:
        for one in providers:
            one.force_flush()

    shop.run(*tracers, truth, flush=flush, beats=True)
    shop.crash(truth, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
