"""Sinks that need no broker: a file, a collector. What they say arrived has arrived, and in what form."""

from __future__ import annotations

import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalizer.client import Client
from finalizer.client.events import Record
from finalizer.client.sinks import Undelivered, sink_of
from finalizer.client.sinks.collector import CollectorSink
from finalizer.client.sinks.file import FileSink
from finalizer.client.sinks.partial_log import logs_of
from finalizer.client.testing import MemorySink
from finalizer.codecs import partial_log
from finalizer.codecs.description import describe
from finalizer.core.model import Coordinates, Evidence, Kind, Layer


def record(number: int, size: int = 10) -> Record:
    """A record that is told from others."""
    return Record("end", f"{number:048x}", 0, json.dumps({"n": number, "x": "x" * size}).encode())


def test_a_file_holds_one_event_a_line(tmp_path: Path) -> None:
    """What `finalizer send` reads; several programs may write to it at once."""
    sink, other = FileSink(tmp_path / "events"), FileSink(tmp_path / "events")
    sink.send([record(1), record(2)])
    other.send([record(3)])
    sink.send([record(4)])
    assert [json.loads(line)["n"] for line in (tmp_path / "events").read_text().splitlines()] == [1, 2, 3, 4]


@pytest.mark.parametrize("path", ["/dev/full", "/nowhere/events", "/"])
def test_a_file_that_cannot_be_written_is_tried_again(path: str) -> None:
    """A full disk, a folder that is missing: the events wait."""
    with pytest.raises(Undelivered, match=path):
        FileSink(path).send([record(1)])


@given(cuts=st.lists(st.sampled_from([0, 1, 10, 30, 80]), min_size=1, max_size=6))
def test_a_line_that_was_cut_off_spoils_no_other(cuts: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The disk is full in the middle of a line, again and again: each acknowledged line is there, whole."""
    path = tmp_path_factory.mktemp("sink") / "events"
    sink = FileSink(path)
    room = iter(cuts)
    written = os.write

    def write(descriptor: int, data: bytes) -> int:
        left = next(room, None)
        if left is None:
            return written(descriptor, data)
        if left == 0:
            raise OSError(28, "No space left on device")
        return written(descriptor, data[:left])

    acknowledged: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finalizer.client.sinks.file.os.write", write)
        for number in range(len(cuts) + 2):
            try:
                sink.send([record(number)])
            except Undelivered:
                continue
            acknowledged.append(number)
    lines = path.read_bytes().split(b"\n")
    assert {number for number in acknowledged if record(number).value not in lines} == set()


class Collector:
    """A collector's HTTP side; `answers` are the next statuses, 200 after them."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                collector.connections += 1

            def do_POST(self) -> None:
                body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
                status = collector.answers.pop(0) if collector.answers else 200
                if status == 200:
                    collector.requests.append({"path": self.path, **json.loads(body)})
                    collector.headers.append(dict(self.headers))
                self.send_response(status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's own name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=[0.01])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that runs."""
    one = Collector()
    one.thread.start()
    yield one
    one.server.shutdown()
    one.server.server_close()
    one.thread.join()


class Whole(MemorySink):
    """Memory that wants each record to stand alone."""

    whole_heartbeats = True


def events() -> list[Record]:
    """The records of a span with everything, as they are made for a road on which each stands alone."""
    sink = Whole()
    client = Client(sink, "shop", heartbeat=10)
    with client.span("upload", kind="client", traceparent=f"00-{'ab' * 16}-{'cd' * 8}-01") as span:
        span.progress(0.5, {"n": 1, "f": 0.5, "b": True, "l": ["x", 1], "o": {"k": "v"}})
        span.add_event("retry", {"number": 2})
        span.add_link(f"00-{'12' * 16}-{'34' * 8}-01")
    client.flush(5)
    client.close()
    return sink.records


def test_a_collector_gets_partial_span_logs(collector: Collector) -> None:
    """Strict OTLP/JSON: `heartbeat` while the span is open, `stop` with its end, the whole span in each body."""
    sink = sink_of(collector.url)
    assert list(sink.send(events())) == []
    sink.close()
    (request,) = collector.requests
    assert request["path"] == "/v1/logs"
    first, last = request["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    words = [{one["key"]: one["value"]["stringValue"] for one in log["attributes"]} for log in (first, last)]
    assert [one["partial.event"] for one in words] == ["heartbeat", "stop"]
    assert [(one["partial.frequency"], one["partial.body.type"]) for one in words] == [("10000ms", "json/v1")] * 2
    body = json.loads(last["body"]["stringValue"])["resourceSpans"][0]
    (span,) = body["scopeSpans"][0]["spans"]
    assert (span["name"], span["kind"], span["parentSpanId"]) == ("upload", 3, "cd" * 8)
    assert re.fullmatch(r"\d+", span["endTimeUnixNano"])
    attributes = {one["key"]: one["value"] for one in span["attributes"]}
    assert attributes == {
        "n": {"intValue": "1"},
        "f": {"doubleValue": 0.5},
        "b": {"boolValue": True},
        "l": {"arrayValue": {"values": [{"stringValue": "x"}, {"intValue": "1"}]}},
        "o": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}},
    }
    assert [event["name"] for event in span["events"]] == ["retry"]
    assert [link["spanId"] for link in span["links"]] == ["34" * 8]
    assert body["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "shop"}}]
    open_span = json.loads(first["body"]["stringValue"])["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert open_span["endTimeUnixNano"] == "0"


def test_a_heartbeat_for_a_collector_is_whole() -> None:
    """Nobody joins it with the start."""
    sink = Whole()
    client = Client(sink, "shop", heartbeat=0.02)
    with client.span("upload", attributes={"a": 1}):
        while not any(one.kind == "heartbeat" for one in sink.records):
            client.flush(1)
    client.close()
    beat = next(json.loads(one.value) for one in sink.records if one.kind == "heartbeat")
    assert (beat["name"], beat["attributes"]) == ("upload", {"a": 1})


def test_the_worker_reads_these_logs() -> None:
    """A collector passes them on as they are: a heartbeat with the interval, then the end with all that was told."""
    beat, end = partial_log.decode(logs_of(events()), Coordinates("otlp_logs", 0, 0, 0))
    assert isinstance(beat, Evidence)
    assert isinstance(end, Evidence)
    assert (beat.kind, beat.interval, beat.key) == (Kind.HEARTBEAT, 10_000_000_000, end.key)
    assert end.end is not None
    assert (end.kind, end.end.at > beat.at, end.start_at) == (Kind.END, True, beat.start_at)
    assert end.body is not None
    told = describe([Layer(end.at, end.seq, end.body)])
    assert (told.name, told.kind, told.parent_span_id) == ("upload", "client", "cd" * 8)
    assert told.attributes == {"n": 1, "f": 0.5, "b": True, "l": ["x", 1], "o": {"k": "v"}}
    assert told.resource == {"service.name": "shop"}
    assert ([link.span_id for link in told.links], [event.name for event in told.events]) == (["34" * 8], ["retry"])


def test_what_the_dialect_cannot_say_is_not_said(collector: Collector) -> None:
    """Pauses; and the start of a span that does not beat, which would be held to a heartbeat that it never promised."""
    sink = Whole()
    client = Client(sink, "shop", heartbeat=None)
    span = client.start_span("quiet")
    client.on_pause()
    client.on_resume()
    assert client.flush(5)
    assert [one.kind for one in sink.records] == ["start", "lifecycle", "lifecycle"]
    assert list(CollectorSink(collector.url).send(sink.records)) == []
    assert collector.requests == []
    span.end()
    client.close()
    logs = json.loads(logs_of(sink.records))["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert len(logs) == 1


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_collector_that_cannot_take_it_now_gets_it_later(collector: Collector, status: int) -> None:
    """Too much, not now, and what a person has to set right: nothing is lost meanwhile."""
    collector.answers = [status]
    sink = CollectorSink(collector.url, headers={"authorization": "Bearer x"})
    with pytest.raises(Undelivered, match=str(status)):
        sink.send(events())
    assert list(sink.send(events())) == []
    assert collector.headers[0]["authorization"] == "Bearer x"
    assert collector.connections == 1
    sink.close()


def test_a_record_that_a_collector_will_never_take_is_found(collector: Collector) -> None:
    """A batch that is refused is sent one by one; the others arrive."""
    collector.answers = [413, 200, 400]
    sink = CollectorSink(collector.url)
    first, last = events()
    assert list(sink.send([first, first, last])) == [1]
    assert len(collector.requests) == 2
    sink.close()


def test_a_collector_that_is_gone_and_back(collector: Collector) -> None:
    """A connection that broke is made again."""
    sink = CollectorSink("http://127.0.0.1:1")
    with pytest.raises(Undelivered, match="Connection refused"):
        sink.send(events())
    sink = CollectorSink(collector.url)
    sink.send(events())
    assert sink._connection is not None
    sink._connection.sock.close()
    with pytest.raises(Undelivered):
        sink.send(events())
    assert list(sink.send(events())) == []
    sink.close()
