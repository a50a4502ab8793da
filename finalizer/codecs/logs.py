"""A log record as far as partial spans need it, whichever encoding it came in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from finalizer.codecs.carried import LogResource
from finalizer.codecs.parts import Part
from finalizer.core.model import SpanKey

EVENT: Final = "partial.event"
FREQUENCY: Final = "partial.frequency"
BODY_TYPE: Final = "partial.body.type"


class Log(NamedTuple):
    """What a partial-span log says, as it stands there; empty where it says nothing."""

    at: int
    """Its time, else that of its observation; 0 where it has neither."""
    body: str | bytes
    key: SpanKey
    """The span that it belongs to, by its own ids; read only where it has no body."""
    event: str
    frequency: str
    body_type: str


TellLog: TypeAlias = Callable[[Log, LogResource], list[Part]]
"""The parts of one log. Places are relative to it. Raises `Unusable` where the log as a whole cannot be used."""
