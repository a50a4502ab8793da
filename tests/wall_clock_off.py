"""The `finalizer` command on a machine whose wall clock is wrong: `python -m tests.wall_clock_off FILE COMMAND …`.

FILE holds by how many seconds it is ahead, and may be changed while the command runs: the clock is set then.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

_wall, _wall_ns = time.time, time.time_ns
_file = Path(sys.argv[1])
_ahead_by = 0


def _ahead() -> int:
    """What the file says; what it said before, while it is being written."""
    global _ahead_by  # noqa: PLW0603 - a clock is one of a kind
    _ahead_by = int(_file.read_text() or _ahead_by)
    return _ahead_by


def _wrong_time() -> float:
    return _wall() + _ahead()


def _wrong_time_ns() -> int:
    return _wall_ns() + _ahead() * 1_000_000_000


if __name__ == "__main__":
    time.time, time.time_ns = _wrong_time, _wrong_time_ns
    sys.argv[:] = ["finalizer", *sys.argv[2:]]
    from finalizer.cli import main

    main()
