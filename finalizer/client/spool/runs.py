"""Which runs of programs are alive, as their locks tell it: a lock ends with its process, however that ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class RunLock:
    """This run's own lock, a file beside the spool. A forked child has to call `forget`, or it would keep it held."""

    def __init__(self, spool: Path, run: str) -> None:
        self.path = lock_path(spool, run)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        _lock(self._descriptor)

    def release(self) -> None:
        """The run is over and has left nothing."""
        self.forget()
        self.path.unlink(missing_ok=True)

    def forget(self) -> None:
        """Let go of it in this process."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def lock_path(spool: Path, run: str) -> Path:
    """Where the lock of a run lies."""
    return spool.with_name(f"{spool.name}-run-{run}")


def is_alive(spool: Path, run: str) -> bool:
    """True while the process of this run lives."""
    try:
        descriptor = os.open(lock_path(spool, run), os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return False
    except OSError:
        return True  # in doubt nobody else's spans are closed
    try:
        _lock(descriptor)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
