"""A protobuf batch of OTLP cut into messages of one item each, by its lengths alone.

For a batch that a parser refuses as a whole because of one broken item (a stock collector passes on text that is not
UTF-8). Spans and logs lie alike in their batches: resource, scope and item under 1, 1 and 2, the schema URLs under 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

_NUMBER, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIRST, _SECOND, _THIRD = b"\x0a", b"\x12", b"\x1a"
"""Tags of the fields 1, 2 and 3, each of bytes."""
_LONGEST_VARINT: Final = 10


Around = tuple[bytes, bytes]
"""The fields before and behind another one, with their tags."""


class Group(NamedTuple):
    """The items of one resource and scope."""

    i: int
    j: int
    above: Around
    beside: Around
    items: list[bytes]


def groups(data: bytes) -> list[Group]:
    """The items of a batch. Raises `ValueError` where the lengths contradict each other, as in one that is cut off."""
    found: list[Group] = []
    for i, outer in enumerate(value for number, value in _fields(data) if number == 1):
        above, inner = _parted(outer)
        for j, group in enumerate(inner):
            beside, items = _parted(group)
            found.append(Group(i, j, above, beside, items))
    return found


def alone(data: bytes) -> tuple[Around, Around, bytes]:
    """What stands around the one item of a batch, and that item.

    Raises `ValueError` where there is not one, and for what only a parser reads (a group of an unknown field).
    """
    (outer,) = [value for number, value in _fields(data) if number == 1]
    above, (group,) = _parted(outer)
    beside, (item,) = _parted(group)
    return above, beside, item


def around_of(first: bytes, third: bytes) -> Around:
    """What stands around the second field of a message: its first and its third, where they have anything."""
    return _field(_FIRST, first) if first else b"", _field(_THIRD, third) if third else b""


def batch_of_one(above: Around, beside: Around, item: bytes) -> bytes:
    """A batch of one item, with what stands around it: resource and URL above, scope and URL beside."""
    group = b"".join((beside[0], _field(_SECOND, item), beside[1]))
    return _field(_FIRST, b"".join((above[0], _field(_SECOND, group), above[1])))


def _field(tag: bytes, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return b"%b%c%b" % (tag, size, content)
    if size < 0x4000:
        return b"%b%c%c%b" % (tag, size & 0x7F | 0x80, size >> 7, content)
    return b"".join((tag, varint(size), content))


def varint(number: int) -> bytes:
    """A number of 0 or more, seven bits a byte, the lowest first: Protocol Buffers' and Kafka's."""
    if number < 0x80:
        return bytes((number,))
    return bytes((number & 0x7F | 0x80,)) + varint(number >> 7)


def _parted(data: bytes) -> tuple[Around, list[bytes]]:
    """A message taken apart: what stands around its second fields, and those."""
    fields = list(_fields(data))
    first = b"".join(_field(_FIRST, value) for number, value in fields if number == 1)
    third = b"".join(_field(_THIRD, value) for number, value in fields if number == 3)
    return (first, third), [value for number, value in fields if number == 2]


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field of bytes; others are passed over."""
    place, size = 0, len(data)
    while place < size:
        tag, place = _read_varint(data, place)
        kind = tag & 7
        if kind == _NUMBER:
            _, place = _read_varint(data, place)
        elif kind == _FIXED64:
            place += 8
        elif kind == _FIXED32:
            place += 4
        elif kind == _BYTES:
            length, place = _read_varint(data, place)
            if place + length > size:
                raise ValueError("cut off")
            yield tag >> 3, data[place : place + length]
            place += length
        else:
            raise ValueError(f"wire type {kind}")
    if place > size:
        raise ValueError("cut off")


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    if place < len(data) and data[place] < 0x80:
        return data[place], place + 1
    number = 0
    for shift, byte in enumerate(data[place : place + _LONGEST_VARINT]):
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number, place + shift + 1
    raise ValueError("a number without an end")
