"""A `LogsData` in protobuf to its logs: the same as `json_logs`, in the other encoding. Needs the extra `otlp`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from google.protobuf.message import DecodeError
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData

from finalizer.codecs.carried import LogResource
from finalizer.codecs.errors import Unusable
from finalizer.codecs.logs import BODY_TYPE, EVENT, FREQUENCY, Log, TellLog
from finalizer.codecs.otlp_ids import key_of_bytes
from finalizer.codecs.parts import LOGS, BadPart, Part, place
from finalizer.codecs.proto_batch import isolated


def proto_logs(data: bytes, tell: TellLog) -> Iterator[Part]:
    """What `tell` makes of each log. Raises `Unusable` where the batch as a whole cannot be read."""
    try:
        batch = LogsData.FromString(data)
    except DecodeError as error:
        yield from isolated(data, partial(proto_logs, tell=tell), LOGS, error=error)
        return
    for i, outer in enumerate(batch.resource_logs):
        resource = LogResource(False, outer.resource.SerializeToString())
        for j, group in enumerate(outer.scope_logs):
            for k, log in enumerate(group.log_records):
                try:
                    parts = tell(_log(log), resource)
                except Unusable as error:
                    parts = [BadPart(log.SerializeToString(), "", error)]
                for part in parts:
                    if isinstance(part, BadPart):
                        yield BadPart(part.value, place(LOGS, i, j, k) + part.where, part.error)
                    else:
                        yield part


def _log(log: LogRecord) -> Log:
    told = {item.key: item.value.string_value for item in log.attributes}
    content = log.body.string_value or log.body.bytes_value
    return Log(
        log.time_unix_nano or log.observed_time_unix_nano,
        content,
        b"" if content else key_of_bytes(log.trace_id, log.span_id),
        told.get(EVENT, ""),
        told.get(FREQUENCY, ""),
        told.get(BODY_TYPE, ""),
    )
