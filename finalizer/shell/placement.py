"""Which partition a key belongs to, as Kafka's own clients place it: murmur2 of the key, modulo the partitions."""

from __future__ import annotations

import struct
from itertools import chain

_SEED, _M, _WORD = 0x9747B28C, 0x5BD1E995, 0xFFFFFFFF
_TRACE = struct.Struct("<8I").unpack
_TRACE_LENGTH = 32


def murmur2(key: bytes) -> int:
    """Kafka's murmur2 of a key, 32 bits. (aiokafka has it byte by byte, which costs as much as encoding a final.)"""
    length = len(key)
    hashed = _SEED ^ length
    whole = length & ~3
    words = _TRACE(key) if length == _TRACE_LENGTH else chain(*struct.iter_unpack("<I", key[:whole]))
    for word in words:
        mixed = word * _M & _WORD
        hashed = (hashed * _M & _WORD) ^ ((mixed ^ mixed >> 24) * _M & _WORD)
    rest = key[whole:]
    if rest:
        hashed = (hashed ^ int.from_bytes(rest, "little")) * _M & _WORD
    hashed = (hashed ^ hashed >> 13) * _M & _WORD
    return hashed ^ hashed >> 15


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key among so many, as the default partitioner of Kafka's clients chooses it."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
