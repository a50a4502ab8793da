"""Finals to OTLP: an `ExportTraceServiceRequest` of exactly one span, as a stock collector's Kafka receiver reads it.

The same final gives the same bytes, always: attributes are sorted, and nothing of a host, a clock or chance goes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr

from finalizer.codecs import otlp_json
from finalizer.codecs.description import describe
from finalizer.codecs.fitting import fitted
from finalizer.codecs.short import short_request
from finalizer.core import model

JSON: Final = "application/json"
PROTO: Final = "application/x-protobuf"


@mypyc_attr(native_class=False)
class MissingExtra(RuntimeError):
    """A format needs a package that is not installed; the message says how to install it."""


def encode_json(final: model.Final, *, max_bytes: int | None = None) -> bytes:
    """The final as OTLP/JSON. What does not fit into `max_bytes` is left out, as `fitting` says.

    `final` has a start and a cause: one without is a dead letter only.
    """
    assert final.start_at is not None and final.closed.cause is not None
    data = short_request(final)
    if data is not None and (max_bytes is None or len(data) <= max_bytes):
        return data
    return fitted(describe(final.layers), lambda description: otlp_json.request(final, description), max_bytes)


def json_within(max_bytes: int) -> Callable[[model.Final], bytes]:
    """`encode_json` with this limit. (A `functools.partial` with a keyword costs a tenth of what it calls.)"""

    def encode(final: model.Final) -> bytes:
        return encode_json(final, max_bytes=max_bytes)

    return encode


def encode_proto(final: model.Final, *, max_bytes: int | None = None) -> bytes:
    """The final as OTLP in protobuf, like `encode_json`. Raises `MissingExtra`."""
    try:
        from finalizer.codecs import otlp_proto  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        raise MissingExtra("otlp_proto needs opentelemetry-proto: pip install 'span-finalizer[otlp]'") from error
    assert final.start_at is not None and final.closed.cause is not None
    return fitted(describe(final.layers), lambda description: otlp_proto.request(final, description), max_bytes)
