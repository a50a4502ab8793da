"""Work in the background in slices: while one runs, the app's thread waits for the interpreter's lock.

A thread that wants that lock asks for it only after `sys.getswitchinterval()`, 5 ms: an app that wakes up while we are
at work waits for as long as that, or until we rest. So we rest after each slice, for a moment that is long enough for
the app to take over.

But not too often: after a rest we want the lock, and while the app computes, each socket call of the app offers it to
us and takes it back before we are awake. That costs the app more than the work itself does (measured: of 70 µs a
request 15 were the span, 5 the collection of garbage, and most of the rest went away with larger slices).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Sized
from typing import Final, TypeVar

SLICE: Final = 256
"""Records between two rests: about a millisecond."""
REST_SECONDS: Final = 0.000_1
SHARE: Final = 32
"""Of what waits, this part is one slice, if that is more: an app that never lets go of the lock gives it back only
after the 5 ms, so small slices alone would fall behind it."""
Item = TypeVar("Item")


def in_slices(items: Sequence[Item], waiting: Sized = ()) -> Iterator[Item]:
    """The items, with a rest after every few. `waiting` is what comes after them."""
    most = max(SLICE, (len(items) + len(waiting)) // SHARE)
    for place, item in enumerate(items, 1):
        yield item
        if not place % most:
            time.sleep(REST_SECONDS)
