"""Recorded traffic of real clients through stock collectors on both sides of the worker, as deploy/ sets them up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.brokers import Broker
from tests.collector.binary import cached
from tests.collector.process import Collector
from tests.collector.sink import Sink
from tests.contracts.stage import Stage
from tests.recordings.judging import check
from tests.recordings.reading import programs, recording
from tests.traffic import create_topics
from tests.waiting import until
from tests.worker import Worker

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
PATHS = {"otlp_logs": "/v1/logs", "otlp_spans": "/v1/traces"}
ALL_SEEN_SECONDS = 60.0
TERMS = """
terms:
  heartbeat: {interval: 1s, misses: 2, min: 1s, allowance: 500ms}
  silence: 3s
safety: {settle: 1s}
"""

pytestmark = pytest.mark.skipif(
    not cached().is_file(), reason="no OpenTelemetry collector has been built here: `make collector` does it (Go, once)"
)


def in_front(stage: Stage, encoding: str) -> dict[str, Any]:
    """deploy/collector-in.yaml for this stage."""
    config = yaml.safe_load((DEPLOY / "collector-in.yaml").read_text())
    kafka = config["exporters"]["kafka"]
    kafka["brokers"] = [stage.broker.bootstrap]
    for signal in ("logs", "traces"):
        kafka[signal] = {"topic": f"{stage.name}.{kafka[signal]['topic']}", "encoding": encoding}
    return dict(config)


def behind(stage: Stage, encoding: str, sink: Sink) -> dict[str, Any]:
    """deploy/collector-out.yaml for this stage, to a sink in Jaeger's place."""
    config = yaml.safe_load((DEPLOY / "collector-out.yaml").read_text())
    config["receivers"]["kafka"] |= {
        "brokers": [stage.broker.bootstrap],
        "traces": {"topics": [stage.output("finalized")], "encoding": encoding},
    }
    config["exporters"] = {"otlp_http": {"endpoint": sink.url, "sending_queue": {"enabled": False}}}
    config["service"]["pipelines"]["traces"]["exporters"] = ["otlp_http"]
    return dict(config)


def worker(stage: Stage, encoding: str) -> Worker:
    """A worker that reads what the collector writes."""
    inputs = [
        {"topic": f"{stage.name}.otlp_logs", "format": "partial_log"},
        {"topic": f"{stage.name}.otlp_spans", "format": "otlp_spans"},
    ]
    outputs = {
        "finalized": {"topic": stage.output("finalized"), "encoding": encoding},
        "dlq": {"topic": stage.output("dlq")},
        "rejected": {"topic": stage.output("rejected")},
    }
    config = yaml.safe_dump({"inputs": inputs, "outputs": outputs}) + TERMS
    return Worker(stage.broker.bootstrap, stage.name, config=config)


def received(sink: Sink) -> list[tuple[Span, ScopeSpans, ResourceSpans]]:
    """Every span that a backend behind the second collector was sent, with its scope and resource."""
    requests = [ExportTraceServiceRequest.FromString(post.body) for post in sink.posts]
    return [
        (span, scope, resource)
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def span_ids(sink: Sink) -> list[str]:
    """The ids of all spans that came, in order."""
    return sorted(span.span_id.hex() for span, _, _ in received(sink))


@pytest.mark.parametrize("encoding", ["otlp_json", "otlp_proto"])
async def test_every_recorded_span_reaches_the_backend_once(broker: Broker, encoding: str) -> None:
    """SDK, collector, Kafka, worker, Kafka, collector: each span arrives, crashed ones with their last moment, none
    twice, in either encoding."""
    stage = Stage(broker, f"collector-{encoding}", ())
    await create_topics(broker.bootstrap, *(f"{stage.name}.{topic}" for topic in PATHS))
    sent = [recording(program, "sent") for program in programs()]
    known = {span.span_id: span for one in sent for span in one.spans if span.known}
    with worker(stage, encoding).start(), Sink() as sink, Collector(in_front(stage, encoding)) as collector:
        for record in (record for one in sent for record in one.records):
            collector.send(PATHS[record.topic], record.value)
        with Collector(behind(stage, encoding, sink)):
            until(lambda: set(span_ids(sink)) >= set(known), limit_seconds=ALL_SEEN_SECONDS)
    assert span_ids(sink) == sorted(known)
    for span, scope, resource in received(sink):
        check(span, scope, resource, known[span.span_id.hex()])
