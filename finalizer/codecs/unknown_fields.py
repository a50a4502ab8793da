"""Fields of a native event that the format does not know: they are ignored, so a misspelt one is, too, without a word.

Not looked for where records are decoded, since that would cost each of them; for those who look at few.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

import msgspec

from finalizer.codecs.errors import one_line
from finalizer.codecs.native_event import NativeEvent

KNOWN_FIELDS: Final = frozenset(field.encode_name for field in msgspec.structs.fields(NativeEvent))
_MAX_NAME: Final = 60
_fields_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def unknown_fields(data: bytes) -> list[str]:
    """The names in a record that was accepted which are no field of an event, each as one printable line."""
    try:
        names = _fields_of(data)
    except (ValueError, RecursionError):  # what a decoder skips it does not look into: a name may be no UTF-8
        return []
    return [one_line(name[:_MAX_NAME]) for name in names if name not in KNOWN_FIELDS]


def told(name: str) -> str:
    """A sentence for whoever wrote that field."""
    near = get_close_matches(name.lower().replace("-", "_"), KNOWN_FIELDS, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    return f'"{name}" is no field of an event and is ignored.{hint}'
