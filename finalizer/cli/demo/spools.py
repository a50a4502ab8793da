"""Where the apps of the demo keep their spools: a folder that goes with the demo, or with the next one."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PREFIX: Final = "finalizer-demo-"
LOCK: Final = "demo.lock"
"""Held by the demo whose folder it is: it ends with the process, however that ends."""


@contextmanager
def spools() -> Iterator[Path]:
    """A new folder. Those of demos that were killed are removed on the way."""
    _remove_left()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, (Path(folder) / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def _remove_left() -> None:
    for lock_path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        try:
            with lock_path.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock_path.parent, ignore_errors=True)
        except OSError:
            continue  # its demo lives, or it belongs to somebody else
