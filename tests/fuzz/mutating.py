"""How inputs are changed, half of the time: by what they say. Bytes alone hardly ever stay JSON or MessagePack."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from finalizer.core.causes import Cause
from finalizer.policy.schema import Format
from tests.fuzz.road import BREAK

Bytewise = Callable[[bytes, int], bytes]
"""libFuzzer's own way: (data, most bytes) -> data."""
_EDGES: list[Any] = [
    *(None, True, False, 0, 1, -1, 4, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.0, 1e308, float("inf")),
    *(float("nan"), "", "0", "-1", "9223372036854775807", "18446744073709551616", "\ud800", "\x00", "é" * 40, "[" * 40),
    *("0" * 16, "0" * 32, "A" * 16, "F" * 32, "1747648800000000000", "1747648800", "background", "foreground", "ok"),
    *("start", "heartbeat", "lifecycle", "end", "stop", "pending_span", "5000ms", "-1h", "CLIENT", "STATUS_CODE_ERROR"),
    *(cause.value for cause in Cause),
    *(form.value for form in Format),
    *([], {}, [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]], {"a": {"a": {"a": 1}}}, b"", b"\x00" * 24, b"{"),
]
_ERRORS = (ValueError, RecursionError, TypeError, OverflowError, msgspec.MsgspecError)
"""What reading and writing anything may raise; then the bytes are changed as bytes."""


def changed(name: str, data: bytes, most: int, *, seed: int, bytewise: Bytewise) -> bytes:
    """An input of this target, changed; no more than `most` bytes."""
    chance = Random(seed)
    try:
        if chance.random() < 0.5:
            made = _changed(name, data, chance)
            if len(made) <= most:
                return made
    except _ERRORS:
        pass
    return bytewise(data, most)


def _changed(name: str, data: bytes, chance: Random) -> bytes:
    if name == "road":
        return _story(data, chance)
    if name in {"evidence", "changelog"}:
        head = 2 if name == "evidence" else 3
        return data[:head] + msgspec.msgpack.encode(_tree(msgspec.msgpack.decode(data[head:]), chance))
    return _json(data, chance)


def _json(data: bytes, chance: Random) -> bytes:
    text = json.dumps(_tree(json.loads(data), chance))
    if chance.random() < 0.1:  # a name twice
        text = text.replace("{", '{"type": 1, "resource": [], "name": "x", ', 1)
    return text.encode()


def _story(data: bytes, chance: Random) -> bytes:
    parts = data.split(BREAK)
    place = chance.randrange(len(parts))
    match chance.randrange(6):
        case 0:
            parts.insert(chance.randrange(len(parts) + 1), parts[place])
        case 1:
            del parts[place]
        case 2:
            parts.insert(place, chance.choice((b"!", b"t\x01", b"t\x04", b"t\x0f")))
        case _:
            parts[place] = parts[place][:1] + _json(parts[place][1:], chance)
    return BREAK.join(parts)


def _tree(node: Any, chance: Random) -> Any:
    """The same with one place in it changed."""
    if isinstance(node, str) and node[:1] == "{" and chance.random() < 0.7:
        return _json(node.encode(), chance).decode()
    if not node or not isinstance(node, dict | list) or chance.random() < 0.1:
        return _other(node, chance)
    places = list(node) if isinstance(node, dict) else range(len(node))
    place = chance.choice(places)
    match chance.randrange(12):
        case 0:
            del node[place]
        case 1 if isinstance(node, dict):
            node[chance.choice(list(node))] = node[place]
        case 1 if isinstance(node, list):
            node.append(node[place])
        case _:
            node[place] = _tree(node[place], chance)
    return node


def _other(node: Any, chance: Random) -> Any:
    """Another value in the place of this one, often one near to it."""
    match node:
        case bool():
            return chance.choice((not node, *_EDGES))
        case int() if chance.random() < 0.5:
            return node + chance.choice((-1, 1, 10**9, -(10**9), 60 * 10**9))
        case str() if node and chance.random() < 0.5:
            place = chance.randrange(len(node))
            return node[:place] + chance.choice(("", "0", "f", "A", "\ud800", "\n", "é")) + node[place + 1 :]
        case bytes() if node and chance.random() < 0.5:
            return node[: chance.randrange(len(node))]
        case _:
            return chance.choice(_EDGES)
