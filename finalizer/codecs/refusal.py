"""What a parser's complaint about OTLP becomes: a reason and one line of detail."""

from __future__ import annotations

from typing import Final

import msgspec

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.native_event import check_depth

MAX_OTLP_DEPTH: Final = 300
"""Brackets inside each other in one span; far from the interpreter's own limit, wherever we run."""


MAX_REPEATED: Final = 64 * 2**20
"""Bytes of what stands around the spans of one group, once for each: every body stands for itself."""


def check_repeated(around: int, items: int) -> None:
    """Refuse a resource so large that each of its spans cannot have it. Raises `Unusable`: too_large."""
    if around * items > MAX_REPEATED:
        detail = f"{items} spans with {around} bytes of resource and scope each are more than {MAX_REPEATED} bytes"
        raise Unusable(Reason.TOO_LARGE, detail)


def check_otlp_depth(data: bytes) -> None:
    """Refuse JSON so deep that reading it again could fail from another place. Raises `Unusable`: too_deep."""
    if len(data) > 2 * MAX_OTLP_DEPTH:
        check_depth(data, MAX_OTLP_DEPTH)


def refusal(error: ValueError | RecursionError) -> Unusable:
    """Of an `Unusable` itself, of msgspec's errors, protobuf's `DecodeError`, and of too deep a nesting."""
    if isinstance(error, Unusable):
        return error
    if isinstance(error, RecursionError):
        return Unusable(Reason.TOO_DEEP, f"nested deeper than {MAX_OTLP_DEPTH}")
    wrong = isinstance(error, msgspec.ValidationError)
    return Unusable(Reason.WRONG_TYPE if wrong else Reason.MALFORMED, str(error))
