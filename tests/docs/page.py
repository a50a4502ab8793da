"""README.md as its tests see it: generated blocks, fenced code, headings and links."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
README = PROJECT / "README.md"

Blocks = Mapping[str, Callable[[], str]]

_BLOCK = re.compile(r"(?P<begin><!-- generated: (?P<name>[a-z-]+) -->\n)(?P<body>.*?)(?P<end><!-- end -->)", re.DOTALL)
_FENCE = re.compile(r"^ *```(?P<language>[a-z]*)\n(?P<code>.*?)^ *```$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(?P<level>#+) (?P<title>.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


def filled(text: str, blocks: Blocks) -> str:
    """The text with every generated block made anew. Raises `KeyError` for a block that nobody makes."""
    return _BLOCK.sub(lambda found: f"{found['begin']}{blocks[found['name']]()}\n{found['end']}", text)


def differing(text: str, blocks: Blocks) -> list[str]:
    """Names of the generated blocks that are not as they would be made now."""
    return [found["name"] for found in _BLOCK.finditer(text) if found["body"] != f"{blocks[found['name']]()}\n"]


def block_names(text: str) -> list[str]:
    """Names of the generated blocks, in their order."""
    return [found["name"] for found in _BLOCK.finditer(text)]


def code(text: str, language: str) -> list[str]:
    """What stands in the fences of this language."""
    return [found["code"] for found in _FENCE.finditer(text) if found["language"] == language]


def prose(text: str) -> str:
    """The text without what stands in fences."""
    return _FENCE.sub("", text)


def sample(text: str) -> str:
    """The finalizer.yaml that the page shows in full."""
    return next(one for one in code(text, "yaml") if one.startswith("inputs:") and "\noutputs:" in one)


def headings(text: str) -> list[tuple[int, str]]:
    """Level and title of each heading, in their order."""
    return [(len(found["level"]), found["title"]) for found in _HEADING.finditer(prose(text))]


def anchor(title: str) -> str:
    """The anchor that a heading gets: lower case, without punctuation, hyphens for blanks."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def links(text: str) -> list[str]:
    """Targets of all links outside of fences."""
    return [found["target"] for found in _LINK.finditer(prose(text))]
