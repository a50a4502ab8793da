"""Plans as YAML, to be read, kept and told again. A moment or a duration is written as `1m2s250ms`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import yaml

from finalizer.sim.plan import Plan
from finalizer.sim.scene import Finding

_UNITS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "ns": 1}
_LENGTH = re.compile(r"(-?)" + "".join(rf"(?:(\d+){unit})?" for unit in _UNITS))
_LENGTHS = {"at", "lasts", "clock", "comeback", "cadence", "latency", "behind", "decoding"}
_LISTS = {"arrives", "workers"}
_WIDTH = 118


class _Dumper(yaml.SafeDumper):
    """One line for one event."""

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:  # noqa: FBT001 - its base's
        return super().represent_mapping(tag, mapping, flow_style=True if "arrives" in mapping else flow_style)


class StoryError(ValueError):
    """The text is no story."""


def to_story(plan: Plan, findings: Iterable[Finding] = ()) -> str:
    """The plan as YAML, below what is wrong with its world."""
    told = [f"# {trouble.value}: {' '.join(what.split())}" for trouble, what in findings]
    body = _converted(msgspec.to_builtins(plan), _told)
    return "\n".join([*told, yaml.dump(body, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=_WIDTH)])


def from_story(text: str) -> Plan:
    """The plan that a YAML text tells. Raises `StoryError`."""
    try:
        return msgspec.convert(_converted(yaml.safe_load(text), _length), Plan)
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise StoryError(" ".join(str(error).split())) from error


def _converted(given: Any, convert: Callable[[Any], Any], name: str = "") -> Any:
    """The same with every length of time converted, wherever it stands."""
    if isinstance(given, dict):
        if name == "config":
            return given
        return {key: _converted(value, convert, key) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return [convert(one) if name in _LISTS else _converted(one, convert) for one in given]
    return convert(given) if name in _LENGTHS or name.endswith("_unix_nano") else given


def _told(length: int) -> str:
    left = abs(length)
    text = "-" if length < 0 else ""
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text if text.strip("-") else "0s"


def _length(text: Any) -> int:
    match = _LENGTH.fullmatch(str(text))
    if match is None or not any(match.groups()[1:]):
        raise StoryError(f"{text!r} is no length of time, as 1m2s250ms is")
    sign, *counts = match.groups()
    length = sum(int(count or 0) * size for count, size in zip(counts, _UNITS.values(), strict=True))
    return -length if sign else length
