"""A span's tracestate, if it is one.

What is none is as good as absent: no propagator hands it on, and a stock collector's probabilistic sampler drops spans
whose tracestate it cannot parse. (.NET's partial spans have the word of their status there.)

Source: https://www.w3.org/TR/trace-context/#tracestate-header
"""

from __future__ import annotations

import re
from typing import Final

_SIMPLE: Final = r"[a-z][a-z0-9_\-*/]{0,255}+"
_TENANT: Final = r"[a-z0-9][a-z0-9_\-*/]{0,240}+@[a-z][a-z0-9_\-*/]{0,13}+"
_VALUE: Final = r"[ -+\--<>-~]{0,255}[!-+\--<>-~]"
_MEMBER: Final = rf"[ \t]*+(?:(?:{_TENANT}|{_SIMPLE})={_VALUE})?+[ \t]*+"
_is_one = re.compile(rf"{_MEMBER}(?:,{_MEMBER}){{0,31}}+", re.ASCII).fullmatch


def valid_trace_state(text: str | None) -> str:
    """The text, if it is a list of members as W3C has it; else nothing."""
    return text if text and _is_one(text) else ""
