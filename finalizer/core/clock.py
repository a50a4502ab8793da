"""The partition clock and its patience, given readings (RATIONALE: time). Nanoseconds on the broker's wall.

Rules
1. A topic's clock is the running maximum of the record times decided. Once the topic is *caught up* it follows the
   wall, but only to the arrival of the answer before the latest one: the latest was asked for after it, so nothing
   older can be unread. A process that was frozen does not take an old answer for news.
2. The partition's clock is the minimum over its topics. It stands still without answers and never goes back.
3. Time in which we could not hear does not count: patience is the clock without the part of each advance that lies
   - between the last answer before a gap and the answer that shows us caught up again, and `settle` more, because
     clients' retries come seconds after the broker is back;
   - within `settle` after the assignment;
   - after an assignment, between the last record before it and the assignment: nobody was there to see whether the
     log was silent because its clients were, or because its broker was gone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from finalizer.core.model import Stop
from finalizer.core.terms import BEHIND_AFTER, SECOND

_STOPS = 64
_OPEN_END = 2**63 - 1

Interval = tuple[int, int]
"""Since, until."""


class Vouching(Protocol):
    """Sources whose evidence comes re-keyed: others read them, and vouch for how far they were heard."""

    @property
    def time(self) -> int: ...
    @property
    def caught_up(self) -> bool: ...
    @property
    def blind(self) -> bool: ...
    @property
    def settling(self) -> bool: ...
    @property
    def deaf(self) -> list[Interval]: ...
    def passed(self, clock: int) -> None: ...


class Reading(NamedTuple):
    """What a partition may act on."""

    clock: int
    patience: int
    caught_up: bool
    """Every topic's latest answer left nothing unread or undecided."""
    behind: bool
    """The clock is further behind the wall than `behind_after`."""
    blind: bool
    """A topic cannot be heard, or could not until less than `settle` ago."""
    settling: bool
    """Not assigned yet, or less than `settle` ago."""
    may_close: bool
    """Deadlines may be acted on: not behind, not blind, not settling, and each topic was caught up once."""


class _Topic:
    """What is known of one topic's partition."""

    __slots__ = (
        "blind_since",
        "decided",
        "decided_time",
        "empty_at",
        "followed",
        "handed_out",
        "heard_again",
        "highwater",
        "latest",
        "position",
        "previous",
        "wall",
        "word",
    )

    def __init__(self, clock: int) -> None:
        self.decided_time = clock
        self.decided = 0
        self.reset()

    def reset(self) -> None:
        """Forget the answers of an earlier assignment."""
        self.wall = self.empty_at = self.word = 0
        self.position = self.handed_out = 0
        self.highwater: int | None = None
        self.latest: int | None = None
        self.previous: int | None = None
        self.followed = False
        self.blind_since: int | None = None
        self.heard_again: int | None = None

    @property
    def time(self) -> int:
        return max(self.decided_time, self.wall)

    @property
    def caught_up(self) -> bool:
        return self.highwater is not None and self.position >= self.highwater and self.decided >= self.handed_out

    def hand_out(self, position: int) -> None:
        if position > self.position:
            self.handed_out = position
        self.position = position


class PartitionClock:
    """The clocks of one partition over its input topics, from the moment it was assigned.

    `clock`, `taken_off` and `deaf` come from the watermark on a restore; 0 and nothing where there is none. With
    `sources` it follows these, too; there may be no topic then. Not safe to share between threads: readings are handed
    over to whoever owns it.
    """

    __slots__ = (
        "_assigned",
        "_behind_after",
        "_blind_after",
        "_blind_until",
        "_clock",
        "_deaf",
        "_followed",
        "_keep_after",
        "_settle",
        "_sources",
        "_to_pass",
        "_topics",
        "stops",
        "taken_off",
    )

    def __init__(
        self,
        topics: Iterable[str],
        *,
        settle: int,
        blind_after: int = 2 * SECOND,
        behind_after: int = BEHIND_AFTER,
        clock: int = 0,
        taken_off: int = 0,
        deaf: Iterable[Interval] = (),
        sources: Vouching | None = None,
    ) -> None:
        self._topics = {topic: _Topic(clock) for topic in topics}
        self._settle = settle
        self._blind_after = blind_after
        self._behind_after = behind_after
        self._clock = clock
        self.taken_off = taken_off
        self.stops: deque[Stop] = deque(maxlen=_STOPS)
        """Where patience stood still since the restore, as far back as anybody needs it."""
        self._assigned: int | None = None
        self._to_pass: int | None = None
        self._blind_until = 0
        self._deaf: list[Interval] = list(deaf)
        self._keep_after = _OPEN_END
        self._sources = sources
        self._followed = False

    def assigned(self, now: int) -> None:
        """The partition was newly assigned: answers of an earlier assignment say nothing, and `settle` begins."""
        self._assigned = self._to_pass = now
        for topic in self._topics.values():
            topic.reset()
        self._followed = False
        if self._topics:
            self._deaf.append((now, now + self._settle))

    def begin(self, at: int) -> None:
        """The first evidence was heard at this moment: no time before it concerns anybody."""
        if self._clock == 0:
            self._clock = at

    def skipped(self, topic: str, *, position: int) -> None:
        """Reading goes on (or begins) at `position`, and no record in between was handed out.

        To be told before `answered` where the position passes over transaction markers, compacted or deleted records:
        any other advance of the position is taken for records that are still to be decided.
        """
        self._topics[topic].position = position

    def moved(self, topic: str, *, position: int) -> None:
        """Records up to `position` (the last one's offset + 1) were handed out."""
        self._topics[topic].hand_out(position)

    def answered(self, topic: str, *, arrived_at: int, position: int, highwater: int) -> None:
        """A new fetch answer arrived; `position` is the next offset to be handed out."""
        known = self._topics[topic]
        last = self._last_heard(known)
        if last is not None and arrived_at - last > self._blind_after:
            self._blind(known, last)
        if known.blind_since is not None and known.heard_again is None:
            known.heard_again = arrived_at
        known.previous, known.latest = known.latest, arrived_at
        known.highwater = highwater
        known.hand_out(position)

    def decided(self, topic: str, *, next_offset: int, timestamp: int, word: int | None = None) -> None:
        """All records below `next_offset` are decided; `timestamp` is the newest of them, or a frame's median.

        `word` is the newest of them that is older than `to_pass`, where that is not `timestamp` itself.
        """
        known = self._topics[topic]
        known.decided = max(known.decided, next_offset)
        known.decided_time = max(known.decided_time, timestamp, known.empty_at)
        last = timestamp if word is None else word
        if self._to_pass is not None and last <= self._to_pass:
            known.word = max(known.word, last)

    def believed(self, topic: str, stamp: int, *, arrived_at: int) -> int:
        """What a producer's stamp tells of the time, of a frame that arrived at this moment.

        One from the future tells nothing: what landed since the frame was asked for may be unread, and it was asked for
        after the answer before the latest one.
        """
        if stamp <= arrived_at:
            return stamp
        previous = self._topics[topic].previous
        return 0 if previous is None else min(previous, arrived_at)

    @property
    def to_pass(self) -> int | None:
        """The moment of the assignment, while the clock has not reached it: what is older is the log's own word."""
        return self._to_pass

    def topic_time(self, topic: str) -> int:
        """The topic's clock: on a `CreateTime` topic nothing is heard before it, so a slow producer is not silent."""
        known = self._topics[topic]
        return max(known.time, known.empty_at)

    def nothing_unread(self, topic: str, *, at: int) -> None:
        """At this moment (of this assignment) the log ended where reading goes on: what comes was not there then."""
        self._topics[topic].empty_at = at

    def advance(self, now: int) -> Reading:
        """Move the clock as far as is known, and tell what may be done."""
        topics, sources = self._topics.values(), self._sources
        for topic in topics:
            self._look(topic, now)
        if not self._followed and self._assigned is not None and all(topic.followed for topic in topics):
            self._followed = True
        times = [topic.time for topic in topics]
        blind = now < self._blind_until or any(topic.blind_since is not None for topic in topics)
        settling = self._assigned is None or now < self._assigned + self._settle
        caught_up = all(topic.caught_up for topic in topics)
        if sources is not None:
            times.append(sources.time)
            blind, settling, caught_up = (
                blind or sources.blind,
                settling or sources.settling,
                caught_up and sources.caught_up,
            )
        self._move(min(times))
        behind = now - self._clock > self._behind_after
        return Reading(
            self._clock,
            self._clock - self.taken_off,
            caught_up,
            behind,
            blind,
            settling,
            self._followed and not (behind or blind or settling),
        )

    def _look(self, topic: _Topic, now: int) -> None:
        last = self._last_heard(topic)
        if last is not None and now - last > self._blind_after:
            self._blind(topic, last)
        if topic.previous is None or topic.latest is None or not topic.caught_up:
            return
        topic.followed = True
        topic.wall = max(topic.wall, topic.previous)
        # The first answer after a gap may have been asked for before it: the second one counts.
        if topic.blind_since is not None and topic.heard_again is not None and topic.previous >= topic.heard_again:
            until = topic.latest + self._settle
            self._deaf.append((topic.blind_since, until))
            self._blind_until = max(self._blind_until, until)
            topic.blind_since = topic.heard_again = None

    def _last_heard(self, topic: _Topic) -> int | None:
        return self._assigned if topic.latest is None else topic.latest

    @staticmethod
    def _blind(topic: _Topic, since: int) -> None:
        if topic.blind_since is None:
            topic.blind_since = since
        topic.heard_again = None

    def _move(self, to: int) -> None:
        """Move the clock, and take off the part of the way in which we could not hear."""
        at = self._clock
        if to <= at:
            return
        self._clock = to
        if self._to_pass is not None and to >= self._to_pass:
            if self._topics:
                self._deaf.append((max(topic.word for topic in self._topics.values()), self._to_pass))
            self._to_pass = None
        if at == 0:
            # The very first reading: there is no span yet that anybody could have been patient with.
            return
        for since, until in sorted(self._all_deaf()):
            lost = min(until, to) - max(since, at)
            if lost > 0:
                self._stood_still(max(since, at) - self.taken_off, lost)
                self.taken_off += lost
                at = min(until, to)
        self._forget(to)

    def _stood_still(self, at: int, lost: int) -> None:
        """A mark tells deaf time in pieces: patience that did not move in between stands where it stood."""
        if self.stops and self.stops[-1].at == at:
            lost += self.stops.pop().lost
        self.stops.append(Stop(at, lost))

    def _all_deaf(self) -> list[Interval]:
        still = [(t.blind_since, _OPEN_END) for t in self._topics.values() if t.blind_since is not None]
        return [*self._deaf, *still, *(() if self._sources is None else self._sources.deaf)]

    def _forget(self, passed: int) -> None:
        until = min(passed, self._keep_after)
        self._deaf = [interval for interval in self._deaf if interval[1] > until]
        if self._sources is not None:
            self._sources.passed(passed)

    @property
    def deaf_ahead(self) -> tuple[Interval, ...]:
        """Time in which we could not hear that the clock has yet to pass: a restart must not forget it."""
        return tuple(sorted(one for one in self._all_deaf() if one[1] > self._clock and one[1] != _OPEN_END))

    def keep_deaf_after(self, moment: int) -> None:
        """Somebody asks `deaf_until`, and knows everything up to this moment."""
        self._keep_after = moment

    def deaf_until(self, moment: int) -> tuple[Interval, ...]:
        """Time in which we could not hear, from what is known already up to this moment."""
        known = self._keep_after
        cut = ((max(since, known), min(until, moment)) for since, until in sorted(self._all_deaf()))
        return tuple((since, until) for since, until in cut if since < until)
