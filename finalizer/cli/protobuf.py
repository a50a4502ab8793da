"""OTLP protobuf -> OTLP/JSON, for people who look at a topic. (protobuf's own conversion writes ids as base64.)"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

from finalizer.shell.stop import Exit, Stop

HEX_FIELDS = {"trace_id", "span_id", "parent_span_id"}


def from_protobuf(value: bytes) -> dict[str, Any]:
    """The `ExportTraceServiceRequest` in these bytes as OTLP/JSON. Raises ``ValueError`` where it is none.

    Raises ``Stop`` where the `otlp` extra is not installed.
    """
    try:
        from google.protobuf.message import DecodeError  # noqa: PLC0415 - an optional extra
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: PLC0415
    except ModuleNotFoundError as problem:
        raise Stop(
            Exit.CONFIGURATION, "Reading OTLP protobuf needs the `otlp` extra: pip install 'span-finalizer[otlp]'."
        ) from problem
    try:
        message = trace_service_pb2.ExportTraceServiceRequest.FromString(value)
    except DecodeError as problem:
        raise ValueError("not an ExportTraceServiceRequest") from problem
    return _fields(message)


def _fields(message: Any) -> dict[str, Any]:
    return {field.json_name: _value(field, value) for field, value in message.ListFields()}


def _value(field: Any, value: Any) -> Any:
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_value(field, one) for one in value]
    if field.message_type is not None:
        return _fields(value)
    if isinstance(value, bytes):
        return value.hex() if field.name in HEX_FIELDS else base64.b64encode(value).decode()
    is_long = field.cpp_type in (field.CPPTYPE_INT64, field.CPPTYPE_UINT64)
    return str(value) if is_long else value
