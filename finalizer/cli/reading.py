"""Records of the output topics as a reader sees them: finals in either encoding, dead letters, rejected input."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from finalizer.cli.protobuf import from_protobuf

PROTOBUF = "application/x-protobuf"


def header(record: Any, name: str) -> str:
    """The last header of this name as text; empty where there is none."""
    return next(((value or b"").decode(errors="replace") for key, value in reversed(record.headers) if key == name), "")


def decoded(record: Any) -> Any:
    """The value of any record as JSON can carry it.

    JSON as it is, OTLP protobuf as OTLP/JSON, other text as a string, other bytes as {"base64": …}.
    """
    value = record.value
    if value is None:
        return None
    read = from_protobuf if header(record, "content-type") == PROTOBUF else orjson.loads
    try:
        return read(value)
    except ValueError:
        return text_or_base64(value)


def text_or_base64(value: bytes | None) -> str | dict[str, str] | None:
    """Bytes as JSON can carry them."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}


def plain(value: dict[str, Any]) -> Any:
    """An OTLP/JSON attribute value as a Python one."""
    for kind, one in value.items():
        match kind:
            case "intValue":
                return int(one)
            case "arrayValue":
                return [plain(item) for item in one.get("values", ())]
            case "kvlistValue":
                return {item["key"]: plain(item["value"]) for item in one.get("values", ())}
            case _:
                return one
    return None


@dataclass(frozen=True, slots=True)
class SeenFinal:
    """One record of the finalized topic. Times are nanoseconds since 1970, 0 where there is none."""

    span: str
    """Trace id and span id in lower hex, with a slash between."""
    name: str
    cause: str
    revision: int
    status: str
    """The plain word: completed, dead, …"""
    reason: str
    start_at: int
    end_at: int
    last_seen: int
    """Event time of the last evidence, of a presumed final."""
    deadline_at: int
    """The deadline that fired, of a presumed final."""
    written_at: int
    """When the broker has it, as the record says."""
    attributes: Mapping[str, Any]


def read_final(record: Any) -> SeenFinal:
    """What a record of the finalized topic says. Raises ``ValueError`` where it is none of ours."""
    try:
        [resource] = decoded(record)["resourceSpans"]
        [scope] = resource["scopeSpans"]
        [span] = scope["spans"]
        attributes = {item["key"]: plain(item["value"]) for item in span.get("attributes", ())}
        return SeenFinal(
            span=f"{span['traceId']}/{span['spanId']}",
            name=str(span.get("name", "")),
            cause=header(record, "span-finalizer-cause"),
            revision=int(header(record, "span-finalizer-revision") or 1),
            status=str(attributes.get("span_finalizer.status", "")),
            reason=str(attributes.get("span_finalizer.reason", "")),
            start_at=int(span["startTimeUnixNano"]),
            end_at=int(span["endTimeUnixNano"]),
            last_seen=int(attributes.get("span_finalizer.last_seen_unix_nano", 0)),
            deadline_at=int(attributes.get("span_finalizer.deadline_unix_nano", 0)),
            written_at=int(record.timestamp) * 1_000_000,
            attributes=attributes,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise ValueError("not a final: one span in one ExportTraceServiceRequest is expected") from problem
