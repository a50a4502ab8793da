"""A program that uses Logfire without an account: its spans, pending spans and logs go over OTLP/HTTP to whom we say.

Its argument is the file for the truth; OTEL_EXPORTER_OTLP_ENDPOINT says where to send.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import logfire
from logfire._internal.exporters.remove_pending import RemovePendingSpansExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.recordings.make.programs import shop
from tests.recordings.make.programs.truth import Truth, TruthfulSpanExporter

OPEN = ExitStack()
"""Spans that never end."""


def main(path: Path) -> None:
    """Do some work, and crash with spans open."""
    truth = Truth()
    endpoint = os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT")
    exporter = TruthfulSpanExporter(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces"), truth)
    # Pending spans go to an exporter of this class alone.
    batches = BatchSpanProcessor(RemovePendingSpansExporter(exporter), schedule_delay_millis=60_000)
    logfire.configure(
        send_to_logfire=False,
        console=False,
        service_name="shop",
        service_version="4.2.0",
        inspect_arguments=False,
        additional_span_processors=[batches, truth],
    )
    work(batches)
    shop.crash(truth, path)


def work(batches: BatchSpanProcessor) -> None:
    """Spans and logs, sent at these moments: after all have started, after some have ended, and not at the end."""
    with logfire.span("checkout of {customer}", customer="c-17", cart={"skus": ["a-1", "b-2"], "total": 12.5}):
        with logfire.span("reserve stock", _tags=["stock"]) as reserve:
            logfire.info("three left of {sku}", sku="a-1")
            batches.force_flush()
            reserve.set_attribute("left", 3)
        try:
            with logfire.span("charge card"):
                batches.force_flush()
                raise ConnectionResetError("connection reset by peer")
        except ConnectionResetError:
            logfire.warn("card was not charged")
        batches.force_flush()
    upload = OPEN.enter_context(logfire.span("upload {file}", file="a.jpg"))
    with logfire.span("chunk {number}", number=1):
        batches.force_flush()
    chunk = OPEN.enter_context(logfire.span("chunk {number}", number=2))
    batches.force_flush()
    chunk.set_attribute("sent", 100)
    upload.set_attribute("chunks", 2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
