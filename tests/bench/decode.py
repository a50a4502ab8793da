"""What decoding costs: microseconds a record, beside a parser that everybody has, both in the same run.

    python -m tests.bench.decode [--rounds 40]

The peer does less: it parses the record and looks at nothing. Rounds are interleaved, and the best of each side counts,
so that a busy machine slows both alike.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, NamedTuple

from google.protobuf.message import Message
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from finalizer.codecs import otlp_spans, partial_log
from finalizer.codecs.native import NativeDecoder
from tests.codecs.otlp_making import SOURCE, dotnet_json, ended, json_log, logs, proto_log, span, strict_json, traces
from tests.codecs.spans import UPLOAD

_CALLS = 200
_ATTRIBUTES = {
    "http.request.method": "PUT",
    "http.route": "/v1/photos",
    "network.connection.type": "wifi",
    "device.model.name": "Pixel 9",
    "retries": 2,
}
_RESOURCE = {"service.name": "mobile-app", "service.version": "4.2.0", "telemetry.sdk.language": "python"}


class Case(NamedTuple):
    """A record, how it is decoded, and what its peer does with it."""

    name: str
    record: bytes
    items: int
    ours: Callable[[bytes], object]
    peer: Callable[[bytes], object]


def _compact(record: bytes) -> bytes:
    return json.dumps(json.loads(record), separators=(",", ":")).encode()


def _proto(message: Message) -> bytes:
    return message.SerializeToString()


def _json_twice(record: bytes) -> object:
    (log,) = json.loads(record)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    return json.loads(log["body"]["stringValue"])


def _json_then_proto(record: bytes) -> object:
    (log,) = json.loads(record)["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    return TracesData.FromString(base64.b64decode(log["body"]["stringValue"]))


def _proto_twice(record: bytes) -> object:
    (log,) = LogsData.FromString(record).resource_logs[0].scope_logs[0].log_records
    return TracesData.FromString(base64.b64decode(log.body.string_value))


def cases() -> list[Case]:
    """The shapes of real traffic."""
    few = dict(list(_ATTRIBUTES.items())[:1])
    running, done = span(attributes=_ATTRIBUTES), ended(attributes=_ATTRIBUTES, status={"code": 1})
    small = traces(span(attributes=few), resource={"service.name": "app"})
    batch = traces(*[done] * 100, resource=_RESOURCE)

    def body(dialect: Any, **fields: Any) -> bytes:
        return _compact(strict_json(logs(json_log(small, lambda b: _compact(dialect(b)), **fields))))

    def partial(value: bytes) -> object:
        return partial_log.decode(value, SOURCE)

    def finished(value: bytes) -> object:
        return otlp_spans.decode(value, SOURCE)

    native, in_json, in_proto = (
        NativeDecoder().decode,
        logs(proto_log(traces(running))),
        traces(done, resource=_RESOURCE),
    )
    return [
        Case("native start", json.dumps(UPLOAD).encode(), 1, lambda value: native(value, SOURCE), json.loads),
        Case("partial log, JSON in JSON", body(strict_json), 1, partial, _json_twice),
        Case("partial log, .NET's JSON in JSON", body(dotnet_json), 1, partial, _json_twice),
        Case("partial log, protobuf in JSON", _compact(strict_json(in_json)), 1, partial, _json_then_proto),
        Case("partial log, protobuf in protobuf", _proto(in_json), 1, partial, _proto_twice),
        Case("finished span, JSON", _compact(strict_json(in_proto)), 1, finished, json.loads),
        Case("finished span, protobuf", _proto(in_proto), 1, finished, TracesData.FromString),
        Case("100 finished spans, JSON", _compact(strict_json(batch)), 100, finished, json.loads),
        Case("100 finished spans, protobuf", _proto(batch), 100, finished, TracesData.FromString),
    ]


def _best(work: Callable[[bytes], object], record: bytes, calls: int) -> float:
    began = perf_counter_ns()
    for _ in range(calls):
        work(record)
    return (perf_counter_ns() - began) / calls / 1000


def main() -> int:
    """Measure, print the table, return 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.decode", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    print(f"{'':<38}{'bytes':>8}{'us each':>10}{'peer':>8}{'ratio':>8}")
    for case in cases():
        calls = max(1, _CALLS // case.items)
        both = [(_best(case.ours, case.record, calls), _best(case.peer, case.record, calls)) for _ in range(rounds)]
        ours, peer = (min(side) / case.items for side in zip(*both, strict=True))
        size = len(case.record) // case.items
        print(f"{case.name:<38}{size:>8}{ours:>10.2f}{peer:>8.2f}{ours / peer:>8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
