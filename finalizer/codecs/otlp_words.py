"""Enums as OTLP clients write them: by number, by OTLP's name, or as their language spells that name."""

from __future__ import annotations

from typing import Final

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.native_event import KIND_NUMBERS, MAX_MESSAGE
from finalizer.core.causes import StatusCode
from finalizer.core.model import Status

Word = int | str | None
_CODES: Final[dict[Word, int]] = {
    None: 0,
    **{spelling: int(code) for code in StatusCode for spelling in (int(code), code.name.lower())},
}


def span_kind(word: Word) -> int:
    """OTLP's number of a span kind; 0 is unspecified. Raises `Unusable`: wrong_type."""
    number = KIND_NUMBERS.get(word)
    return _number(word, KIND_NUMBERS, "spankind") if number is None else number


def status_code(word: Word) -> int:
    """OTLP's number of a status code; 0 is unset. Raises `Unusable`: wrong_type."""
    number = _CODES.get(word)
    return _number(word, _CODES, "statuscode") if number is None else number


def status(code: int, message: str | None) -> Status | None:
    """The status that is set; None for unset, which sets nothing, whatever its message."""
    return Status(StatusCode(code), (message or "")[:MAX_MESSAGE]) if code else None


def _number(word: Word, numbers: dict[Word, int], prefix: str) -> int:
    """Of `SPAN_KIND_CLIENT`, `SpanKindClient`, `client` or `"3"`."""
    if isinstance(word, str):
        plain = word.replace("_", "").lower().removeprefix(prefix)
        found = numbers.get(int(plain) if len(plain) == 1 and plain in "012345" else plain)
        if found is not None:
            return found
    raise Unusable(Reason.WRONG_TYPE, f"no such {prefix}: {str(word)[:40]!r}")
