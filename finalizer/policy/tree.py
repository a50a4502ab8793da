"""YAML text -> a bounded tree of what was written, each part with its line.

Scalars stay as they were written (`NO`, `1:30` and `010` are not turned into something else): what they mean is decided
by the setting they stand for. Aliases are followed, but a text whose parts, counted with every alias written out, are
more than `MOST_NODES` is refused, so that no small text becomes a large policy.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

import yaml

from finalizer.policy.problems import quoted

MOST_CHARACTERS = 256 * 1024
MOST_NODES = 20_000
MOST_DEPTH = 16
LONGEST_KEY = 256

_PLAIN_TAGS: AbstractSet[str | None] = {
    None,
    "tag:yaml.org,2002:int",
    "tag:yaml.org,2002:float",
    "tag:yaml.org,2002:bool",
}
_TEXT_TAGS: AbstractSet[str | None] = {"!", "tag:yaml.org,2002:str"}
_COLLECTION_TAGS: AbstractSet[str | None] = {None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}
_NOTHING = {"", "~", "null", "Null", "NULL"}


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value as it was written. `plain`: without quotes, so it may stand for a number, a truth value or nothing."""

    text: str
    plain: bool
    line: int
    size: int = 1
    depth: int = 0

    @property
    def is_nothing(self) -> bool:
        """True if no value was written."""
        return self.plain and self.text in _NOTHING


class Entry(NamedTuple):
    """One `key: value`; a key that was written twice has two."""

    key: str
    line: int
    node: Node


@dataclass(frozen=True, slots=True)
class Pairs:
    """A mapping, in the order of the text."""

    entries: tuple[Entry, ...]
    line: int
    size: int
    depth: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A sequence."""

    nodes: tuple[Node, ...]
    line: int
    size: int
    depth: int


Node = Scalar | Pairs | Listing


class Unreadable(Exception):
    """The text is not YAML, or not a YAML that this program reads. `line` counts from 1."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def parse(text: str) -> Node:
    """The tree of a text of one YAML document; an empty text is a `Scalar` that is nothing. Raises `Unreadable`."""
    if len(text) > MOST_CHARACTERS:
        raise Unreadable(f"the file is larger than {MOST_CHARACTERS // 1024} KiB", None)
    try:
        return _Builder().build(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.reader.ReaderError as error:
        # Told as a position in the text, for this error alone.
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"not valid YAML: the character {text[error.position]!a} is not allowed", line) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise Unreadable(f"not valid YAML: {said}", None if mark is None else mark.line + 1) from None
    except (ValueError, OverflowError):
        # PyYAML lets these through for an escape such as "\UFFFFFFFF" or a version number of thousands of digits.
        raise Unreadable("not valid YAML: an escape or a number is out of range", None) from None


class _Frame(NamedTuple):
    """A collection that is being read."""

    start: yaml.CollectionStartEvent
    nodes: list[Node]


class _Builder:
    """Events of the parser -> the tree. Not recursive; no anchor is known before its end: no loops."""

    def __init__(self) -> None:
        self._frames: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._root: Node | None = None

    def build(self, events: Iterable[yaml.Event]) -> Node:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self._root is not None:
                    raise Unreadable("more than one YAML document; write one", _line(event))
            elif isinstance(event, yaml.CollectionStartEvent):
                if len(self._frames) >= MOST_DEPTH:
                    raise Unreadable(f"nested deeper than {MOST_DEPTH} levels", _line(event))
                _check_tag(event, _COLLECTION_TAGS)
                self._frames.append(_Frame(event, []))
            elif isinstance(event, yaml.CollectionEndEvent):
                frame = self._frames.pop()
                self._add(_collection(frame), frame.start)
            elif isinstance(event, yaml.AliasEvent):
                self._add(self._known(event), event)
            elif isinstance(event, yaml.ScalarEvent):
                _check_tag(event, _PLAIN_TAGS | _TEXT_TAGS)
                plain = event.tag not in _TEXT_TAGS and (event.style is None or event.tag is not None)
                if any("\ud800" <= character <= "\udfff" for character in event.value):
                    raise Unreadable("not valid YAML: half of a surrogate pair is no character", _line(event))
                self._add(Scalar(event.value, plain, _line(event)), event)
        return self._root or Scalar("", plain=True, line=1)

    def _known(self, event: yaml.AliasEvent) -> Node:
        node = self._anchors.get(event.anchor or "")
        if node is None:
            raise Unreadable(f"the alias *{event.anchor} names no earlier, finished value", _line(event))
        return node

    def _add(self, node: Node, event: yaml.NodeEvent) -> None:
        if node.depth + len(self._frames) > MOST_DEPTH:
            raise Unreadable(f"nested deeper than {MOST_DEPTH} levels", _line(event))
        if node.size > MOST_NODES:
            raise Unreadable(f"more than {MOST_NODES} values, each alias counted as what it stands for", _line(event))
        if event.anchor is not None and not isinstance(event, yaml.AliasEvent):
            self._anchors[event.anchor] = node
        if self._frames:
            self._frames[-1].nodes.append(node)
        else:
            self._root = node


def _collection(frame: _Frame) -> Node:
    start, nodes = frame
    line = _line(start)
    size = 1 + sum(node.size for node in nodes)
    depth = 1 + max((node.depth for node in nodes), default=0)
    if isinstance(start, yaml.SequenceStartEvent):
        return Listing(tuple(nodes), line, size, depth)
    entries = (_entry(key, node) for key, node in zip(nodes[::2], nodes[1::2], strict=True))
    return Pairs(tuple(entries), line, size, depth)


def _entry(key: Node, node: Node) -> Entry:
    if not isinstance(key, Scalar):
        raise Unreadable("a key must be a word, not a list or a mapping", key.line)
    if len(key.text) > LONGEST_KEY or not key.text.isprintable():
        raise Unreadable(f"a key has {LONGEST_KEY} printable characters at most", key.line)
    if key.plain and key.text == "<<":
        raise Unreadable("merge keys (<<) are not read: `terms` already stand behind every rule", key.line)
    return Entry(key.text, key.line, node)


def _check_tag(event: yaml.CollectionStartEvent | yaml.ScalarEvent, known: AbstractSet[str | None]) -> None:
    if event.tag not in known:
        raise Unreadable(f"the tag {quoted(str(event.tag))} is not read; write the value without it", _line(event))


def _line(event: yaml.Event) -> int:
    assert event.start_mark is not None
    return event.start_mark.line + 1
