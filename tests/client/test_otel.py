"""The span processor: what OpenTelemetry's SDK knows of a span arrives, and the app notices nothing."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Decision, Sampler, SamplingResult, StaticSampler
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from finalizer.client import Client, Limits
from finalizer.client.otel import FinalizerSpanProcessor
from finalizer.client.sinks.memory import MemorySink
from finalizer.client.sinks.partial_log import logs_of
from finalizer.client.testing import Capture, capture
from finalizer.codecs.description import describe
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.partial_log import decode
from finalizer.core.model import Coordinates, Evidence, Kind, Layer
from tests.client.test_processes import events, names, python

REMOTE = SpanContext(0xA1, 0xB2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("v", "1")]))
SOURCE = Coordinates("spans.events", 0, 0, 0)
BORN = 1_700_000_000_000_000_000


class Sdk:
    """A provider with the processor, and what it told."""

    def __init__(self, captured: Capture, **settings: Any) -> None:
        self.captured = captured
        self.processor = FinalizerSpanProcessor(captured.client)
        self.provider = TracerProvider(shutdown_on_exit=False, **settings)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("shop.cart", "4.2")

    def told(self, kind: str) -> dict[str, Any]:
        """The one event of this kind."""
        found = [event for event in self.captured.events if event["type"] == kind]
        assert len(found) == 1
        return found[0]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.captured.events]


@pytest.fixture
def captured() -> Iterator[Capture]:
    """A client that is captured, and by itself sends nothing."""
    with capture() as found:
        yield found


@pytest.fixture
def sdk(captured: Capture) -> Sdk:
    """The SDK as most apps set it up."""
    return Sdk(captured, resource=Resource({"service.name": "shop", "deployment": "eu"}))


def under(context: SpanContext) -> Context:
    """A context in which this is the current span."""
    return trace.set_span_in_context(NonRecordingSpan(context))


def test_a_span_is_told_when_it_begins(sdk: Sdk) -> None:
    """The start has ids, parent, trace state, kind, scope, resource, attributes and links, at the SDK's own time."""
    link = Link(SpanContext(7, 8, is_remote=False, trace_state=TraceState([("l", "2")])), {"why": "batch"})
    span = sdk.tracer.start_span(
        "upload", under(REMOTE), SpanKind.CLIENT, {"bytes": 3, "parts": ["a", "b"]}, [link], start_time=BORN
    )
    start = sdk.told("start")
    context = span.get_span_context()
    assert start.pop("span_id") == f"{context.span_id:016x}"
    assert start == {
        "v": 1,
        "type": "start",
        "trace_id": f"{0xA1:032x}",
        "parent_span_id": f"{0xB2:016x}",
        "trace_state": "v=1",
        "seq": 1,
        "time_unix_nano": str(BORN),
        "name": "upload",
        "kind": "client",
        "heartbeat_interval_ms": 10_000,
        "resource": {"service.name": "shop", "deployment": "eu"},
        "attributes": {"bytes": 3, "parts": ["a", "b"], "otel.scope.name": "shop.cart", "otel.scope.version": "4.2"},
        "links": [
            {"trace_id": f"{7:032x}", "span_id": f"{8:016x}", "trace_state": "l=2", "attributes": {"why": "batch"}}
        ],
    }


def test_its_end_says_everything(sdk: Sdk) -> None:
    """The end carries what the span became: name, attributes, events, links, status, times; the worker reads it."""
    span = sdk.tracer.start_span("GET", start_time=BORN)
    span.update_name("GET /cart")
    span.set_attributes({"size": 2.5, "raw": b"\x00\xff"})
    span.add_event("retry", {"n": 1}, timestamp=BORN + 5)
    span.add_link(SpanContext(7, 8, is_remote=False))
    span.set_status(Status(StatusCode.ERROR, "boom"))
    span.end(BORN + 9)
    end = sdk.told("end")
    assert end["name"] == "GET /cart"
    assert isinstance(span, ReadableSpan)
    raw = {"raw": "AP8="} if "raw" in (span.attributes or {}) else {}  # older SDKs drop what is no UTF-8
    assert end["attributes"] == {
        "size": 2.5,
        **raw,
        "otel.scope.name": "shop.cart",
        "otel.scope.version": "4.2",
    }
    assert end["events"] == [{"time_unix_nano": str(BORN + 5), "name": "retry", "attributes": {"n": 1}}]
    assert end["links"] == [{"trace_id": f"{7:032x}", "span_id": f"{8:016x}"}]
    assert end["status"] == {"code": "error", "message": "boom"}
    assert (end["start_time_unix_nano"], end["time_unix_nano"]) == (str(BORN), str(BORN + 9))
    assert end["resource"] == {"service.name": "shop", "deployment": "eu"}
    sdk.captured.client.flush()
    for record in sdk.captured.sink.records:
        NativeDecoder().decode(record.value, SOURCE)


def test_a_long_span_beats_with_what_it_has_become(sdk: Sdk) -> None:
    """Heartbeats come from the client's thread; attributes and status are on one where they have changed."""
    span = sdk.tracer.start_span("upload")
    sdk.captured.advance(9.5)
    span.set_attribute("part", 2)
    span.set_status(StatusCode.OK)
    sdk.captured.advance(9.5)
    first, second = [event for event in sdk.captured.events if event["type"] == "heartbeat"]
    assert "attributes" not in first
    assert second["attributes"]["part"] == 2
    assert second["status"] == {"code": "ok"}


class OnlyRecord(Sampler):
    """Spans that are recorded and not sampled."""

    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        return SamplingResult(Decision.RECORD_ONLY)

    def get_description(self) -> str:
        return "only record"


@pytest.mark.parametrize(("sampler", "told"), [(ALWAYS_ON, 2), (ALWAYS_OFF, 0), (OnlyRecord(), 0)])
def test_only_sampled_spans_are_told(captured: Capture, sampler: StaticSampler, told: int) -> None:
    """What the sampler has left out, recorded or not, is nobody's concern."""
    sdk = Sdk(captured, sampler=sampler)
    sdk.tracer.start_span("upload").end()
    assert len(captured.events) == told


def test_a_span_that_began_before_is_told_whole(captured: Capture) -> None:
    """A processor that is added late tells the ends of spans whose starts it has not seen."""
    provider = TracerProvider(shutdown_on_exit=False)
    span = provider.get_tracer("app").start_span("early", start_time=BORN)
    provider.add_span_processor(FinalizerSpanProcessor(captured.client))
    span.end()
    assert [(event["type"], event["start_time_unix_nano"]) for event in captured.events] == [("end", str(BORN))]


def test_a_span_that_nobody_holds_beats_no_more(sdk: Sdk) -> None:
    """The app lost it, so nobody can end it: it ends as abandoned when it should beat, and is not kept in memory."""
    span = sdk.tracer.start_span("lost")
    span.set_attribute("part", 1)
    sdk.captured.advance(9.5)
    del span
    gc.collect()
    sdk.captured.advance(60)
    assert sdk.kinds == ["start", "heartbeat", "end"]
    end = sdk.told("end")
    assert (end["reason"], end["attributes"]["part"]) == ("abandoned", 1)
    assert sdk.captured.client.counts["open_spans"] == len(sdk.processor._open) == 0


def test_a_service_that_the_provider_does_not_name_has_the_clients_name(captured: Capture) -> None:
    """`TracerProvider()` without a resource is the usual beginning; `unknown_service` helps nobody."""
    Sdk(captured).tracer.start_span("upload")
    resource = captured.events[0]["resource"]
    assert (resource["service.name"], resource["telemetry.sdk.name"]) == ("test", "opentelemetry")


def test_two_providers_keep_their_resources(captured: Capture) -> None:
    """One processor may serve several providers."""
    processor = FinalizerSpanProcessor(captured.client)
    for name in ("a", "b", "a"):
        provider = TracerProvider(resource=Resource({"service.name": name}), shutdown_on_exit=False)
        provider.add_span_processor(processor)
        provider.get_tracer("app").start_span(name).end()
    assert [event["resource"]["service.name"] for event in captured.events] == ["a", "a", "b", "b", "a", "a"]


def test_what_the_limits_cost_is_said() -> None:
    """The SDK's drops stand on the end; what the client's own limits leave out is counted."""
    client = Client(MemorySink(), "test", limits=Limits(events=2))
    with capture(client) as captured:
        sdk = Sdk(captured, span_limits=SpanLimits(max_span_attributes=1))
        span = sdk.tracer.start_span("upload")
        span.set_attributes({"a": 1, "b": 2})
        for name in "abc":
            span.add_event(name)
        span.end()
        end = sdk.told("end")
        assert end["attributes"]["otel.dropped_attributes_count"] == 1
        assert "a" not in end["attributes"]
        assert [event["name"] for event in end["events"]] == ["b", "c"]
        assert client.counts["attributes_left_out"] == 1
    client.close(0)


@pytest.mark.parametrize(
    "attack",
    [
        {"start_time": -5},
        {"start_time": 2**70},
        {"start_time": 1.5e9},
        {"name": "\ud800"},
        {"name": None},
        {"attributes": {"a": object(), "b": "\ud800", "c": float("nan"), "d": 2**80}},
    ],
)
def test_nonsense_neither_raises_nor_makes_a_record_unusable(sdk: Sdk, attack: dict[str, Any]) -> None:
    """Whatever the app gives to the SDK, the span goes its way, and the worker can read all that is sent."""
    span = sdk.tracer.start_span(**{"name": "odd", **attack})
    span.add_event("odd", timestamp=-1)
    span.set_status(StatusCode.ERROR, "\udfff")
    span.end(end_time=-7)
    assert sdk.kinds == ["start", "end"]
    for record in sdk.captured.sink.records:
        NativeDecoder().decode(record.value, SOURCE)


def test_a_foreign_span_does_not_raise(sdk: Sdk) -> None:
    """Somebody's own span class, with nothing in it, is passed over."""
    sdk.processor.on_end(ReadableSpan("foreign"))
    sdk.processor.on_start(object())  # type: ignore[arg-type]
    assert sdk.kinds == []


class Broken(SpanExporter):
    """An exporter beside us that never works."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        raise OSError("no network")


def test_an_exporter_that_fails_takes_nothing_from_us(sdk: Sdk) -> None:
    """Processors beside ours may fail as they like."""
    sdk.provider.add_span_processor(SimpleSpanProcessor(Broken()))
    sdk.tracer.start_span("upload").end()
    assert sdk.kinds == ["start", "end"]


def test_a_network_that_is_gone_is_not_the_apps_concern() -> None:
    """Ten thousand spans to a port where nobody listens: nothing raises, memory is bounded, a flush keeps its time."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{nobody.getsockname()[1]}", "test", buffer=100)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(FinalizerSpanProcessor(client))
        tracer = provider.get_tracer("app")
        for _ in range(10_000):
            with tracer.start_as_current_span("upload"):
                pass
        assert client.counts["buffered"] <= 100
        assert client.counts["open_spans"] == 0
        assert provider.force_flush(50) is False
        client.close(0)


def test_a_flush_waits_until_all_has_arrived() -> None:
    """`force_flush` is the provider's, and answers for us; after `shutdown` nothing is told and nothing waits."""
    sink = MemorySink()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(FinalizerSpanProcessor(Client(sink, "test")))
    tracer = provider.get_tracer("app")
    tracer.start_span("upload").end()
    assert provider.force_flush() is True
    assert [event["type"] for event in sink.events] == ["start", "end"]
    late = tracer.start_span("late")
    provider.shutdown()
    late.end()
    tracer.start_span("later").end()
    assert [event["type"] for event in sink.events][2:] == ["start", "lifecycle"]
    assert not any(thread.name.startswith("finalizer") for thread in threading.enumerate())


def test_attributes_are_read_without_the_sdks_locks(sdk: Sdk) -> None:
    """A lock that our thread held while the app forks would be held in the child for ever: so we hold none."""
    span = sdk.tracer.start_span("upload")
    span.set_attribute("part", 1)
    assert isinstance(span, ReadableSpan)
    container: Any = span._attributes
    held = threading.Event()
    done = threading.Event()
    in_time: list[bool] = []

    def hold() -> None:
        with container._lock:
            held.set()
            in_time.append(done.wait(5))

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    sdk.captured.advance(9.5)
    done.set()
    holder.join()
    assert in_time == [True]
    assert sdk.told("heartbeat")["attributes"]["part"] == 1


class Whole(MemorySink):
    """Memory, on a road where each record stands alone."""

    whole_heartbeats = True


def test_a_collectors_sink_is_the_switch_to_partial_span_logs() -> None:
    """With `http://collector:4318` the same spans are partial-span logs; the scope is theirs, and no attribute."""
    sink = Whole()
    provider = TracerProvider(resource=Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(FinalizerSpanProcessor(Client(sink, "test")))
    provider.get_tracer("shop.cart", "4.2").start_span("upload", under(REMOTE)).end()
    provider.shutdown()
    beat, stop = decode(logs_of(sink.records), SOURCE)
    assert isinstance(beat, Evidence)
    assert isinstance(stop, Evidence)
    assert (beat.kind, stop.kind) == (Kind.HEARTBEAT, Kind.END)
    for log in (beat, stop):
        assert log.body is not None
        told = describe([Layer(log.at, log.seq, log.body)])
        assert (told.name, told.trace_state, told.attributes) == ("upload", "v=1", {})
        assert told.resource == {"service.name": "shop"}
        assert told.around is not None
        assert (told.around.scope_name, told.around.scope_version) == ("shop.cart", "4.2")


FORKS = """
import os, sys, time
from opentelemetry.sdk.trace import TracerProvider
from finalizer.client import Client
from finalizer.client.otel import FinalizerSpanProcessor
provider = TracerProvider()
provider.add_span_processor(FinalizerSpanProcessor(Client("file://{folder}/events", "app", heartbeat=0.01)))
tracer = provider.get_tracer("app")
with tracer.start_as_current_span("outer") as outer:
    for number in range(8):
        pid = os.fork()
        if pid == 0:
            with tracer.start_as_current_span("child"):
                outer.set_attribute("child", number)
            break
        outer.set_attribute("parent", number)
if pid == 0:
    sys.exit(0 if provider.force_flush(10_000) else 1)
while True:
    try:
        assert os.wait()[1] == 0
    except ChildProcessError:
        break
"""


def test_an_app_that_forks_notices_nothing(tmp_path: Path) -> None:
    """A pre-forking server: each process tells its own spans, once; what is open at a fork is the parent's."""
    assert python("-c", FORKS.format(folder=tmp_path)).wait(60) == 0
    told = events(tmp_path)
    assert names(told, "start") == names(told, "end") == {"outer": 1, "child": 8}
    outer = next(event for event in told if event["type"] == "end" and event["name"] == "outer")
    assert outer["attributes"]["parent"] == 7
    assert "child" not in outer["attributes"]
    parents = {event.get("parent_span_id") for event in told if event.get("name") == "child"}
    assert parents == {outer["span_id"]}
