"""What a step asks the world to do. Effects are data: whoever called the law carries them out."""

from __future__ import annotations

import typing
from enum import Enum

from mypy_extensions import mypyc_attr

from finalizer.core.by_value import ByValue
from finalizer.core.model import Final, Kind


@mypyc_attr(acyclic=True)
class Emit(ByValue):
    """Write this final. An incomplete one goes to the dead-letter topic as well."""

    __match_args__ = ("final", "overturned", "resolves")
    __slots__ = __match_args__

    def __init__(self, final: Final, overturned: bool = False, resolves: bool = False) -> None:
        self.final: typing.Final = final
        self.overturned: typing.Final = overturned
        """It replaces a final that we had presumed: our own false positive."""
        self.resolves: typing.Final = resolves
        """The span has a dead letter, which this final answers."""


class LetterKind(Enum):
    """Why a span has a dead letter that is not the copy of a final."""

    MISSING_START = "missing_start"
    """`orphan_grace` is over and nobody told us the start; no final is written."""
    LATE_END = "late_end"
    """The end came after the close, and the terms (or what is left in memory) do not let it revise."""


@mypyc_attr(acyclic=True)
class DeadLetter(ByValue):
    """Write this span to the dead-letter topic only."""

    __match_args__ = ("final", "kind")
    __slots__ = __match_args__

    def __init__(self, final: Final, kind: LetterKind) -> None:
        self.final: typing.Final = final
        self.kind: typing.Final = kind


@mypyc_attr(acyclic=True)
class Late(ByValue):
    """Count evidence that came after its span was presumed closed."""

    __match_args__ = ("kind", "overturned")
    __slots__ = __match_args__

    def __init__(self, kind: Kind, overturned: bool = False) -> None:
        self.kind: typing.Final = kind
        self.overturned: typing.Final = overturned


@mypyc_attr(acyclic=True)
class BeyondMemory(ByValue):
    """Reject the record: it is older than we can remember, and knows no start."""

    __slots__ = ()


Effect = Emit | DeadLetter | Late | BeyondMemory
Effects = tuple[Effect, ...]
NONE: typing.Final[Effects] = ()
