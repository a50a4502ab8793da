"""What those who re-key vouch for, and how far a partition of evidence may believe them (RATIONALE: re-keying).

Rules
1. A *mark* vouches for a source partition: every record that the source heard before the mark's clock stands in front
   of the mark, in each partition of the evidence. That was so when it was written, and later records change nothing of
   it: a mark is true for ever, whoever wrote it, and marks only raise.
2. A partition of evidence has heard its sources up to the minimum over their newest marks. A source that nobody has
   vouched for holds it.
3. A mark tells in which time up to its clock the source could not be heard, as far as that was not told before. What
   several sources tell is united: the same time is taken off once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from finalizer.core.clock import Interval, PartitionClock

Place = tuple[str, int]
"""Topic and partition."""


class Vouched(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What a mark says of one source partition."""

    topic: str
    partition: int
    clock: int
    """Every record that was heard before this moment stands in front of the mark."""
    caught_up: bool = False
    blind: bool = False
    settling: bool = False
    paused: bool = False
    """Too many of its records are unusable: it is not read on."""
    deaf: tuple[Interval, ...] = ()
    """Up to `clock`, as far as no mark before has told it."""
    lost: int = 0
    """Records that were deleted before they were read, as far as no mark before has told it."""

    @property
    def place(self) -> Place:
        return self.topic, self.partition


class Voucher:
    """Makes what a mark says of one source partition, from the clock of whoever re-keys it."""

    def __init__(self, place: Place, clock: PartitionClock) -> None:
        self.clock = clock
        self._place = place
        self._lost = 0
        clock.keep_deaf_after(0)

    def lost(self, records: int) -> None:
        """So many records were deleted before they were read."""
        self._lost += records

    @property
    def untold(self) -> bool:
        """True while records were lost that no mark has told of: what came behind them may not be written before it."""
        return self._lost > 0

    def vouch(self, now: int, *, paused: bool) -> Vouched:
        """For a mark of now, to be written after every record that is decided."""
        reading = self.clock.advance(now)
        return Vouched(
            *self._place,
            reading.clock,
            reading.caught_up,
            reading.blind,
            reading.settling,
            paused,
            self.clock.deaf_until(reading.clock),
            self._lost,
        )

    def told(self, vouched: Vouched) -> None:
        """The mark stands in every partition: what it told need not be told again."""
        self.clock.keep_deaf_after(vouched.clock)
        self._lost -= vouched.lost


class Sources:
    """What one partition of evidence knows of its sources. `places` are all that there are; more may come."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._newest: dict[Place, Vouched | None] = dict.fromkeys(places)
        self._clocks: dict[Place, int] = {}
        self._deaf: dict[Place, list[Interval]] = {}

    @property
    def clocks(self) -> Mapping[Place, int]:
        """Of those that were vouched for: nothing of a source is heard before its clock."""
        return self._clocks

    @property
    def newest(self) -> Mapping[Place, Vouched | None]:
        """The latest word on each source; None: nobody has vouched for it."""
        return self._newest

    def expect(self, places: Iterable[Place]) -> None:
        """These exist, too: until somebody vouches for them they hold the clock."""
        for place in places:
            self._newest.setdefault(place)

    def told(self, vouched: Vouched) -> None:
        """A mark, in the order of the log."""
        place = vouched.place
        if vouched.deaf:
            self._deaf[place] = _joined(self._deaf.get(place, ()), vouched.deaf)
        if vouched.clock >= self._clocks.get(place, 0):
            self._clocks[place] = vouched.clock
            self._newest[place] = vouched

    @property
    def unmarked(self) -> tuple[Place, ...]:
        """Sources that nobody has vouched for since this partition was assigned."""
        return tuple(sorted(place for place, newest in self._newest.items() if newest is None))

    @property
    def time(self) -> int:
        """How far all sources were heard; 0 while one of them is unmarked."""
        clocks = self._clocks
        return min(clocks.values(), default=0) if len(clocks) == len(self._newest) else 0

    @property
    def caught_up(self) -> bool:
        return all(one is not None and one.caught_up for one in self._newest.values())

    @property
    def blind(self) -> bool:
        return any(one is not None and one.blind for one in self._newest.values())

    @property
    def settling(self) -> bool:
        return any(one is not None and one.settling for one in self._newest.values())

    @property
    def deaf(self) -> list[Interval]:
        """Time in which some source could not be heard, as far as the clock has not passed it."""
        return [interval for intervals in self._deaf.values() for interval in intervals]

    def passed(self, clock: int) -> None:
        """The clock is there: what lies before it was taken off."""
        for place, intervals in list(self._deaf.items()):
            left = [interval for interval in intervals if interval[1] > clock]
            if left:
                self._deaf[place] = left
            else:
                del self._deaf[place]


def _joined(known: Iterable[Interval], new: Iterable[Interval]) -> list[Interval]:
    """Both as few intervals: a blind hour comes in many pieces."""
    joined: list[Interval] = []
    for since, until in sorted((*known, *new)):
        if joined and since <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(until, joined[-1][1])
        else:
            joined.append((since, until))
    return joined
