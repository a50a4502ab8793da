"""Which of OTLP's two encodings a record is in: told by its first byte, so that no setting is needed.

A batch in protobuf begins with 0x0A (its first field, of bytes), one in JSON with a brace, or with blanks before it. A
line feed is 0x0A as well: there JSON is known by its first name.
"""

from __future__ import annotations

import re
from typing import Final

from finalizer.codecs.errors import Reason, Unusable

_PROTO: Final = 0x0A
_BRACE: Final = 0x7B
_BLANKS: Final = b" \t\r"
_late_json = re.compile(rb'\s++\{\s*+"resource').match


def is_json(value: bytes) -> bool:
    """True for JSON, False for protobuf. Raises `Unusable` for neither."""
    first = value[0]
    if first == _BRACE or first in _BLANKS:
        return True
    if first == _PROTO:
        return _late_json(value) is not None
    raise Unusable(Reason.MALFORMED, f"neither OTLP/JSON nor protobuf: it begins with {value[:8]!r}")
