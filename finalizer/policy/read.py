"""The tree of a finalizer.yaml -> what it gives, as plain dicts of typed values. Every mistake is noted, none stops it.

A setting that is wrong is as good as not given, so that one mistake is told once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from finalizer.policy.fields import (
    Each,
    Elsewhere,
    Field,
    Form,
    Globs,
    Items,
    Overrides,
    Section,
    Shape,
    fields_of,
    required_of,
)
from finalizer.policy.problems import LONGEST_QUOTE, Problem, quoted
from finalizer.policy.rules import ATTRIBUTES, RESOURCE
from finalizer.policy.tree import Entry, Listing, Node, Pairs, Scalar
from finalizer.policy.values import Refused, Value

Given = dict[str, Any]
"""Key in the file -> value of its kind; for a section `Given` again, for a list of sections a list of `Given`."""

_NO_VALUE = object()
"""Stands for a value that was wrong, or is not for us: no value."""
_WHAT = {Scalar: "one value", Pairs: "`key: value` lines", Listing: "a list"}


class Reader:
    """Reads a tree once. `problems` fills on the way; `lines` tells where a path of settings was written."""

    def __init__(self, shape: Shape) -> None:
        self.problems: list[Problem] = []
        self._shape = shape
        self._lines: dict[str, int] = {}

    def read(self, root: Node) -> Given:
        """All that the file gives."""
        return self._section(root, "", self._shape)

    def blame(self, message: str, *paths: str) -> None:
        """Note a problem at the first of the paths that was written, else where the last would belong."""
        path = next((path for path in paths if path in self._lines), paths[-1])
        above = (path.rsplit(".", count)[0] for count in range(path.count(".") + 1))
        self.problems.append(Problem(path, message, next(filter(None, map(self._lines.get, above)), None)))

    def was_given(self, path: str) -> bool:
        """True if the path was written, rightly or wrongly."""
        return path in self._lines

    def _wrong(self, path: str, message: str, line: int) -> object:
        self.problems.append(Problem(path, message, line))
        return _NO_VALUE

    def _value(self, node: Node, path: str, form: Form) -> object:
        match form:
            case Section(shape) | Overrides(shape):
                return self._section(node, path, shape)
            case Items(shape):
                return self._items(node, path, shape)
            case Globs():
                return self._match(node, path)
            case Each(value):
                return self._each(node, path, value)
            case Elsewhere():
                return _NO_VALUE
            case Value():
                return self._scalar(node, path, form)

    def _scalar(self, node: Node, path: str, form: Value) -> object:
        if not isinstance(node, Scalar):
            return self._wrong(path, f"one value is expected, not {_WHAT[type(node)]}", node.line)
        if node.is_nothing:
            return self._wrong(path, "has no value; without the key the default holds", node.line)
        try:
            return form.read(node)
        except Refused as refused:
            return self._wrong(path, str(refused), node.line)

    def _section(self, node: Node, path: str, shape: Shape) -> Given:
        fields, given = fields_of(shape), Given()
        for entry, inner in self._entries(node, path):
            field = fields.get(entry.key)
            if field is None:
                self._wrong(inner, self._unknown(entry.key, path, fields), entry.line)
                continue
            value = self._value(entry.node, inner, field.form)
            if value is not _NO_VALUE:
                given[entry.key] = value
        if isinstance(node, Pairs) or (isinstance(node, Scalar) and node.is_nothing):
            for key in sorted(required_of(shape)):
                if f"{path}.{key}" not in self._lines:
                    self._wrong(path, f"`{key}` is missing", node.line)
        return given

    def _entries(self, node: Node, path: str) -> Iterator[tuple[Entry, str]]:
        """The entries of a mapping with their paths, of keys that were written twice the first."""
        if isinstance(node, Scalar) and node.is_nothing:
            return
        if not isinstance(node, Pairs):
            self._wrong(path, f"`key: value` lines are expected, not {_WHAT[type(node)]}", node.line)
            return
        for entry in node.entries:
            inner = f"{path}.{entry.key}" if path else entry.key
            if inner in self._lines:
                self._wrong(inner, f"is given twice, first in line {self._lines[inner]}", entry.line)
                continue
            self._lines[inner] = entry.line
            yield entry, inner

    def _unknown(self, key: str, path: str, fields: Mapping[str, Field]) -> str:
        elsewhere = [place for place in _places("", self._shape) if place.rpartition(".")[2] == key]
        if elsewhere and len(elsewhere) == 1:
            return f"unknown key {quoted(key)}; it belongs in `{elsewhere[0].rpartition('.')[0] or 'the top level'}`"
        near = get_close_matches(key.lower().replace("-", "_")[:LONGEST_QUOTE], fields, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known in `{path or 'the file'}`: {', '.join(fields)}"
        return f"unknown key {quoted(key)}; {hint}"

    def _nodes(self, node: Node, path: str) -> Iterable[tuple[str, Node]]:
        if not isinstance(node, Listing):
            self._wrong(path, f"a list is expected, not {_WHAT[type(node)]}", node.line)
            return []
        places = [(f"{path}[{index}]", inner) for index, inner in enumerate(node.nodes)]
        self._lines.update((place, inner.line) for place, inner in places)
        return places

    def _items(self, node: Node, path: str, shape: Shape) -> object:
        if isinstance(node, Scalar) and node.is_nothing:
            return _NO_VALUE
        places = self._nodes(node, path)
        return (
            [self._section(inner, place, shape) for place, inner in places] if isinstance(node, Listing) else _NO_VALUE
        )

    def _each(self, node: Node, path: str, value: Value) -> object:
        read = [self._scalar(inner, place, value) for place, inner in self._nodes(node, path)]
        return tuple(one for one in read if one is not _NO_VALUE)

    def _match(self, node: Node, path: str) -> object:
        match, before = dict[str, tuple[str, ...]](), len(self.problems)
        for entry, inner in self._entries(node, path):
            globs = self._globs(entry.node, inner)
            if entry.key in {"", RESOURCE, ATTRIBUTES}:
                self._wrong(inner, "the name of an attribute is missing", entry.line)
            elif globs:
                match[entry.key] = globs
        return match if len(self.problems) == before else _NO_VALUE

    def _globs(self, node: Node, path: str) -> tuple[str, ...]:
        nodes = [(path, node)] if isinstance(node, Scalar) else list(self._nodes(node, path))
        if not nodes and isinstance(node, Listing):
            self._wrong(path, "an empty list of globs fits nothing", node.line)
        globs = []
        for place, inner in nodes:
            if not isinstance(inner, Scalar) or inner.is_nothing:
                self._wrong(place, "a glob is expected, for example `mobile-*`", inner.line)
            elif inner.plain and inner.text.lower() in {"true", "false"}:
                globs.append(inner.text.lower())
            else:
                globs.append(inner.text)
        return tuple(globs)


def _places(path: str, shape: Shape) -> Iterator[str]:
    """The paths of all settings that are in no list, sections included."""
    for key, field in fields_of(shape).items():
        inner = f"{path}.{key}" if path else key
        yield inner
        if isinstance(field.form, Section):
            yield from _places(inner, field.form.shape)
