"""Why a record could not be used: a closed list of reason codes, and the one exception a decoder raises."""

from __future__ import annotations

from enum import Enum
from typing import Final

MAX_DETAIL: Final = 300
"""Characters of a detail; it goes into a Kafka header and a log line."""


class Reason(Enum):
    """Reason code of a rejected record: `dlq.reason`, and the label `reason` of `rejected_total`."""

    EMPTY = "empty"
    """The value is null or has no bytes."""
    MALFORMED = "malformed"
    """Not the format the input is declared to have: broken JSON, broken UTF-8, cut off."""
    WRONG_TYPE = "wrong_type"
    """A field has a type or a value that it cannot have."""
    MISSING_FIELD = "missing_field"
    """A required field is not there."""
    UNKNOWN_VERSION = "unknown_version"
    """`v` names a version of the format that we do not read."""
    UNKNOWN_KIND = "unknown_kind"
    """`type` is none of start, heartbeat, lifecycle, end."""
    BAD_ID = "bad_id"
    """A trace id is not 32, or a span id not 16 hexadecimal characters."""
    ZERO_ID = "zero_id"
    """A trace or span id of zeros: it names nothing."""
    BAD_TIME = "bad_time"
    """No time in nanoseconds after the year 2000; the detail tells the unit that it looks like."""
    TOO_DEEP = "too_deep"
    """Nested deeper than any span is."""
    TOO_LARGE = "too_large"
    """Larger than its state can be kept."""
    BEYOND_MEMORY = "beyond_memory"
    """Older than we can remember, and it knows no start: the span may have had its final long ago."""
    INTERNAL_ERROR = "internal_error"
    """Deciding it raised: a bug of ours, with its trace in the log."""

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is a Python call


class Unusable(ValueError):
    """A record that cannot be used. Its fate is the rejected topic, with `reason` and `detail` as headers.

    `detail` is one printable line of at most `MAX_DETAIL` characters that says what to look at.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = one_line(detail)
        super().__init__(f"{reason.value}: {self.detail}")


def one_line(text: str) -> str:
    """The text as one printable line of at most `MAX_DETAIL` characters."""
    text = text[:MAX_DETAIL]
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
