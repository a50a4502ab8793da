"""One target under atheris: `python -m tests.fuzz.instrumented NAME [options of libFuzzer] CORPUS…`."""

from __future__ import annotations

import logging
import sys

import atheris

import finalizer  # first: what it arranges about imports must lie behind what atheris arranges

with atheris.instrument_imports(include=["finalizer"]):
    from tests.fuzz.mutating import changed
    from tests.fuzz.targets import TARGETS


def main(name: str, options: list[str]) -> None:
    """Fuzz until libFuzzer ends the process: 0 where nothing was found."""
    logging.disable()
    [target] = [one for one in TARGETS if one.name == name]

    def run(data: bytes) -> None:
        target.run(data)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        return changed(name, data, most, seed=seed, bytewise=atheris.Mutate)

    atheris.Setup([sys.argv[0], *options], run, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    assert finalizer.RUNNING.name == "PURE", "compiled code cannot be looked into"
    main(sys.argv[1], sys.argv[2:])
