"""What a record of a foreign format holds: pieces of evidence, and parts that could not be used.

One record may be a whole batch of many traces. A bad log or span in it is rejected by itself, its neighbours are used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from finalizer.codecs.errors import Unusable
from finalizer.core.model import Coordinates, Evidence


class BadPart(msgspec.Struct, frozen=True):
    """A part of a record that could not be used."""

    # Not `gc=False`: an error knows the frames it came through, and with them, in a circle, the part itself.

    value: bytes
    """The log's or span's own bytes, as they stand in the record (protobuf: as that message is written again)."""
    where: str
    """Its place in the record, e.g. `resourceLogs[0].scopeLogs[1].logRecords[3]`."""
    error: Unusable


Names = tuple[str, str, str]
"""What the levels of a batch are called."""
SPANS: Final[Names] = ("resourceSpans", "scopeSpans", "spans")
LOGS: Final[Names] = ("resourceLogs", "scopeLogs", "logRecords")


def place(names: Names, i: int, j: int, k: int) -> str:
    """Where in its batch an item is."""
    return f"{names[0]}[{i}].{names[1]}[{j}].{names[2]}[{k}]"


Part: TypeAlias = "Evidence | BadPart"

DecodeBatch: TypeAlias = Callable[[bytes | None, Coordinates], Sequence[Part]]
"""Decodes a record of a foreign format. Raises `Unusable` where the record as a whole cannot be used."""
