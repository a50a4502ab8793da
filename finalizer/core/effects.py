"""What a step asks the world to do. Effects are data: whoever called the law carries them out."""

from __future__ import annotations

from enum import Enum

import msgspec

from finalizer.core.model import Final, Kind


class Emit(msgspec.Struct, frozen=True, gc=False):
    """Write this final. An incomplete one goes to the dead-letter topic as well."""

    final: Final
    overturned: bool = False
    """It replaces a final that we had presumed: our own false positive."""
    resolves: bool = False
    """The span has a dead letter, which this final answers."""


class LetterKind(Enum):
    """Why a span has a dead letter that is not the copy of a final."""

    MISSING_START = "missing_start"
    """`orphan_grace` is over and nobody told us the start; no final is written."""
    LATE_END = "late_end"
    """The end came after the close, and the terms (or what is left in memory) do not let it revise."""


class DeadLetter(msgspec.Struct, frozen=True, gc=False):
    """Write this span to the dead-letter topic only."""

    final: Final
    kind: LetterKind


class Late(msgspec.Struct, frozen=True, gc=False):
    """Count evidence that came after its span was presumed closed."""

    kind: Kind
    overturned: bool = False


class BeyondMemory(msgspec.Struct, frozen=True, gc=False):
    """Reject the record: it is older than we can remember, and knows no start."""


Effect = Emit | DeadLetter | Late | BeyondMemory
Effects = tuple[Effect, ...]
NONE: Effects = ()
