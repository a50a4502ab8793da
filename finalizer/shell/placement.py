"""Which partition a key belongs to, as Kafka's own clients place it: murmur2 of the key, modulo the partitions."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Kafka's murmur2 of a key, 32 bits. (aiokafka's is not compiled: it costs as much as encoding a final.)"""
    length: i64 = len(key)
    whole: i64 = length & ~3
    hashed: i64 = _SEED ^ length
    place: i64 = 0
    while place < whole:
        word: i64 = key[place] | key[place + 1] << 8 | key[place + 2] << 16 | key[place + 3] << 24
        mixed: i64 = word * _M & _WORD
        hashed = (hashed * _M & _WORD) ^ ((mixed ^ mixed >> 24) * _M & _WORD)
        place += 4
    if whole < length:
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * _M & _WORD
    hashed = (hashed ^ hashed >> 13) * _M & _WORD
    return hashed ^ hashed >> 15


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of a key among so many, as Kafka's clients choose it by default; that of no key is the first."""
    return 0 if key is None else (murmur2(key) & 0x7FFFFFFF) % partitions
