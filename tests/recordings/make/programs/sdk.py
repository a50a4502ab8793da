"""The shop under the plain OpenTelemetry SDK: spans are sent when they end, in batches, over OTLP/HTTP in protobuf.

Its argument is the file for the truth; OTEL_EXPORTER_OTLP_ENDPOINT says where to send.
"""

import sys
from pathlib import Path

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.recordings.make.programs import shop
from tests.recordings.make.programs.truth import Truth, TruthfulSpanExporter


def provider(resource: Resource, truth: Truth) -> TracerProvider:
    """A provider as the SDK's own pages set it up."""
    made = TracerProvider(resource=resource)
    made.add_span_processor(truth)
    made.add_span_processor(BatchSpanProcessor(TruthfulSpanExporter(OTLPSpanExporter(), truth)))
    return made


def main(path: Path) -> None:
    """Run the shop to its end."""
    truth = Truth()
    providers = [provider(resource, truth) for resource in shop.RESOURCES]
    tracers: list[trace.Tracer] = [one.get_tracer("shop.tracing", "2.1.0", shop.SCHEMA) for one in providers]

    def flush() -> None:
        for one in providers:
            one.force_flush()

    shop.run(*tracers, truth, flush=flush, beats=False)
    shop.crash(truth, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
