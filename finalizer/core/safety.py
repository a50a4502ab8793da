"""Outage or death, the mass-close breaker, and what an operator releases of them (RATIONALE: safety).

*Outage.* Where most of the beats that a group of open spans owes do not come, the road is suspected, not the spans:
the group's patience stands still. It is judged every second, and before a span is closed, from a sample of the open
ones: a heartbeat costs nothing, and a restart forgets nothing that it cannot see again.
*Breaker.* Where too large a share of the open spans would be closed by inference in a short time, closing stops.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import NamedTuple

import msgspec

from finalizer.core.due import beat_came
from finalizer.core.model import Moment, Phase, SpanKey
from finalizer.core.pause import Pause
from finalizer.core.sample import Sample
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.core.terms import HOUR, SECOND, Terms

LOOK_AGAIN = SECOND
"""How often all groups are judged: an outage that is over before anybody is due holds those who come back last."""
HOLDS = SECOND // 4
"""How long a judgement holds to close a span by. One is overdue at least half its `allowance` before it is due."""
KEPT = 24 * HOUR
"""How long a pause that is over still counts for the spans that were silent through it."""
_FEW = 20
"""So many of a sample are needed to judge by, unless it holds all open spans."""
_OPEN = Phase.OPEN

TermsOf = Callable[[State], Terms]
GroupOf = Callable[[State], str]
Alive = Callable[[State, Moment], State | None]
"""A state with what was heard of its process, too; None where that is not known now."""


class Happened(Enum):
    """What a safety has to tell a person."""

    OUTAGE_SUSPECTED = "outage_suspected"
    OUTAGE_OVER = "outage_over"
    OUTAGE_OVERRULED = "outage_overruled"
    BREAKER_TRIPPED = "breaker_tripped"
    BREAKER_RELEASED = "breaker_released"


class News(NamedTuple):
    """One thing to tell. `part` of `whole`: beats that came of those owed, or spans closed of those open."""

    what: Happened
    group: str = ""
    part: int = 0
    whole: int = 0


class Releases:
    """What operators have released, and until when (the broker's wall, ns): one for all partitions of a worker."""

    __slots__ = ("_breaker", "_everything", "_groups")

    def __init__(self) -> None:
        self._breaker = self._everything = 0
        self._groups: dict[str, int] = {}

    def breaker(self, until: int) -> None:
        """The breaker does not trip, and one that has is closed, until then."""
        self._breaker = max(self._breaker, until)

    def outage(self, group: str | None, until: int) -> None:
        """No outage of this group (None: of any) is suspected, and one that is is overruled, until then."""
        if group is None:
            self._everything = max(self._everything, until)
        else:
            self._groups[group] = max(self._groups.get(group, 0), until)

    def of_breaker(self, clock: int) -> bool:
        """True if the breaker is released at this moment."""
        return clock < self._breaker

    def of_outage(self, group: str, clock: int) -> bool:
        """True if suspicions of the group are released at this moment."""
        return clock < self._everything or clock < self._groups.get(group, 0)


class _Beats:
    """What the sample says of one group."""

    __slots__ = ("came", "last", "missed", "size")

    def __init__(self) -> None:
        self.size = self.came = self.missed = self.last = 0

    @property
    def owed(self) -> int:
        return self.came + self.missed


class Outages:
    """The suspicions of one partition. `least`: spans of a group that must owe beats on it for the rule to be on."""

    def __init__(
        self, *, window: int, least: int, below: float, until: float, max_pause: int, releases: Releases
    ) -> None:
        self._window, self._least, self._max_pause = window, least, max_pause
        self._below, self._until = below, until
        self._releases = releases
        self._pauses: list[Pause] = []
        self._silent_until = 0
        """Who was heard after this (patience) was silent through no pause."""
        self._looked_at = 0
        self.sample = Sample()
        self.news: list[News] = []

    @property
    def pauses(self) -> tuple[Pause, ...]:
        """What a restart must not forget."""
        return tuple(self._pauses)

    @pauses.setter
    def pauses(self, pauses: tuple[Pause, ...]) -> None:
        self._pauses = list(pauses)
        self._silent_until = max((one.ended or 2**63 for one in self._pauses), default=0)

    @property
    def held(self) -> tuple[str, ...]:
        """The groups whose patience stands still."""
        return tuple(one.group for one in self._pauses if one.holds)

    def must_look(self, clock: int) -> bool:
        """True if the last judgement is too old to close a span by."""
        return clock >= self._looked_at + HOLDS

    def may_look(self, clock: int) -> bool:
        """True if it is time for the next judgement, whether a span is to be closed or not."""
        return clock >= self._looked_at + LOOK_AGAIN

    def moment(self, key: SpanKey, state: State, now: Moment, group_of: GroupOf) -> Moment:
        """`now` as the span's group has it."""
        heard = state.heard
        if heard >= self._silent_until:
            return now
        group = self.sample.groups.get(key) or group_of(state)
        lost, suspected, held = 0, False, False
        for pause in self._pauses:
            if pause.group == group and (pause.holds or heard < pause.ended):
                if not pause.overruled:
                    lost += (pause.ended or now.patience) - max(pause.began, heard)
                suspected = suspected or pause.holds or pause.overruled
                held = held or pause.holds
        if not lost and not suspected:
            return now
        patience = now.patience - max(0, lost)
        return now.but(patience=patience, outage_suspected=suspected, held=held)

    def look(self, now: Moment, spans: Spans, terms_of: TermsOf, group_of: GroupOf, alive: Alive) -> None:
        """Judge all groups."""
        self._looked_at = now.clock
        beats = self._count(now, spans, terms_of, group_of, alive)
        judged = [self._judged(pause, beats.get(pause.group), now) for pause in self._pauses]
        current = {pause.group for pause in judged if not pause.over}
        judged += [
            self._suspected(group, one, now)
            for group, one in beats.items()
            if group not in current and self._is_outage(one) and not self._releases.of_outage(group, now.clock)
        ]
        self.pauses = tuple([one for one in judged if not one.over or now.patience < one.ended + KEPT])

    def _count(
        self, now: Moment, spans: Spans, terms_of: TermsOf, group_of: GroupOf, alive: Alive
    ) -> dict[str, _Beats]:
        self.sample.fit(spans.states, spans.open)
        groups, states = self.sample.groups, spans.states
        beats: dict[str, _Beats] = {}
        gone = []
        for key, known_group in groups.items():
            state = states.get(key)
            if state is None or state.phase is not _OPEN:
                gone.append(key)
                continue
            lives = alive(state, now)
            came = None if lives is None else beat_came(lives, terms_of(state), now.patience, within=self._window)
            if lives is None or came is None:
                continue
            group = groups[key] = group_of(state) if known_group is None else known_group
            known = beats.get(group)
            if known is None:
                known = beats[group] = _Beats()
            known.size += 1
            if came:
                known.came += 1
            else:
                known.missed += 1
                known.last = max(known.last, lives.heard)
        for key in gone:
            del groups[key]
        return beats

    def _is_on(self, beats: _Beats) -> bool:
        scale = self.sample.scale
        return beats.size * scale >= self._least and (scale == 1 or beats.size >= _FEW)

    def _is_outage(self, beats: _Beats) -> bool:
        return beats.owed > 0 and beats.came < self._below * beats.owed and self._is_on(beats)

    def _suspected(self, group: str, beats: _Beats, now: Moment) -> Pause:
        self.news.append(News(Happened.OUTAGE_SUSPECTED, group, beats.came, beats.owed))
        return Pause(group, now.clock, min(beats.last, now.patience))

    def _judged(self, pause: Pause, beats: _Beats | None, now: Moment) -> Pause:
        if pause.over:
            return pause
        if beats is None or not self._is_on(beats) or (beats.owed and beats.came >= self._until * beats.owed):
            if pause.holds:
                came, owed = (0, 0) if beats is None else (beats.came, beats.owed)
                self.news.append(News(Happened.OUTAGE_OVER, pause.group, came, owed))
            return msgspec.structs.replace(pause, ended=pause.ended or now.patience, over=True)
        released = self._releases.of_outage(pause.group, now.clock)
        if pause.holds and (released or now.clock - pause.since >= self._max_pause):
            self.news.append(News(Happened.OUTAGE_OVERRULED, pause.group, beats.came, beats.owed))
            return msgspec.structs.replace(pause, ended=now.patience, overruled=True)
        return pause


class Breaker:
    """Stops closing by inference where more than `max_share` of the open spans would be closed within `window`.

    `least`: open spans (those closed in the window among them) below which it never trips.
    """

    def __init__(self, *, window: int, least: int, max_share: float, releases: Releases) -> None:
        self.window = window
        self._least, self._max_share = least, max_share
        self._width = max(1, window // 12)
        self._closed: deque[tuple[int, int]] = deque()
        self._releases = releases
        self.tripped = 0
        """Partition clock at which it tripped; 0: it has not. Stored."""
        self.news: list[News] = []

    def room(self, open_spans: int, clock: int) -> int | None:
        """How many may be closed now; None: as many as are due."""
        if self._releases.of_breaker(clock):
            if self.tripped:
                self.news.append(News(Happened.BREAKER_RELEASED))
            self.tripped = 0
            self._closed.clear()
            return None
        if self.tripped:
            return 0
        closed = self._within(clock)
        if open_spans + closed < self._least:
            return None
        return max(0, int(self._max_share * (open_spans + closed)) - closed)

    def restore(self, tripped: int, closed_at: Iterable[int]) -> None:
        """Go on from what was stored, and from the moments at which spans were closed within the window."""
        self.tripped = tripped
        self._closed = deque(sorted(Counter(moment // self._width for moment in closed_at).items()))

    def count(self, closed: int, clock: int) -> None:
        """So many were closed by inference at this moment."""
        window = clock // self._width
        if closed and self._closed and self._closed[-1][0] == window:
            self._closed[-1] = (window, self._closed[-1][1] + closed)
        elif closed:
            self._closed.append((window, closed))

    def trip(self, open_spans: int, clock: int) -> None:
        """One more was due than may be closed; all that were are counted."""
        closed = self._within(clock)
        self.tripped = clock
        self.news.append(News(Happened.BREAKER_TRIPPED, "", closed, open_spans + closed))

    def _within(self, clock: int) -> int:
        oldest = (clock - self.window) // self._width
        while self._closed and self._closed[0][0] <= oldest:
            self._closed.popleft()
        return sum(closed for _, closed in self._closed)
