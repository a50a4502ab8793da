"""The table of fingerprints is a dict in fewer bytes: whatever is put and dropped, it answers as a dict does."""

from __future__ import annotations

import sys

import hypothesis.strategies as st
from hypothesis import given, settings

from finalizer.core.fingerprints import Fingerprints
from finalizer.core.remembered import fingerprint

SPREAD = 0x9E37_79B9_7F4A_7C15


def as_mark(number: int) -> bytes:
    """A mark as the table takes it."""
    return number.to_bytes(8, "little")


def spread(number: int) -> bytes:
    """The mark of a number, evenly spread."""
    return as_mark(number * SPREAD % 2**64)


marks = st.integers(0, 300).map(spread) | st.integers(0, 3).map(as_mark)
numbers = st.integers(0, 2**64 - 1) | marks.map(lambda mark: int.from_bytes(mark, "little"))
"""Numbers among which there are marks: they must not be taken for them."""


@settings(deadline=None)
@given(st.lists(st.tuples(marks, st.none() | numbers), max_size=600))
def test_it_answers_as_a_dict(told: list[tuple[bytes, int | None]]) -> None:
    """Put (a number) or dropped (None), in any order, while it grows and shrinks."""
    table, model = Fingerprints(), dict[bytes, int]()
    for mark, number in told:
        if number is None:
            table.drop(mark)
            model.pop(mark, None)
        else:
            assert table.put(mark, number) is (mark in model)
            model[mark] = number
        assert len(table) == len(model)
        assert table.get(mark) == model.get(mark)
    assert {mark: table.get(mark) for mark, _ in told} == {mark: model.get(mark) for mark, _ in told}


def test_it_grows_and_goes_again() -> None:
    """Thousands come and go; at last nothing is left of them but one bucket."""
    table = Fingerprints()
    for number in range(5000):
        table.put(spread(number), number)
    assert [table.get(spread(number)) for number in range(5000)] == list(range(5000))
    for number in range(5000):
        table.drop(spread(number))
        assert table.get(spread(number + 1)) == (number + 1 if number < 4999 else None)
    assert len(table) == 0
    assert len(table._buckets) == 1


def test_ids_that_count_up_share_the_buckets_evenly() -> None:
    """In trace and span, in either, by one or by a power of two; none is searched for much longer than the others."""
    for trace, span in ((1, 1), (1, 0), (0, 1), (2**64, 2**16), (2**96, 2**32)):
        table = Fingerprints()
        for number in range(1, 20_001):
            table.put(as_mark(fingerprint((number * trace << 64 | number * span).to_bytes(24, "big"))), 7)
        assert len(table) == 20_000
        assert max(map(len, table._buckets)) <= 5 * 12 * 16


def test_an_entry_takes_no_more_than_it_is_said_to() -> None:
    """Half of what may be remembered in 100 bytes, window and all."""
    table = Fingerprints()
    for number in range(50_000):
        table.put(spread(number), number)
    size = sys.getsizeof(table._buckets) + sum(map(sys.getsizeof, table._buckets))
    assert size / 50_000 < 28
