"""The configuration table of the README: one row for each setting, out of its declaration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from finalizer.policy.fields import Each, Elsewhere, Field, Globs, Items, Overrides, Section, Shape, fields_of
from finalizer.policy.schema import Policy
from finalizer.policy.values import Value


class Row(NamedTuple):
    """One setting, in Markdown. `[]` in the path stands for each item of a list; an empty default: it must be given."""

    path: str
    type: str
    default: str
    meaning: str


def table() -> list[Row]:
    """All settings of finalizer.yaml in the order in which a person meets them."""
    return list(_rows("", Policy, None))


def _rows(path: str, shape: Shape, defaults: object) -> Iterator[Row]:
    for declared in msgspec.structs.fields(shape):
        field = fields_of(shape).get(declared.encode_name)
        if field is not None:
            inner = f"{path}.{declared.encode_name}" if path else declared.encode_name
            yield from _row(inner, field, declared.default if defaults is None else getattr(defaults, declared.name))


def _row(path: str, field: Field, default: object) -> Iterator[Row]:
    match field.form:
        case Section(shape):
            yield from _rows(path, shape, default)
        case Items(shape):
            yield from _rows(f"{path}[]", shape, None)
        case Overrides():
            yield Row(path, "settings", "none", field.meaning)
        case Globs():
            yield Row(path, "name → glob or list of globs", "none", field.meaning)
        case Elsewhere():
            yield Row(path, "options by name", field.unset, field.meaning)
        case Each(value):
            assert isinstance(default, tuple)
            written = ", ".join(str(value.written(one)) for one in default)
            yield Row(path, f"list of {value.label}s", f"`[{written}]`", field.meaning)
        case Value() as value:
            yield Row(path, value.label, _default(value, field, default), field.meaning)


def _default(value: Value, field: Field, default: object) -> str:
    if default is msgspec.NODEFAULT:
        return ""
    if default is None:
        return field.unset
    written = value.written(default)
    return f"`{str(written).lower() if isinstance(written, bool) else written}`"
