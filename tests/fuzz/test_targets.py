"""What `make fuzz` runs for millions of inputs, for a few: that needs no atheris."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from tests.fuzz.mutating import changed
from tests.fuzz.seeds import CORPUS, written
from tests.fuzz.targets import TARGETS, Named

CHANGED = 40
"""Inputs made of each file."""
MOST_BYTES = 4096
by_name = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)


def corpus(target: Named) -> list[bytes]:
    """What is kept for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target.name).iterdir())]


def flipped(chance: Random, data: bytes, most: int) -> bytes:
    """Bytes changed or lost anywhere, as libFuzzer does it among other things."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        if damaged:
            place = chance.randrange(len(damaged))
            damaged[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(damaged[:most])


@by_name
def test_what_fuzzing_begins_with_gets_in(target: Named) -> None:
    """A corpus that is refused at the door would leave all behind it untried."""
    assert any(map(target.run, corpus(target)))


@by_name
def test_nothing_is_raised(target: Named) -> None:
    """Each input of the corpus, and the same ones changed, is used or refused."""
    bytewise = partial(flipped, Random(7))
    for data in corpus(target):
        target.run(data)
        for seed in range(CHANGED if target.name != "road" else 5):
            target.run(changed(target.name, data, MOST_BYTES, seed=seed, bytewise=bytewise))


def test_the_corpus_is_what_its_seeds_make() -> None:
    """The formats have not changed since they were written. (Else: `python -m tests.fuzz.seeds`.)"""
    for name, seeds in written().items():
        kept = [path.read_bytes() for path in sorted((CORPUS / name).glob("seed-*"))]
        assert kept == seeds, name


def test_all_inputs_are_shared_out() -> None:
    """The shares are per cent, and each target has a corpus."""
    assert sum(one.share for one in TARGETS) == 100
    assert {one.name for one in TARGETS} == {path.name for path in CORPUS.iterdir()}
