"""What a client is told once, and what a span is told at its start: checked, in nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, Literal, NamedTuple, TypedDict

from finalizer.client.attributes import INT64_MAX, Attributes, Limits, clean, number, text
from finalizer.client.clock import nanoseconds
from finalizer.client.ids import SpanContext
from finalizer.client.saying import say
from finalizer.client.span import MAX_NAME, Identity, Span

HEARTBEAT: Final = timedelta(seconds=10)
THROTTLE: Final = 0.8
"""A span beats no more often than after this part of the interval that it declared, as Temporal's clients do."""
JITTER: Final = 0.1
"""And up to this part of the interval later, so that spans that began together do not beat together."""
YEAR_2000: Final = 946_684_800_000_000_000
"""No moment is older: a smaller number is in another unit."""
KEEP: Final = timedelta(minutes=10)

Duration = timedelta | float
Kind = Literal["internal", "server", "client", "producer", "consumer"]
KINDS: Final = ("internal", "server", "client", "producer", "consumer")
ON_PAUSE: Final = ("background", "partial")
OnPause = Literal["background", "partial"]


class OperationOptions(TypedDict, total=False):
    """What may be said of an operation at its start."""

    span_type: str
    """A word for the kind of work; the worker's rules may match on it."""
    kind: Kind
    attributes: dict[str, Any]
    parent: Span | SpanContext | None
    """The span above it: the current one, if this is not given; None for a root."""
    traceparent: str | None
    """The caller's W3C header, instead of `parent`; what is no header makes a root."""
    tracestate: str | None
    links: list[SpanContext | str]
    timeout: Duration
    """"I take no longer than this.\""""
    heartbeat: Duration | None
    """"I beat this often"; None: it does not beat."""
    session_id: str
    session_expires_unix_nano: int
    on_pause: OnPause
    """What a pause of the app does: `background` says so and waits, `partial` closes it with what it has."""
    start: Literal["eager", "lazy"]
    """`lazy`: a span that ends before its first heartbeat is one event, its end; killed before that, it is unknown."""


class SpanOptions(OperationOptions, total=False):
    """What may be said of a span at its start."""

    op_id: str
    """Your id of the operation; stands on the final."""


class Settings(NamedTuple):
    """What holds for all spans of a client."""

    resource: Attributes
    heartbeat: int
    """Nanoseconds; 0: spans do not beat unless they say so."""
    initial_delay: int | None
    """Age at which a span beats for the first time; None: when the first heartbeat is due anyway."""
    lazy: bool = False
    on_pause: str = "background"
    keep: int = nanoseconds(KEEP, name="keep")
    """How long an operation between two attempts is kept alive."""
    limits: Limits = Limits()
    whole_heartbeats: bool = False
    """Heartbeats say everything, for a road on which each record stands alone."""
    instance_id: str = ""
    """One heartbeat of this process stands for all its spans; empty: each beats for itself."""
    boot_id: str = ""
    """Which start of the instance this is."""
    spooled: bool = False
    """What is known of open spans is kept, for the next run to close them."""


def settings_of(
    service: object,
    *,
    resource: Mapping[str, Any] | None,
    heartbeat: Duration | None,
    initial_delay: Duration | None,
    start: str,
    on_pause: str,
    keep: Duration,
    limits: Limits,
) -> Settings:
    """Settings out of what the app gave. Raises `ValueError`, one sentence, for what cannot be."""
    if not isinstance(service, str) or not service:
        raise ValueError("service is the name of your program, for service.name")
    if start not in ("eager", "lazy"):
        raise ValueError(f"start is eager or lazy, not {start!r}")
    if on_pause not in ON_PAUSE:
        raise ValueError(f"on_pause is background or partial, not {on_pause!r}")
    interval = 0 if heartbeat is None else nanoseconds(heartbeat, name="heartbeat")
    delay = None if initial_delay is None else nanoseconds(initial_delay, name="initial_delay")
    if delay is not None and interval and delay > interval:
        raise ValueError("initial_delay is longer than heartbeat: such a span would pass for one that never beat")
    cleaned, left_out = clean({"service.name": service, **(resource or {})}, limits)
    if left_out:
        raise ValueError("resource has a value that is no string, number, boolean, list or object")
    return Settings(cleaned, interval, delay, start == "lazy", on_pause, nanoseconds(keep, name="keep"), limits)


def identity_of(name: object, above: str, settings: Settings, options: SpanOptions) -> Identity:
    """What a span is, out of what the app gave; what cannot be is left out. `above` is its parent's span id."""
    title = text(name, MAX_NAME) or "operation"
    told: list[Any] = [title, above, *_UNTOLD]
    told[_INTERVAL], told[_ON_PAUSE], told[_LAZY] = settings.heartbeat, settings.on_pause, settings.lazy
    for option, given in options.items():
        reader = _READERS.get(option)
        if reader is not None:
            place, read = reader
            known = read(given)
            if known is not None:
                told[place] = known
    return Identity._make(told)


def _word(given: object) -> str | None:
    return text(given, MAX_NAME) or None


def _kind(given: object) -> str | None:
    if type(given) is str and given in KINDS:
        return given
    kind = text(given, MAX_NAME).lower()
    return kind if kind in KINDS else None


def _on_pause(given: object) -> str | None:
    word = text(given, MAX_NAME)
    return word if word in ON_PAUSE else None


def _moment(given: object) -> int | None:
    moment = number(given)
    return int(moment) if moment is not None and YEAR_2000 <= moment < INT64_MAX else None


def _timeout(given: object) -> int | None:
    try:
        return None if given is None else nanoseconds(given, name="timeout")
    except ValueError as error:
        say("timeout", str(error))
        return None


def _heartbeat(given: object) -> int | None:
    try:
        return 0 if given is None else nanoseconds(given, name="heartbeat")
    except ValueError as error:
        say("heartbeat", str(error))
        return None


def _is_lazy(given: object) -> bool:
    return text(given, MAX_NAME) == "lazy"


_PLACES: Final = {field: place for place, field in enumerate(Identity._fields)}
_INTERVAL, _ON_PAUSE, _LAZY = _PLACES["interval"], _PLACES["on_pause"], _PLACES["lazy"]
_UNTOLD: Final = tuple(Identity("", ""))[2:]
_READERS: Final[dict[str, tuple[int, Callable[[object], Any]]]] = {
    "span_type": (_PLACES["span_type"], _word),
    "kind": (_PLACES["kind"], _kind),
    "op_id": (_PLACES["op_id"], _word),
    "session_id": (_PLACES["session_id"], _word),
    "session_expires_unix_nano": (_PLACES["session_expires"], _moment),
    "heartbeat": (_INTERVAL, _heartbeat),
    "timeout": (_PLACES["timeout"], _timeout),
    "on_pause": (_ON_PAUSE, _on_pause),
    "start": (_LAZY, _is_lazy),
}
"""Where in a span's identity an option stands, and how it is read."""
