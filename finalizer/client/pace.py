"""Work in the background in slices: while one runs, the app's thread waits for the interpreter's lock.

A thread that wants that lock asks for it only after `sys.getswitchinterval()`, 5 ms: an app that wakes up while we are
at work waits for as long as that, or until we rest. So we rest after each slice. While little waits, slices are short
and rests are long: few requests of an app meet a slice, and none waits for long.

Where much waits, slices are longer. After a rest we want the lock, and while the app computes, each socket call of the
app offers it to us and takes it back before we are awake: that costs the app more than the work itself does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence, Sized
from typing import Final, TypeVar

MUCH: Final = 400
"""Records. Less is what comes within a tenth of a second to an app that is not at its limit."""
SLICE: Final = 48
"""Records between two rests, where little waits: a fifth of a millisecond."""
REST_SECONDS: Final = 0.01
LONG_SLICE: Final = 256
"""The same where much waits: a millisecond."""
SHORT_REST_SECONDS: Final = 0.000_1
SHARE: Final = 32
"""Of what waits, this part is one slice, if that is more: an app that never lets go of the lock gives it back only
after the 5 ms, so slices of one size would fall behind it."""
Item = TypeVar("Item")


def in_slices(items: Sequence[Item], waiting: Sized = ()) -> Iterator[Item]:
    """The items, with a rest after every few. `waiting` is what comes after them."""
    waits = len(items) + len(waiting)
    is_much = waits >= MUCH
    most = max(LONG_SLICE, waits // SHARE) if is_much else SLICE
    rest = SHORT_REST_SECONDS if is_much else REST_SECONDS
    for place, item in enumerate(items, 1):
        yield item
        if not place % most:
            time.sleep(rest)
