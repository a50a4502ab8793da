"""A table of fingerprints in few bytes: what tens of millions of finished spans leave (RATIONALE: what a span takes).

A dict takes 150 bytes for a pair of integers. Here an entry is 16 bytes, as in the changelog, and lies with some others
in one piece of bytes, its bucket. The table grows and shrinks by one bucket at a time (linear hashing: Litwin, VLDB
1980), so there is never a moment at which all of it is moved.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

ENTRY_BYTES: Final = 16
MARK_BYTES: Final = 8
_FULL: Final = 12
"""Entries to a bucket, on average: more would be searched for longer, fewer would share the cost of theirs."""
_SPARSE: Final = 4
_number: Final = int.from_bytes


class Fingerprints:
    """Marks (64 bits in 8 bytes, little-endian, evenly spread), and a number of 64 bits for each."""

    __slots__ = ("_buckets", "_count", "_mask")

    def __init__(self) -> None:
        self._buckets: list[bytes] = [b""]
        self._mask: i64 = 0
        """One less than the power of two at or above the number of buckets."""
        self._count: i64 = 0

    def __len__(self) -> int:
        return self._count

    def get(self, mark: bytes) -> int | None:
        """The number of a mark; None if it is not here."""
        bucket = self._buckets[self._place(mark)]
        at = _find(bucket, mark)
        return None if at < 0 else _number(bucket[at + MARK_BYTES : at + ENTRY_BYTES], "little")

    def put(self, mark: bytes, number: int) -> bool:
        """Have the mark stand for this number from now on; True if it stood for another before."""
        place, entry = self._place(mark), mark + number.to_bytes(8, "little")
        bucket = self._buckets[place]
        at = _find(bucket, mark)
        if at >= 0:
            self._buckets[place] = bucket[:at] + entry + bucket[at + ENTRY_BYTES :]
            return True
        self._buckets[place] = bucket + entry
        self._count += 1
        if self._count > len(self._buckets) * _FULL:
            self._grow()
        return False

    def drop(self, mark: bytes) -> None:
        """Forget a mark, if it is here."""
        place = self._place(mark)
        bucket = self._buckets[place]
        at = _find(bucket, mark)
        if at >= 0:
            self._buckets[place] = bucket[:at] + bucket[at + ENTRY_BYTES :]
            self._count -= 1
            if self._count < len(self._buckets) * _SPARSE:
                self._shrink()

    def _place(self, mark: bytes) -> i64:
        low: i64 = mark[0]
        low |= mark[1] << 8 | mark[2] << 16 | mark[3] << 24
        place = low & self._mask
        return place if place < len(self._buckets) else place & self._mask >> 1

    def _grow(self) -> None:
        """One more bucket, which takes its part of the one that stood for both."""
        added: i64 = len(self._buckets)
        if added > self._mask:
            self._mask = self._mask << 1 | 1
        self._buckets.append(b"")
        split = added & self._mask >> 1
        both = self._buckets[split]
        stay: list[bytes] = []
        go: list[bytes] = []
        for at in range(0, len(both), ENTRY_BYTES):
            entry = both[at : at + ENTRY_BYTES]
            if self._place(entry) == added:
                go.append(entry)
            else:
                stay.append(entry)
        self._buckets[split], self._buckets[added] = b"".join(stay), b"".join(go)

    def _shrink(self) -> None:
        """One bucket less: the last goes back to where it came from."""
        if len(self._buckets) == 1:
            return
        last = self._buckets.pop()
        left: i64 = len(self._buckets)
        self._buckets[left & self._mask >> 1] += last
        if left - 1 <= self._mask >> 1:
            self._mask >>= 1


def _find(bucket: bytes, mark: bytes) -> int:
    """Where in a bucket the entry of a mark begins; negative if it is not there."""
    at = bucket.find(mark)  # `in` would first try to take the mark for a number, and make an exception of it
    while at > 0 and at % ENTRY_BYTES:  # it only looks like it: bytes of two numbers, or of a number
        at = bucket.find(mark, at + 1)
    return at
