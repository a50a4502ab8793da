"""What a test of this room changes in the whole process, put back."""

import logging
import threading
from collections.abc import Iterator

import pytest


@pytest.fixture
def own_logging() -> Iterator[None]:
    """`logs.setup` may be called in this test: the process logs as before when it is over."""
    root, ours, ending = logging.getLogger(), logging.getLogger("finalizer"), threading.excepthook
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
    logging.captureWarnings(False)
    threading.excepthook = ending
