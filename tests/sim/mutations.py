"""Bugs to put in: each takes away one thing that a promise rests on. The simulation must find every one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from finalizer.changelog import Change, Changelog, Restored
from finalizer.codecs.state import StateCodec
from finalizer.core import lifecycle
from finalizer.core.causes import Cause
from finalizer.core.clock import PartitionClock, Reading, _Topic
from finalizer.core.crowd import Crowd
from finalizer.core.due import Deadline
from finalizer.core.instances import Beat, Instances
from finalizer.core.law import LAW, Act
from finalizer.core.model import End, Evidence, Moment, Phase
from finalizer.core.pause import Pause
from finalizer.core.remembered import Remembered
from finalizer.core.safety import Breaker, Outages
from finalizer.core.sources import Sources
from finalizer.core.state import State
from finalizer.core.terms import Terms
from finalizer.course import Course, Decided
from finalizer.following import Following
from finalizer.pipeline import Decision
from finalizer.rekeying import Group, Rekeying
from finalizer.sim.broker import Broker, _Producer
from finalizer.sim.kernel import Process
from finalizer.sim.partition import Partition

Patch = pytest.MonkeyPatch
Mutation = Callable[[Patch], None]


def watermark_dropped(patch: Patch) -> None:
    """A restart does not know how far it had read."""
    apply = Restored.apply

    def forgetful(self: Restored, codec: StateCodec, key: bytes | None, value: bytes | None) -> None:
        apply(self, codec, key, value)
        self.watermark = None

    patch.setattr(Restored, "apply", forgetful)


def ack_before_commit(patch: Patch) -> None:
    """What is decided counts as read before it is durable."""
    commit = Partition._commit

    def hasty(self: Partition, group: Sequence[Decided]) -> Process:
        for decided in group:
            if decided.watermark is not None:
                self._changelog.watermark = decided.watermark
        yield from self.touch()
        yield from commit(self, group)

    patch.setattr(Partition, "_commit", hasty)


def wall_clock(patch: Patch) -> None:
    """Deadlines run on the wall clock, whether or not anything was read."""
    patch.setattr(
        PartitionClock,
        "advance",
        lambda _, now: Reading(now, now, caught_up=True, behind=False, blind=False, settling=False, may_close=True),
    )


def clients_clock(patch: Patch) -> None:
    """Deadlines run on the time that the client tells, as if it were the time at which it was heard."""
    hear = lifecycle.hear

    def trusting(state: State | None, evidence: Evidence, *rest: Any) -> Any:
        source = evidence.source.but(heard_at=evidence.at)
        return hear(state, evidence.but(source=source), *rest)

    patch.setattr("finalizer.pipeline.hear", trusting)


def no_fencing(patch: Patch) -> None:
    """A new owner does not keep the former one from writing: each has a transactional id of its own."""
    producers: dict[tuple[Broker, int, int], _Producer] = {}
    patch.setattr(
        Broker, "_producer", lambda self, number, epoch, _: producers.setdefault((self, number, epoch), _Producer())
    )

    def unfenced(self: Broker, number: int) -> int:
        self._producers[number].epoch += 1
        return self._producers[number].epoch

    patch.setattr(Broker, "fence", unfenced)


def no_blind_time(patch: Patch) -> None:
    """Time in which nobody could be heard counts as silence, and closing begins at once."""
    advance = PartitionClock.advance

    def impatient(self: PartitionClock, now: int) -> Reading:
        reading = advance(self, now)
        self.taken_off = 0
        return reading._replace(patience=reading.clock, may_close=self._followed and not reading.behind)

    patch.setattr(PartitionClock, "advance", impatient)


def never_behind(patch: Patch) -> None:
    """An answer counts as the end of the log, whatever it left unread."""
    patch.setattr(_Topic, "caught_up", property(lambda self: self.highwater is not None))


def hole_processed_over(patch: Patch) -> None:
    """Whatever is polled next is decided, whether or not something is missing before it."""
    patch.setattr(Course, "follows", lambda *_, **__: True)


def sent_before_durable(patch: Patch) -> None:
    """What a timer decided is sent together with its state, so that it may be sent and not last."""
    write: Any = Changelog.write

    patch.setattr(
        Changelog, "write", lambda self, whole, *, sends, **_: write(self, whole, of_timer=False, sends=sends)
    )


def sent_and_not_said(patch: Patch) -> None:
    """The word that a timer's finals are sent is not written."""

    def silent(self: Changelog) -> list[Change]:
        self._owed = None
        return []

    patch.setattr(Changelog, "_settled", silent)


def owed_and_passed_over(patch: Patch) -> None:
    """What a timer decided is not sent where another group follows."""
    commit = Partition._commit

    def forgetful(self: Partition, group: Sequence[Decided]) -> Process:
        self._owed = Decision()
        yield from commit(self, group)

    patch.setattr(Partition, "_commit", forgetful)


def not_sent_again(patch: Patch) -> None:
    """A final that was decided before a crash and not sent is taken for sent."""
    patch.setattr(Course, "unsent", lambda *_: (Decision(), []))


def finished_forgotten(patch: Patch) -> None:
    """Finished spans are not remembered."""
    patch.setattr(Remembered, "end_of", lambda *_: None)


def finished_forgotten_by_restart(patch: Patch) -> None:
    """Finished spans are remembered in memory alone."""
    patch.setattr(Changelog, "_memory", lambda *_: [])


def presumption_outranks_end(patch: Patch) -> None:
    """An end that comes after a presumed close changes nothing."""
    presumed = list(LAW[Phase.PRESUMED])
    presumed[2] = (Phase.PRESUMED, Act.KEEP)
    law = list(LAW)
    law[Phase.PRESUMED] = tuple(presumed)
    patch.setattr(lifecycle, "_LAW", tuple(law))


def later_end_ignored(patch: Patch) -> None:
    """The first end is the last word, whatever comes after it."""
    patch.setattr(End, "order", property(lambda _: (0, 0, 0, "", "")))


def patience_forgotten_by_restart(patch: Patch) -> None:
    """What was taken off is not in the watermark."""
    watermark = Course.watermark
    patch.setattr(Course, "watermark", lambda self: msgspec.structs.replace(watermark(self), taken_off=0))


def beats_forgotten_by_restart(patch: Patch) -> None:
    """A heartbeat is not laid over the state that stands before it in the changelog."""
    patch.setattr("finalizer.codecs.state.lay_over", lambda *_: None)


def no_breaker(patch: Patch) -> None:
    """Whatever is due is closed, however much it is at once."""
    patch.setattr(Breaker, "room", lambda *_: None)
    patch.setattr(Breaker, "trip", lambda *_: None)


def no_room_made(patch: Patch) -> None:
    """However much is open, nothing is closed for it."""
    patch.setattr(Crowd, "over", False)


def no_suspicion(patch: Patch) -> None:
    """Where nobody is heard any more, all have died."""
    patch.setattr(Outages, "_is_outage", lambda *_: False)


def no_credit(patch: Patch) -> None:
    """The patience of a group stands still from the suspicion on, and not from the last beat that was heard."""
    suspected = Outages._suspected

    def late(self: Outages, group: str, beats: Any, now: Moment) -> Pause:
        return msgspec.structs.replace(suspected(self, group, beats, now), began=now.patience)

    patch.setattr(Outages, "_suspected", late)


def gap_unmarked(patch: Patch) -> None:
    """What was deleted before it was read is passed over in silence."""
    moment, heard_at = Course._moment, Course._heard_at
    patch.setattr(Course, "_moment", lambda *given: moment(*given).but(gap=0))
    patch.setattr(Course, "_heard_at", lambda *given: heard_at(*given).but(gap=0))


def frames_matter(patch: Patch) -> None:
    """Of what ended well all is known until its frame is over."""
    patch.setattr("finalizer.pipeline.remembered_end", lambda _: None)


def torn_group(patch: Patch) -> None:
    """A group may reach the changelog without its first record."""
    records = Changelog._records
    patch.setattr(Changelog, "_records", lambda *args, **named: records(*args, **named)[-1:])


def fastest_source(patch: Patch) -> None:
    """The source that is read furthest speaks for those that are behind it."""
    patch.setattr(Sources, "time", property(lambda self: max(self.clocks.values(), default=0)))
    patch.setattr(Sources, "caught_up", True)


def deaf_sources(patch: Patch) -> None:
    """What a mark tells of the time in which its source could not be heard is not listened to."""
    told = Sources.told
    patch.setattr(
        Sources, "told", lambda self, vouched: told(self, msgspec.structs.replace(vouched, deaf=(), blind=False))
    )


def unmarked_source_passed_over(patch: Patch) -> None:
    """A source that nobody has vouched for since the start holds nothing back."""
    patch.setattr(Sources, "time", property(lambda self: min(self.clocks.values(), default=0)))


def taken_after_the_drop(patch: Patch) -> None:
    """What waits is dropped where a partition or a source is left, and what comes then is taken in its place."""
    patch.setattr(Following, "stop", lambda _: None)


def marks_ignored(patch: Patch) -> None:
    """Nobody listens to what those who re-key vouch for."""
    patch.setattr(Sources, "told", lambda *_: None)


def committed_before_written(patch: Patch) -> None:
    """Whoever re-keys counts as re-keyed what it has read."""
    begin = Rekeying.begin

    def hasty(self: Rekeying, *given: Any, **named: Any) -> Group:
        group = begin(self, *given, **named)
        self.decided = max(self.decided, group.end - 1)
        return group

    patch.setattr(Rekeying, "begin", hasty)


def vouched_before_written(patch: Patch) -> None:
    """A mark vouches for what is in hand, before it is written."""
    begin = Rekeying.begin

    def hasty(self: Rekeying, *given: Any, **named: Any) -> Group:
        group = begin(self, *given, **named)
        self.clock.decided(self.place[0], next_offset=group.end, timestamp=group.newest, word=group.word)
        return group

    patch.setattr(Rekeying, "begin", hasty)


def lag_of_the_view_ignored(patch: Patch) -> None:
    """What was not heard of a process counts as its silence, though its topic was not heard so far."""
    patch.setattr(Instances, "moment", lambda _, now: now)


def view_taken_for_whole(patch: Patch) -> None:
    """What the topic of processes says so far counts for all of it: after a restart nobody lives."""
    follow = Instances.follow

    def hasty(self: Instances, reading: Reading) -> None:
        follow(self, reading)
        self.caught_up, self.clock = True, 2**62

    patch.setattr(Instances, "follow", hasty)


def any_start_counts(patch: Patch) -> None:
    """A heartbeat of one start of a process counts for the spans of another one."""
    hear = Instances.hear

    def generous(self: Instances, beat: Beat, heard_at: int) -> None:
        for boot_id in {beat.boot_id, *self._starts.get(beat.instance_id, ())}:
            hear(self, beat._replace(boot_id=boot_id), heard_at)

    patch.setattr(Instances, "hear", generous)


def replaced_while_it_beats(patch: Patch) -> None:
    """A newer start closes the spans of an older one that is still heard."""
    replaced = Instances.replaced

    def hasty(self: Instances, state: State, terms: Terms, now: Moment) -> Deadline | None:
        told = state.rest.told.instance
        for boot_id in self._starts.get(told[2], ()) if told is not None else ():
            if told is not None and boot_id > told[3]:
                at = now.patience_at(self._boots[told[2], boot_id].first) + terms.orphan_grace
                return Deadline(at, Cause.INSTANCE_REPLACED)
        return replaced(self, state, terms, now)

    patch.setattr(Instances, "replaced", hasty)


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "any": (
        watermark_dropped,
        ack_before_commit,
        wall_clock,
        clients_clock,
        no_fencing,
        no_blind_time,
        never_behind,
        hole_processed_over,
        owed_and_passed_over,
        finished_forgotten,
        finished_forgotten_by_restart,
        presumption_outranks_end,
        later_end_ignored,
        patience_forgotten_by_restart,
        beats_forgotten_by_restart,
        torn_group,
        frames_matter,
    ),
    "killed as it closes": (sent_before_durable, sent_and_not_said, not_sent_again),
    "mass death": (no_breaker,),
    "crowded": (no_room_made,),
    "eaten": (gap_unmarked,),
    "leaving": (taken_after_the_drop,),
    "cut off": (no_suspicion, no_credit),
    "processes and several workers": (lag_of_the_view_ignored,),
    "several sources and workers": (unmarked_source_passed_over,),
    "sources and three workers": (deaf_sources,),
    "processes": (view_taken_for_whole, any_start_counts, replaced_while_it_beats),
    "full sources": (taken_after_the_drop,),
    "rekeyed": (
        fastest_source,
        marks_ignored,
        committed_before_written,
        vouched_before_written,
    ),
}
"""By the kind of worlds in which each can show."""
