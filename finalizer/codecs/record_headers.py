"""Headers of a Kafka record, and the numbers in it, as bytes.

A final has nine headers of which most are the same for very many finals, so who makes them joins pieces that he keeps,
and a record takes them in as they are. A stranger's headers, on their way to the rejected topic, are pairs.

Source: https://kafka.apache.org/documentation/#recordheader
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from mypy_extensions import mypyc_attr

from finalizer.codecs.wire import varint
from finalizer.core.by_value import ByValue

Header = tuple[str, Any]
"""Name and value of a Kafka header: bytes, and of a stranger's record a null as well."""

_NOTHING: Final = b"\x01"
"""The length -1: a null."""
_KNOWN_NAMES: Final = 256
_names: Final[dict[str, bytes]] = {}
"""Header name -> itself as it stands in a record. A producer has few."""


def _zigzag(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else ((-value) << 1) - 1)


_FEW: Final = 8192
_NUMBERS: Final = [_zigzag(value) for value in range(_FEW)]
"""Those of nearly all lengths and offsets."""


def number(value: int) -> bytes:
    """A signed number of any size."""
    return _NUMBERS[value] if 0 <= value < _FEW else _zigzag(value)


def content(value: bytes | None) -> bytes:
    """Bytes or a null, behind their length."""
    return _NOTHING if value is None else number(len(value)) + value


def header(name: str, value: bytes | None) -> bytes:
    """One header."""
    known = _names.get(name)
    if known is None:
        known = content(name.encode())
        if len(_names) < _KNOWN_NAMES:
            _names[name] = known
    return known + content(value)


@mypyc_attr(acyclic=True)
class Rendered(ByValue):
    """Headers as they stand in a record: `count` of them. Who asks reads them back as pairs."""

    __match_args__ = ("count", "data")
    __slots__ = __match_args__

    def __init__(self, count: int, data: bytes) -> None:
        self.count: Final = count
        self.data: Final = data

    def __iter__(self) -> Iterator[Header]:
        place = 0
        pairs: list[Header] = []
        for _ in range(self.count):
            name, place = _read(self.data, place)
            value, place = _read(self.data, place)
            pairs.append((name.decode(), value))
        return iter(pairs)


Headers = Iterable[Header]
"""`Rendered`, or pairs."""
NO_HEADERS: Final[tuple[Header, ...]] = ()


def rendered(headers: Headers) -> Rendered:
    """These headers as they stand in a record."""
    if isinstance(headers, Rendered):
        return headers
    pieces = [header(name, value) for name, value in headers]
    return Rendered(len(pieces), b"".join(pieces))


def _read(data: bytes, place: int) -> tuple[bytes, int]:
    """A header's name or value that is no null, and where the next one begins."""
    length = shift = 0
    while True:
        byte = data[place]
        length |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            break
    end = place + (length >> 1)
    return data[place:end], end
