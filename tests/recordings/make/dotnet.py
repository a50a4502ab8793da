"""The shop as the .NET client G-Research.OpenTelemetry.Processor.Partial 0.0.4 would tell of it. NOT recorded: written
by hand from that client's published source, since .NET does not run where the recordings are made.

What its source says: the body is its own model as JSON in snake_case, nulls left out, 64-bit numbers as numbers, enums
as numbers, every attribute a string, the resource on the log alone; a root's parent is all zeros; `trace_state` holds
the word of the activity's status; a heartbeat has no end. Heartbeats are logged by a thread of its own, so their logs
name no trace; a stop is logged where the activity ends, and its log does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SEVERITY_NUMBER_INFO, LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.collector.sink import Post
from tests.recordings.reading import compact

NOTE = "written by hand from the client's source, not recorded: .NET does not run where recordings are made"
BORN = 1_795_392_000_000_000_000
SECOND = 1_000_000_000
TICK = 100
RESOURCE = {
    "service.name": "shop",
    "service.instance.id": "5d1c9f1e-6a0c-4f6e-8f43-0d2c5f1f8a11",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.language": "dotnet",
    "telemetry.sdk.version": "1.12.0",
}
LOGGER = "GR.OpenTelemetry.Processor.Partial.PartialActivityProcessor"
KINDS = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
STATUSES = {"unset": 0, "ok": 1, "error": 2}
LINK = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}


@dataclass
class Activity:
    """An activity, with what is told of it: `beats` are the times of its heartbeats after its start, in seconds."""

    trace_id: str
    span_id: str
    name: str
    kind: str
    start: int
    beats: tuple[float, ...]
    end: int | None = None
    parent: str = ""
    status: str = "unset"
    words: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    events: list[tuple[int, str, dict[str, str]]] = field(default_factory=list)
    links: list[dict[str, str]] = field(default_factory=list)

    @property
    def beaten_at(self) -> list[int]:
        """Event times of its heartbeats, in .NET's ticks."""
        return [self.start + int(beat * SECOND) // TICK * TICK for beat in self.beats]

    def body(self, *, ended: bool) -> bytes:
        """The TracesData of the client, as its serializer writes it."""
        span: dict[str, Any] = {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "trace_state": self.status.capitalize(),
            "parent_span_id": self.parent or "0" * 16,
            "flags": 1,
            "name": self.name,
            "kind": KINDS[self.kind],
            "start_time_unix_nano": self.start,
        }
        if ended:
            span["end_time_unix_nano"] = self.end
        span["attributes"] = strings(self.attributes)
        span["events"] = [
            {"time_unix_nano": at, "name": name, "attributes": strings(told)} for at, name, told in self.events
        ]
        span["links"] = [{**link, "attributes": [], "flags": 1} for link in self.links]
        message = {"message": self.words} if self.words else {}
        span["status"] = {**message, "code": STATUSES[self.status]}
        scope = {"name": "shop.tracing", "version": "2.1.0", "attributes": []}
        return compact({"resource_spans": [{"scope_spans": [{"scope": scope, "spans": [span]}]}]})

    def log(self, at: int, *, ended: bool) -> LogRecord:
        """One log of it."""
        told = {"partial.event": "stop"} if ended else {"partial.event": "heartbeat", "partial.frequency": "400ms"}
        log = LogRecord(
            time_unix_nano=at,
            observed_time_unix_nano=at,
            severity_number=SEVERITY_NUMBER_INFO,
            severity_text="Information",
            body=AnyValue(string_value=self.body(ended=ended).decode()),
            attributes=pairs({**told, "partial.body.type": "json/v1"}),
        )
        if ended:
            log.trace_id, log.span_id, log.flags = bytes.fromhex(self.trace_id), bytes.fromhex(self.span_id), 1
        return log

    def expected(self) -> dict[str, Any]:
        """What is known of it, as `tests.recordings.reading.Span`."""
        return {
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_span_id": self.parent,
            "trace_state": None,
            "name": self.name,
            "kind": self.kind,
            "start_unix_nano": self.start,
            "end_unix_nano": self.end,
            "heartbeats": len(self.beats),
            "last_heard_unix_nano": max(self.beaten_at, default=None),
            "ends": ["otlp_logs"] if self.end else [],
            "status": {"code": self.status, "message": self.words or ""},
            "events": [{"time_unix_nano": at, "name": name} for at, name, _ in self.events],
            "links": [{**link, "attributes": {}} for link in self.links],
            "attributes": self.attributes,
            "resource": RESOURCE,
            "scope": {"name": "shop.tracing", "version": "2.1.0", "schema_url": ""},
        }


CHECKOUT, UPLOAD = "7b9c1f0e3d5a48c2a1e6f4b2d8c90317", "c2d4e6f80a1b3c5d7e9f1a2b3c4d5e6f"
ACTIVITIES = [
    Activity(
        CHECKOUT,
        "1f2e3d4c5b6a7980",
        "POST /checkout",
        "server",
        BORN,
        (0.1, 0.5),
        end=BORN + SECOND + 23 * TICK,
        status="ok",
        attributes={"http.request.method": "POST", "items": "3", "express": "True", "of.string": 'Größe ✓ "quoted"'},
        events=[(BORN + 7 * TICK, "cart.loaded", {"items": "3"})],
    ),
    Activity(
        CHECKOUT,
        "2a3b4c5d6e7f8091",
        "charge card",
        "client",
        BORN + SECOND // 10,
        (0.1,),
        end=BORN + SECOND // 2,
        parent="1f2e3d4c5b6a7980",
        status="error",
        words="card declined",
        links=[LINK],
    ),
    Activity(
        UPLOAD,
        "3c4d5e6f70819203",
        "upload",
        "internal",
        BORN + SECOND // 5,
        (0.1, 0.5),
        attributes={"device.model.name": "Pixel 9"},
    ),
    Activity(UPLOAD, "4d5e6f708192a3b4", "chunk 1", "client", BORN + SECOND // 4, (0.15,), parent="3c4d5e6f70819203"),
]


def strings(attributes: dict[str, str]) -> list[dict[str, Any]]:
    """Attributes in the client's model: each value is a string."""
    return [{"key": name, "value": {"string_value": value}} for name, value in attributes.items()]


def pairs(attributes: dict[str, str]) -> list[KeyValue]:
    """Attributes in OTLP's protobuf."""
    return [KeyValue(key=name, value=AnyValue(string_value=value)) for name, value in attributes.items()]


def posts() -> list[Post]:
    """The client's requests, one for each log, in the order of their times."""
    logs = [(at, one.log(at, ended=False)) for one in ACTIVITIES for at in one.beaten_at]
    logs += [(one.end, one.log(one.end, ended=True)) for one in ACTIVITIES if one.end]
    return [
        Post("/v1/logs", "application/x-protobuf", request(log), at // 1_000_000) for at, log in sorted(logs, key=first)
    ]


def first(pair: tuple[int, LogRecord]) -> int:
    """The time of a log."""
    return pair[0]


def request(log: LogRecord) -> bytes:
    """A request with one log, as the simple processor of .NET's SDK sends it."""
    scope = ScopeLogs(scope=InstrumentationScope(name=LOGGER), log_records=[log])
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=Resource(attributes=pairs(RESOURCE)), scope_logs=[scope])]
    ).SerializeToString()


def expected() -> list[dict[str, Any]]:
    """What is known of its spans."""
    return [one.expected() for one in ACTIVITIES]
