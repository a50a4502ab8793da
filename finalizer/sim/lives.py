"""What becomes of the clients of a made world: their lives, as the events that they send, and each event's road."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from finalizer.core.terms import SECOND
from finalizer.sim.plan import MILLISECOND, Event

_ENDINGS = (
    (),
    (),
    (),
    ("",),
    ("",),
    ("",),
    ("partial",),
    ("abandoned",),
    ("restarted",),
    ("cancelled",),
    ("partial", ""),
    ("abandoned", "partial"),
    ("", "", "restarted"),
)
"""Reasons of the ends that one client sends; empty: completed."""


class Lives:
    """Makes lives by chance, one after the other."""

    def __init__(self, chance: Random, lasts: int, *, ends_to: int) -> None:
        self._chance = chance
        self._lasts = lasts
        self._ends_to = ends_to

    def events(self, clock: int) -> tuple[Event, ...]:
        """All that one client sends; its clock is ahead by `clock`."""
        chance = self._chance
        if chance.random() < 0.04:
            return (Event(at=self._moment(0, self._lasts - SECOND)),)
        born = self._moment(0, self._lasts * 6 // 10)
        dies = min(self._lasts - 2 * SECOND, born + self._length())
        interval = chance.choice((0, 0, 2, 2, 3)) * SECOND
        fields: dict[str, Any] = {}
        if interval:
            fields["heartbeat_interval_ms"] = interval // MILLISECOND
        if chance.random() < 0.15:
            fields["timeout_ms"] = chance.randint(5, 30) * 1000
        if chance.random() < 0.08:
            fields["session_expires_unix_nano"] = born + chance.randint(5, 30) * SECOND
        events = []
        if chance.random() < 0.93:
            events.append(self._event(born, "start", fields))
        events += self._beats(born, dies, interval if chance.random() < 0.85 else 0)
        if chance.random() < 0.12:
            events += self._moods(born, dies)
        events += self._ends(born, dies, clock)
        if not events:
            events.append(self._event(born, "heartbeat", {}))
        if chance.random() < 0.15:
            events = self._offline(events, born, dies)
        return tuple(sorted(events, key=lambda event: event.at))

    def _length(self) -> int:
        return self._chance.choice((self._moment(0, SECOND), self._moment(SECOND, 20 * SECOND), self._lasts))

    def _beats(self, born: int, dies: int, interval: int) -> list[Event]:
        beats, at = list[Event](), born
        while interval and (at := at + interval) < dies:
            told = {"progress": round((at - born) / (dies - born + 1), 3)} if self._chance.random() < 0.3 else {}
            beats.append(self._event(at, "heartbeat", {**told, "seq": len(beats)}))
        return beats

    def _moods(self, born: int, dies: int) -> list[Event]:
        at = self._moment(born, dies)
        moods = [self._event(at, "lifecycle", {"state": "background"})]
        if self._chance.random() < 0.5:
            moods.append(self._event(self._moment(at, dies) + MILLISECOND, "lifecycle", {"state": "foreground"}))
        return moods

    def _ends(self, born: int, dies: int, clock: int) -> list[Event]:
        chance, ends, at = self._chance, list[Event](), dies
        late = chance.random() < 0.15
        for number, reason in enumerate(chance.choice(_ENDINGS)):
            fields: dict[str, Any] = {"reason": reason} if reason else {}
            if chance.random() < 0.3:
                fields["status"] = {"code": chance.choice(("ok", "error"))}
            if chance.random() < 0.2:
                fields["start_time_unix_nano"] = born + clock
            at = min(at + number * chance.choice((0, 100 * MILLISECOND, 3 * SECOND)), self._lasts - SECOND)
            event = self._event(at, "end", fields, to=chance.choice((0, self._ends_to)))
            if late:
                room = self._lasts - SECOND - at
                event = _arriving(event, self._moment(0, min(room, 30 * SECOND)) + MILLISECOND)
            ends.append(event)
        return ends

    def _offline(self, events: list[Event], born: int, dies: int) -> list[Event]:
        """What it sends in a while arrives after it."""
        begins = self._moment(born, dies)
        ends = min(begins + self._moment(SECOND, 25 * SECOND), self._lasts - SECOND)
        return [
            _arriving(event, ends - event.at + (place + 1) * MILLISECOND) if begins <= event.at < ends else event
            for place, event in enumerate(events)
        ]

    def _event(self, at: int, type_: str, fields: Mapping[str, Any], *, to: int = 0) -> Event:
        return Event(at=at, type=type_, fields=fields, arrives=self._road(at), to=to)

    def _road(self, at: int) -> tuple[int, ...]:
        """Most records arrive at once. Some are late, some lost and sent again, some come twice or more."""
        chance = self._chance
        quick = chance.randint(1, 80) * MILLISECOND
        kind = chance.random()
        most = max(MILLISECOND, self._lasts - SECOND - at)
        if kind < 0.88:
            return (quick,)
        if kind < 0.93:
            return (min(most, chance.randint(300, 8000) * MILLISECOND),)
        copies = [quick, *(chance.randint(1, 12_000) * MILLISECOND for _ in range(chance.choice((1, 1, 3))))]
        return tuple(min(most, one) for one in copies)

    def _moment(self, least: int, most: int) -> int:
        return self._chance.randint(least // MILLISECOND, max(least, most) // MILLISECOND) * MILLISECOND


def _arriving(event: Event, after: int) -> Event:
    return Event(at=event.at, type=event.type, fields=event.fields, arrives=(after,), to=event.to)
