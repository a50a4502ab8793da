"""What the client has to say to the people who run the app: once for each matter, as a warning in their own log."""

from __future__ import annotations

from typing import Final

_said: Final[set[str]] = set()


def say(matter: str, sentence: str) -> None:
    """Log a warning, the first time that this matter comes up."""
    if matter in _said:
        return
    _said.add(matter)
    import logging  # noqa: PLC0415 - most programs never need it here

    logging.getLogger("finalizer.client").warning(sentence)
