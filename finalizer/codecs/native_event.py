"""The shape of a native event, and bytes to it: typed, in one pass. What its fields mean is said in `native`.

Numbers may stand as strings of digits, as 64-bit ones do in OTLP/JSON; msgspec calls that "not strict", and leaves
strings alone wherever a string is allowed.

Two typed decoders for one shape: the first knows plain attribute values and needs no look afterwards; what it refuses
the second reads with any values, which are then checked. So only records with nested attributes pay for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Generic, Literal, NoReturn, TypeVar, cast, get_args

import msgspec

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.times import YEAR_2000, bad_time
from finalizer.codecs.values import INT64_MAX, Attributes, Plain, Value, check_attributes

Moment = Annotated[int, msgspec.Meta(ge=YEAR_2000, le=INT64_MAX)]
"""Nanoseconds since the Unix epoch."""
Milliseconds = Annotated[int, msgspec.Meta(ge=0)] | Annotated[float, msgspec.Meta(ge=0)]
MAX_RECORD_DEPTH: Final = 64
"""Arrays and objects inside each other, in a whole record: far from the interpreter's own limit, wherever we run."""

MAX_MESSAGE: Final = 4096
"""Characters kept of a status message: it is held, and stored, with every open span."""

V = TypeVar("V")

SPAN_KIND_WORDS: Final = (None, "internal", "server", "client", "producer", "consumer")
"""OpenTelemetry span kinds by their OTLP number; 0 is unspecified."""
TypeWord = Literal["start", "heartbeat", "lifecycle", "end", "instance"]
StateWord = Literal["foreground", "background", "terminate"]
# fmt: off
CodeWord = Literal[
    0, 1, 2, "unset", "ok", "error", "Unset", "Ok", "Error", "UNSET", "OK", "ERROR",
    "STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR",
]
KindWord = Literal[
    0, 1, 2, 3, 4, 5, "unspecified", "internal", "server", "client", "producer", "consumer",
    "UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER",
    "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER",
]
# fmt: on
_NUMBERS: Final = {word or "unspecified": number for number, word in enumerate(SPAN_KIND_WORDS)}
KIND_NUMBERS: Final[dict[int | str | None, int]] = {
    None: 0,
    **{
        word: word if isinstance(word, int) else _NUMBERS[word.lower().removeprefix("span_kind_")]
        for word in get_args(KindWord)
    },
}
"""OTLP's number of a span kind, by every spelling of it."""
TraceId = Annotated[str, msgspec.Meta(min_length=32, max_length=32)]
SpanId = Annotated[str, msgspec.Meta(min_length=16, max_length=16)]


class NativeStatus(msgspec.Struct, gc=False):
    """OTel status; the code as number, as word (`ok`, `OK`, `Ok`) or by OTLP's name (`STATUS_CODE_OK`)."""

    code: CodeWord | None = None
    message: str | None = None


class NativeLink(msgspec.Struct, Generic[V], gc=False):
    """A link to another span."""

    trace_id: TraceId
    span_id: SpanId
    attributes: dict[str, V] | None = None
    trace_state: str | None = None


class NativeSpanEvent(msgspec.Struct, Generic[V], gc=False):
    """Something that happened at one moment of the span."""

    time_unix_nano: Moment
    name: str
    attributes: dict[str, V] | None = None


class NativeEvent(msgspec.Struct, Generic[V], gc=False, kw_only=True):
    """One native record, as it stands there. A null means the same as an absent field. Satisfies core's `Subject`."""

    # In the order in which clients write them: the decoder then finds each field where it looks first.
    v: Literal[1] | None = None
    type: TypeWord | None = None
    trace_id: TraceId | None = None
    span_id: SpanId | None = None
    parent_span_id: str | None = None
    name: str | None = None
    span_type: str | None = None
    span_kind: KindWord | None = msgspec.field(default=None, name="kind")
    time_unix_nano: Moment | None = None
    start_time_unix_nano: int | None = None
    resource: dict[str, V] | None = None
    attributes: dict[str, V] | None = None
    progress: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    status: NativeStatus | None = None
    reason: str | None = None
    state: StateWord | None = None
    heartbeat_interval_ms: Milliseconds | None = None
    timeout_ms: Milliseconds | None = None
    session_id: str | None = None
    session_expires_unix_nano: int | None = None
    op_id: str | None = None
    seq: Annotated[int, msgspec.Meta(ge=0, le=INT64_MAX)] | None = None
    trace_state: str | None = None
    links: list[NativeLink[V]] | None = None
    events: list[NativeSpanEvent[V]] | None = None
    instance_id: str | None = None
    boot_id: str | None = None

    @property
    def kind(self) -> str | None:
        """OpenTelemetry span kind in lower case; None where it is unspecified."""
        return SPAN_KIND_WORDS[KIND_NUMBERS[self.span_kind]]


read_plain = cast(
    "Callable[[bytes], NativeEvent[Value]]", msgspec.json.Decoder(NativeEvent[Plain], strict=False).decode
)
"""The decoder of nearly all events, for those who call it a hundred thousand times a second; `parse` knows the rest."""
_read_any = msgspec.json.Decoder(NativeEvent[Any], strict=False).decode


class NativeDescription(msgspec.Struct, Generic[V], gc=False):
    """Those fields of a native record that describe its span: reading no others takes half the time.

    What is seldom there, or the same in very many records, is not taken apart.
    """

    parent_span_id: str | None = None
    name: str | None = None
    span_type: str | None = None
    span_kind: KindWord | None = msgspec.field(default=None, name="kind")
    resource: msgspec.Raw = msgspec.Raw()
    attributes: dict[str, V] | None = None
    session_id: str | None = None
    op_id: str | None = None
    trace_state: str | None = None
    links: msgspec.Raw = msgspec.Raw()
    events: msgspec.Raw = msgspec.Raw()


read_description = cast(
    "Callable[[bytes], NativeDescription[Value]]",
    msgspec.json.Decoder(NativeDescription[Plain], strict=False).decode,
)
"""The description in a record that was accepted before. Raises `ValidationError` for what only `parse` can read."""
read_resource = cast("Callable[[bytes], Attributes]", msgspec.json.Decoder(dict[str, Plain], strict=False).decode)
"""A resource that was not taken apart. Raises `ValidationError`, like `read_description`."""


def parse(data: bytes | None) -> NativeEvent[Value]:
    """The event that the bytes hold. Raises `Unusable`: empty, malformed, wrong_type, too_deep, unknown_kind, ..."""
    if not data:
        raise Unusable(Reason.EMPTY, "the record has no value")
    try:
        return read_plain(data)
    except msgspec.ValidationError:
        return _parse_any(data)
    except (ValueError, RecursionError) as error:
        _refuse(error, data)


def check_depth(data: bytes, most: int = MAX_RECORD_DEPTH) -> None:
    """Refuse a record so deep that reading it again could fail from another place. Raises `Unusable`: too_deep.

    The interpreter's limit counts from where we are called, and what a decoder skips may be as deep as that allows.
    """
    if data.count(b"{") + data.count(b"[") > most and _depth(data) > most:
        raise Unusable(Reason.TOO_DEEP, f"nested deeper than {most}")


def _parse_any(data: bytes) -> NativeEvent[Value]:
    try:
        event = _read_any(data)
    except (ValueError, RecursionError) as error:
        _refuse(error, data)
    check_attributes(event.attributes, "attributes")
    check_attributes(event.resource, "resource")
    for link in event.links or ():
        check_attributes(link.attributes, "the attributes of a link")
    for happened in event.events or ():
        check_attributes(happened.attributes, "the attributes of an event")
    return event


class _Times(msgspec.Struct):
    """The times of a record whatever they are, to say what is wrong with them."""

    time_unix_nano: Any = None
    start_time_unix_nano: Any = None
    session_expires_unix_nano: Any = None


_REASONS: Final = {
    "v": Reason.UNKNOWN_VERSION,
    "type": Reason.UNKNOWN_KIND,
    "trace_id": Reason.BAD_ID,
    "span_id": Reason.BAD_ID,
    "time_unix_nano": Reason.BAD_TIME,
}


def _refuse(error: ValueError | RecursionError, data: bytes) -> NoReturn:
    if isinstance(error, RecursionError):
        raise Unusable(Reason.TOO_DEEP, f"nested deeper than {MAX_RECORD_DEPTH}") from error
    text = str(error)
    if not isinstance(error, msgspec.ValidationError):
        raise Unusable(Reason.MALFORMED, text) from error
    field = text.rpartition(" - at `$.")[2].rstrip("`")
    reason = _REASONS.get(field.rpartition(".")[2], Reason.WRONG_TYPE)
    if field in _Times.__struct_fields__:
        raise _bad_time(data, field, text) from error
    raise Unusable(reason, text) from error


def _bad_time(data: bytes, field: str, text: str) -> Unusable:
    try:
        times = msgspec.json.decode(data, type=_Times)
    except (ValueError, RecursionError):  # what comes after the time was not looked at until now
        return Unusable(Reason.BAD_TIME, text)
    return bad_time(getattr(times, field), field)


_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*+"|([\[{])|[\]}]', re.DOTALL)


def _depth(data: bytes) -> int:
    """How deep the arrays and objects of a JSON text are inside each other."""
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(data):
        if match[1]:
            depth += 1
            deepest = max(deepest, depth)
        elif not match[0].startswith(b'"'):
            depth -= 1
    return deepest
