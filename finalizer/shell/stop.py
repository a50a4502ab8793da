"""Why a worker stops: an exit code and one sentence that a person can act on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    CONFIGURATION = 1
    USAGE = 2
    FAULT = 3
    """A restart may cure it."""
    FENCED = 4
    """A newer owner has taken over."""
    SAFETY = 5
    """A safety stopped it, and a person must decide."""


class Stop(Exception):
    """Ends the worker (or a command) with an exit code and one sentence."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
