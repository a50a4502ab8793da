"""Processes whose heartbeats count for all their spans: who was heard when, and what that means for a span that is due
(RATIONALE: instances).

A process has an instance id, the same after a restart, and a boot id, another one at each start. One view serves all
partitions of a worker. It has a clock of its own: how far its topic was heard. Nothing that names an instance is
decided beyond that, or before the view has caught up.
"""

from __future__ import annotations

from typing import NamedTuple

from finalizer.core.causes import Cause
from finalizer.core.clock import Reading
from finalizer.core.due import Deadline
from finalizer.core.model import Lifecycle, Moment
from finalizer.core.state import State
from finalizer.core.terms import SECOND, Terms

MOST = 100_000
"""Starts of processes that are known."""
MOST_STARTS = 16
"""Starts of one process that are known: more than one that restarts for ever has within any grace."""
LOOK_AGAIN = SECOND
"""How soon a span is looked at again for which the view could say nothing."""

Boot = tuple[str, str]
"""One start of a process: instance id, boot id."""


class Beat(NamedTuple):
    """A heartbeat of a process."""

    instance_id: str
    boot_id: str
    at: int
    """Event time."""
    interval: int
    """Until the next one, at the latest."""


class Heard(NamedTuple):
    """What is known of one start of a process. `first` and `last` are heard time, `at` is event time."""

    first: int
    last: int
    at: int
    interval: int


class Instances:
    """The view. What is in it only grows later, so a partition that lags is told no less than what it may know."""

    def __init__(self, *, most: int = MOST) -> None:
        self._most = most
        self._boots: dict[Boot, Heard] = {}
        """Who was heard longest ago stands first."""
        self._starts: dict[str, list[str]] = {}
        """Instance id -> boot ids of its starts, in the order in which they were heard of for the first time."""
        self._forgotten = 0
        """When the last of those that were forgotten for want of room was heard."""
        self._since = 0
        """Before this moment nobody could be heard: whoever was silent until then has all the time that he has."""
        self._cut_off = True
        self.clock = 0
        """All that was said up to this moment (heard time) has been heard."""
        self.caught_up = False
        """Deadlines may be acted on, as far as `clock` goes."""

    def __len__(self) -> int:
        return len(self._boots)

    def hear(self, beat: Beat, heard_at: int) -> None:
        """Take in a heartbeat; those of one instance come in order, but for those that different starts sent."""
        boot = (beat.instance_id, beat.boot_id)
        known = self._boots.pop(boot, None)
        if known is None:
            starts = self._starts.setdefault(beat.instance_id, [])
            if len(starts) == MOST_STARTS:
                self._forget(min(((beat.instance_id, one) for one in starts), key=lambda one: self._boots[one].last))
            starts.append(beat.boot_id)
            known = Heard(heard_at, heard_at, beat.at, beat.interval)
        self._boots[boot] = Heard(known.first, max(known.last, heard_at), max(known.at, beat.at), beat.interval)
        while len(self._boots) > self._most:
            self._forget(next(iter(self._boots)))

    def retract(self, instance_id: str) -> None:
        """Somebody has deleted the instance from its topic: nobody who reads it from now on knows of it."""
        for boot_id in tuple(self._starts.get(instance_id, ())):
            self._drop((instance_id, boot_id))

    def follow(self, reading: Reading) -> None:
        """How far the topic was heard. After a time in which it could not be, everybody's time begins anew."""
        if reading.blind or reading.settling:
            self._cut_off = True
        self.caught_up, self.clock = reading.may_close, max(self.clock, reading.clock)
        if self.caught_up and self._cut_off:
            self._cut_off, self._since = False, self.clock

    def cut_off(self) -> None:
        """The topic cannot be heard."""
        self._cut_off, self.caught_up = True, False

    def moment(self, now: Moment) -> Moment:
        """`now`, as far as the topic was heard: what is due later waits for it."""
        lag = max(0, now.clock - self.clock)
        return now.but(clock=now.clock - lag, patience=now.patience - lag) if lag else now

    def alive(self, state: State, now: Moment) -> State:
        """The state of a span as if what was heard of its process had been heard of the span itself."""
        told = state.rest.told
        if told.instance is None or state.start_at is None:
            return state
        if told.lifecycle is not None and told.lifecycle[2] != Lifecycle.FOREGROUND:
            return state  # it owes nothing until it is back, and only the span itself says that it is
        known = self._boots.get(told.instance[2:])
        if known is None:
            heard = max(self._since, self._forgotten)
            return state.but(heard=max(state.heard, now.patience_at(heard))) if heard else state
        return state.but(
            heard=max(state.heard, now.patience_at(max(known.last, self._since))),
            beats=True,
            interval=max(state.interval, known.interval),
            last_seen=max(state.last_seen, known.at),
        )

    def replaced(self, state: State, terms: Terms, now: Moment) -> Deadline | None:
        """When a span is due whose process was started anew (on patience); None if it was not, as far as is known.

        A start is replaced by the first newer one that was heard after it was heard last itself: one that crashes again
        and again gives no more grace. The older one's client may still send real ends: they have `orphan_grace`.
        """
        if state.rest.told.instance is None or state.start_at is None:
            return None
        boot = instance_id, boot_id = state.rest.told.instance[2:]
        starts, known = self._starts.get(instance_id, []), self._boots.get(boot)
        own = self._forgotten if known is None else known.last
        last = max(state.heard, now.patience_at(own)) if own else state.heard
        for newer_id in starts if known is None else starts[starts.index(boot_id) + 1 :]:
            newer = self._boots[instance_id, newer_id]
            if now.patience_at(newer.last) > last:
                at = max(last, now.patience_at(newer.first)) + terms.orphan_grace
                return Deadline(at, Cause.INSTANCE_REPLACED)
        return None

    def _forget(self, boot: Boot) -> None:
        self._forgotten = max(self._forgotten, self._boots[boot].last)
        self._drop(boot)

    def _drop(self, boot: Boot) -> None:
        del self._boots[boot]
        starts = self._starts[boot[0]]
        starts.remove(boot[1])
        if not starts:
            del self._starts[boot[0]]
