"""The consumer group of a made world: members, generations, and who has which partition.

A round begins when a member joins, leaves or has not been heard for a session. It is over when all members have joined
it; a member that does not is thrown out when its session is over.
"""

from __future__ import annotations

from enum import Enum

from finalizer.core.terms import SECOND

SESSION = 6 * SECOND


class Answer(Enum):
    """What the group says to a heartbeat."""

    STABLE = "stable"
    REJOIN = "rejoin"
    """A round has begun."""
    UNKNOWN = "unknown"
    """Thrown out: whatever this member had, others may have now."""


class Group:
    """The group's coordinator. Members are numbers; a restarted worker is another one."""

    def __init__(self, partitions: int, *, sticky: bool) -> None:
        self.generation = 0
        self._partitions = range(partitions)
        self._sticky = sticky
        self._heard: dict[int, int] = {}
        self._joined: set[int] | None = set()
        """Members that have joined the round; None while there is none."""
        self._given: dict[int, set[int]] = {}

    def join(self, member: int, now: int) -> None:
        """Take part in the round that goes on, or begin one."""
        self._heard[member] = now
        if self._joined is None:
            self._joined = set()
        self._joined.add(member)
        self._look(now)

    def leave(self, member: int, now: int) -> None:
        """A member goes, and says so."""
        if self._heard.pop(member, None) is not None and self._joined is None:
            self._joined = set()
        self._look(now)

    def share_anew(self, now: int) -> None:
        """A round begins, though nobody came or went: an input has other partitions, or a member another client."""
        if self._joined is None:
            self._joined = set()
        self._look(now)

    def heartbeat(self, member: int, generation: int, now: int) -> Answer:
        """A member is still there."""
        self._look(now)
        if member not in self._heard or generation != self.generation:
            return Answer.UNKNOWN
        self._heard[member] = now
        return Answer.STABLE if self._joined is None else Answer.REJOIN

    def given(self, member: int, now: int) -> tuple[int, set[int]] | None:
        """Generation and partitions of a member that has joined; None while a round goes on, which it takes part in."""
        self._heard[member] = now
        if self._joined is not None:
            self._joined.add(member)
            self._look(now)
        return None if self._joined is not None else (self.generation, self._given[member])

    def is_member(self, member: int) -> bool:
        """True while its session goes on."""
        return member in self._heard

    def back(self, now: int) -> None:
        """The coordinator was away: nobody's session goes on from before."""
        for member in self._heard:
            self._heard[member] = now

    def _look(self, now: int) -> None:
        for member in [one for one, heard in self._heard.items() if now - heard > SESSION]:
            del self._heard[member]
            if self._joined is None:
                self._joined = set()
            self._joined.discard(member)
        if self._joined is not None and self._joined >= set(self._heard) and self._heard:
            self._joined = None
            self.generation += 1
            self._given = self._shared()

    def _shared(self) -> dict[int, set[int]]:
        members = sorted(self._heard)
        given: dict[int, set[int]] = {member: set() for member in members}
        most = -(-len(self._partitions) // len(members))
        left = []
        for number in self._partitions:
            had = next((one for one, theirs in self._given.items() if number in theirs and one in given), None)
            if self._sticky and had is not None and len(given[had]) < most:
                given[had].add(number)
            else:
                left.append(number)
        for number in left:
            place = (number + self.generation) % len(members)
            rest = sorted(members[place:] + members[:place], key=lambda one: len(given[one]))
            given[rest[0]].add(number)
        return given
