"""One suspicion of an outage, as it is stored. Not compiled: a compiled class does not keep its hints."""

from __future__ import annotations

import msgspec


class Pause(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One suspicion of an outage: the patience of a group stands still from `began` to `ended`. Stored."""

    group: str
    since: int
    """Partition clock at which it was suspected."""
    began: int
    """Patience at which the last of its silent spans was heard."""
    ended: int = 0
    """Patience at its end; 0: it goes on."""
    overruled: bool = False
    """Ended by an operator or by `max_pause`, not by beats: what it held is closed at once, and marked."""
    over: bool = False
    """The group is well again, and may be suspected anew."""

    @property
    def holds(self) -> bool:
        return self.ended == 0
