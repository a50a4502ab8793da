"""What all nouns of the law have in common: they are compared, printed and copied by their fields.

They are plain classes, because compiled ones (RATIONALE: compiled) are then as small and as quick as a C struct. The
constructor takes the fields in the order of `__match_args__`; what is `Final` there never changes afterwards.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from mypy_extensions import mypyc_attr


@mypyc_attr(acyclic=True)
class ByValue:
    """The base of a class whose `__match_args__` names its fields, in the order of its constructor."""

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def but(self, **changes: Any) -> Self:
        """A copy with other values in some fields. Raises `TypeError` for a field that there is not."""
        fields = {name: getattr(self, name) for name in self.__match_args__}
        return type(self)(**fields | changes)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        named = zip(self.__match_args__, self._fields(), strict=True)
        return f"{type(self).__name__}({', '.join([f'{name}={value!r}' for name, value in named])})"

    def _fields(self) -> tuple[object, ...]:
        return tuple([getattr(self, name) for name in self.__match_args__])
