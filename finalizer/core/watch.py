"""The timer of one partition: looks at who is due, and closes whom nobody heard, as far as its safeties let it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mypy_extensions import mypyc_attr

from finalizer.core.by_value import ByValue
from finalizer.core.crowd import BYTES_AT_ONCE, Crowd
from finalizer.core.due import NEVER, Deadline, hard_deadline, wake_at
from finalizer.core.effects import NONE, Effects
from finalizer.core.instances import LOOK_AGAIN, Instances
from finalizer.core.lifecycle import armed, evict, wake, weight
from finalizer.core.model import Moment, Phase, SpanKey
from finalizer.core.safety import Breaker, GroupOf, News, Outages, TermsOf
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.core.terms import BEHIND_AFTER, Terms

_OPEN: Final = Phase.OPEN
_PRESUMED: Final = Phase.PRESUMED
_TIDIED_AT_ONCE = 10_000
"""Entries of deadline windows that are looked at in one call: some 2 ms, and more a second than can be made."""
_FREED_AT_ONCE = 5000
"""Spans that are to be looked at again after a pause, of which so many are noted in one call: some 10 ms."""


@mypyc_attr(acyclic=True)
class Closing(ByValue):
    """A span that was closed, and what follows from it."""

    __match_args__ = ("key", "before", "after", "effects")
    __slots__ = __match_args__

    def __init__(self, key: SpanKey, before: State, after: State, effects: Effects) -> None:
        self.key: Final = key
        self.before: Final = before
        self.after: Final = after
        self.effects: Final = effects


class Watch:
    """Owned by one partition. `terms_of` and `group_of` tell what applies to a state, and whose outage would be its."""

    def __init__(
        self, spans: Spans, *, outages: Outages, breaker: Breaker, crowd: Crowd, terms_of: TermsOf, group_of: GroupOf
    ) -> None:
        self._spans = spans
        self.outages = outages
        self.breaker = breaker
        self.crowd = crowd
        self._terms_of = terms_of
        self._group_of = group_of
        self.instances: Instances | None = None
        """Processes whose heartbeats count for their spans; None: a span that names one is as any other."""
        self.righted: dict[SpanKey, State] = {}
        """Open spans of which the last call of `due` has put right when they were heard; their states before it."""
        self.more = False
        """The last call of `due` has left some that are due."""
        self._held: list[SpanKey] = []
        self._freed: list[SpanKey] = []

    def take_over(self, states: dict[SpanKey, State], now: Moment) -> list[int]:
        """Take over restored spans, which nobody else has yet. Returns when it closed those that its breaker counts."""
        spans, terms_of = self._spans, self._terms_of
        windows, memory = spans.windows, spans.memory
        behind, lately = now.patience + BEHIND_AFTER, now.clock - self.breaker.window
        opened = size = 0
        closed_at: list[int] = []
        for key, state in states.items():
            closed = state.rest.closed
            if state.phase is _OPEN:
                opened += 1
                size += weight(state)
                at = wake_at(state, terms_of(state), now)
                if state.heard > behind or state.rest.told.instance is not None:
                    # Heard before its clock knew of an outage, and not looked at since: to be put right at once. And
                    # only a look tells what has become of its process.
                    at = min(at, now.clock)
                state.wake_at = at
                windows.insert(key, at)
            elif closed is not None:
                memory.keep(key, max(closed.detected_at, state.last_heard_at), weight(state))
                if closed.detected_at > lately and state.phase is _PRESUMED:
                    closed_at.append(closed.detected_at)
        spans.states, spans.open, spans.bytes = states, opened, size
        return closed_at

    def attend(self, now: Moment) -> None:
        """Follow what was opened, and what an operator released: to be called at least as often as `due`."""
        spans, outages = self._spans, self.outages
        if spans.opened:
            outages.sample.take_in(spans.opened, spans.states)
            self._look_soon(now)
            spans.opened.clear()
        spans.tidy(limit=_TIDIED_AT_ONCE)
        self.breaker.room(spans.open, now.clock)
        going = self._freed[-_FREED_AT_ONCE:]
        del self._freed[-_FREED_AT_ONCE:]
        for key in going:
            state = spans.states.get(key)
            if state is not None and state.phase is _OPEN:
                spans.states[key] = armed(state, now.clock)
                spans.windows.insert(key, now.clock)

    @property
    def news(self) -> list[News]:
        """What there is to tell since somebody asked last."""
        told = [*self.outages.news, *self.breaker.news]
        self.outages.news.clear()
        self.breaker.news.clear()
        return told

    def due(self, now: Moment, *, limit: int) -> list[Closing]:
        """Look at no more than `limit` spans whose deadline window is over. What is closed is not open any more."""
        spans, breaker, outages = self._spans, self.breaker, self.outages
        self.righted = {}
        self.more = False
        if breaker.tripped:
            return []
        if outages.may_look(now.clock):
            self._look(now)
        room = breaker.room(spans.open, now.clock)
        closed: list[Closing] = []
        tripped = False
        size = 0
        taken = spans.windows.take(now.clock, limit)
        self.more = len(taken) >= limit
        keys = iter(taken)
        for key in keys:
            state = spans.states.get(key)
            if state is None or state.phase is not _OPEN or state.wake_at > now.clock:
                continue
            after, effects = self._woken(key, state, now)
            if after.phase is _OPEN:
                spans.states[key] = after
                spans.windows.insert(key, after.wake_at)
                if after.heard != state.heard or after.opened != state.opened:
                    self.righted.setdefault(key, state)
            elif room is not None and len(closed) >= room:
                self._put_back((key, *keys))
                tripped = True
            else:
                spans.states[key] = after
                closed.append(Closing(key, state, after, effects))
                size += weight(state)
                if size >= BYTES_AT_ONCE:
                    self._put_back(keys)
                    self.more = True
                    break
        breaker.count(len(closed), now.clock)
        if tripped:
            breaker.trip(spans.open - len(closed), now.clock)
        return closed

    def crowded(self, now: Moment, *, limit: int) -> list[Closing]:
        """Close those silent for longest, as many as are open beyond the bound, and no more than `limit`."""
        spans = self._spans
        closed = []
        for key in self.crowd.to_evict(limit):
            state = spans.states[key]
            spans.states[key], effects = evict(key, state, self._terms_of(state), now)
            closed.append(Closing(key, state, spans.states[key], effects))
        return closed

    def _woken(self, key: SpanKey, state: State, now: Moment) -> tuple[State, Effects]:
        """The span after a look at it, and at the process that it lives in."""
        terms, instances = self._terms_of(state), self.instances
        if instances is None or state.rest.told.instance is None:
            return self._looked_at(key, state, terms, now)
        if not instances.caught_up:
            return armed(state, now.clock + LOOK_AGAIN), NONE
        if state.heard > now.patience + BEHIND_AFTER:  # to be put right first
            return self._looked_at(key, state, terms, now)
        known = instances.moment(now)
        owed, alive = instances.replaced(state, terms, known), instances.alive(state, known)
        # Who is replaced must be seen in time; and who is heard again after all, before he would have been missed.
        latest, usual = now.clock + terms.orphan_grace, wake_at(alive, terms, known)
        if owed is not None and now.clock < usual < latest:
            latest = usual
        after, what = self._looked_at(key, alive, terms, known, owed, latest=latest)
        if after.phase is not _OPEN:
            return after, what
        # What its process said is not the span's: it is asked again, never stored. And what is due beyond what the
        # view knows waits for it.
        return armed(state, max(now.clock + now.clock - known.clock, after.wake_at)), NONE

    def _looked_at(
        self,
        key: SpanKey,
        state: State,
        terms: Terms,
        now: Moment,
        owed: Deadline | None = None,
        *,
        latest: int = NEVER,
    ) -> tuple[State, Effects]:
        """The span after a look at it, and when to look again, at the `latest`; before it is closed, its group is
        looked at, too.

        One whose group is held is looked at again at its hard deadline, and when the pause is over.
        """
        moment = self.outages.moment(key, state, now, self._group_of)
        after, effects = wake(key, state, terms, moment, owed)
        if after.phase is not _OPEN and self.outages.must_look(now.clock):
            self._look(now)
            moment = self.outages.moment(key, state, now, self._group_of)
            after, effects = wake(key, state, terms, moment, owed)
        if after.phase is _OPEN and moment.held:
            self._held.append(key)
            after = armed(after, hard_deadline(after, terms).at)
        elif after.phase is _OPEN and after.wake_at > latest:
            after = armed(after, latest)
        return after, effects

    def _look(self, now: Moment) -> None:
        before = set(self.outages.held)
        self.outages.look(now, self._spans, self._terms_of, self._group_of, self._alive)
        if not before <= set(self.outages.held):
            self._freed += self._held
            self._held = []

    def _alive(self, state: State, now: Moment) -> State | None:
        """The state as far as its process was heard; None where that is not known now."""
        instances = self.instances
        if instances is None or state.rest.told.instance is None:
            return state
        return instances.alive(state, instances.moment(now)) if instances.caught_up else None

    def _look_soon(self, now: Moment) -> None:
        """Look at spans that name a process no later than it can be missed, or seen to be replaced."""
        spans = self._spans
        for key in spans.opened if self.instances is not None else ():
            state = spans.states.get(key)
            if state is None or state.phase is not _OPEN or state.rest.told.instance is None:
                continue
            terms = self._terms_of(state)
            at = now.clock + min(terms.start_grace, terms.orphan_grace)
            if at < state.wake_at:
                spans.states[key] = armed(state, at)
                spans.windows.insert(key, at)

    def _put_back(self, keys: Iterable[SpanKey]) -> None:
        for key in keys:
            state = self._spans.states.get(key)
            if state is not None and state.phase is _OPEN:
                self._spans.windows.insert(key, state.wake_at)
