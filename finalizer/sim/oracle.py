"""The oracle: it knows what truly happened in a made world, and says what is wrong with what was written.

Span by span: one final for each revision, the causes and ends that the truth allows, nothing alive closed, nothing due
left open, repeats byte for byte. Partition by partition: watermarks never go back.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from finalizer.codecs.state import StateCodec
from finalizer.codecs.stored import Watermark
from finalizer.core.model import SpanKey
from finalizer.core.terms import SECOND
from finalizer.sim.broker import Fate
from finalizer.sim.clients import PULSE, Landed, span_key
from finalizer.sim.closes import Closes
from finalizer.sim.evictions import Evictions
from finalizer.sim.ledger import REPORTED, Final, Ledger, Letter
from finalizer.sim.masses import mass_closes
from finalizer.sim.plan import Plan
from finalizer.sim.pulses import Pulses
from finalizer.sim.scene import EPOCH, Finding, Trouble
from finalizer.sim.truth import Link, chain, start_of, starts
from finalizer.sim.world import World

READY = 10 * SECOND
"""After all is whole again the group needs so long to share out its partitions, and the workers to restore them."""
PROMPT = 8 * SECOND
"""What is decided is written after so long, with everything whole: a backlog may come first."""
WORDS = 400
"""Of one finding."""


class Oracle:
    """Judges one world, after its run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._plan = world.plan
        self._ledger = Ledger(world.scene.broker.outputs)
        self._ready_at = world.whole_at + READY + world.backlog
        self._behind = _behind(world.crowd.landed, self._plan)
        self._prompt = PROMPT + self._behind
        pulses = Pulses(record for record in world.crowd.landed if record.event.type == PULSE)
        self._closes = Closes(world.scene.policy, pulses, ready_at=self._ready_at, prompt=self._prompt)
        landed: dict[SpanKey, list[Landed]] = defaultdict(list)
        self._garbage: Counter[bytes] = Counter()
        self._garbage_at: dict[bytes, int] = {}
        self._gaps: dict[SpanKey, int] = {}
        """Spans of which records were deleted unread -> when."""
        for record in world.crowd.landed:
            gone_at, gone = world.deleted.get((record.topic, record.partition), (0, range(0)))
            if record.event.type == PULSE:
                continue
            if record.offset in gone:
                self._gaps[span_key(record.client.name)] = gone_at
            elif record.event.type is None:
                self._garbage[record.value] += 1
                self._garbage_at[record.value] = record.at
            else:
                landed[span_key(record.client.name)].append(record)
        self._landed = landed
        self._evictions = Evictions(world.scene.policy, self._ledger, landed)

    def findings(self) -> list[Finding]:
        """All that is wrong."""
        told = [*self._world.scene.findings]
        for key, records in self._landed.items():
            name = records[0].client.name
            told += [Finding(trouble, f"{name}: {what}"[:WORDS]) for trouble, what in self._span(key, records)]
        for key in self._ledger.finals.keys() - self._landed.keys():
            told.append(Finding(Trouble.WRONG, f"a final of span {key.hex()}, which nobody sent"))
        told += self._rejected()
        told += mass_closes(self._world.scene.policy, self._ledger, self._landed, until=EPOCH + self._plan.lasts)
        for number in range(self._plan.partitions):
            told += self._changelog(number)
        return told

    def _span(self, key: SpanKey, records: Sequence[Landed]) -> Iterator[tuple[Trouble, str]]:
        finals = self._ledger.finals.get(key, [])
        undone = not _in_one_topic(records) and len({one.value for one in finals}) > len({one.id for one in finals})
        yield from self._ids(finals, self._ledger.uncommitted.get(key, []), records)
        finals = _lasting(finals, undone=undone)
        if not any(map(starts, records)):
            if finals:
                yield Trouble.WRONG, f"nobody told its start, and yet it has a final: {finals[0].told()}"
            yield from self._letters(key, finals, records, undone=undone)
            return
        if not finals:
            yield Trouble.MISSING, "it was started, and has no final"
            return
        if [final.revision for final in finals] != list(range(1, len(finals) + 1)):
            yield Trouble.WRONG, f"revisions {', '.join(final.told() for final in finals)}"
            return
        presumed = None if finals[0].reported else finals[0]
        if presumed is not None:
            yield from self._presumed(presumed, records)
        reported = finals if presumed is None else finals[1:]
        yield from self._reported(reported[-1:] if undone else reported, presumed, records)
        yield from self._letters(key, finals, records, undone=undone)
        yield from self._marks(finals, records, self._gaps.get(key))

    def _marks(
        self, finals: Sequence[Final], records: Sequence[Landed], gap: int | None
    ) -> Iterator[tuple[Trouble, str]]:
        """A span that was heard, and then not heard for that, says so on its final."""
        deleted = self._world.deleted
        if gap is None or finals[0].detected <= gap or finals[0].gap:
            return
        if any(one.offset < deleted[one.topic, one.partition][1].start for one in records):
            yield Trouble.WRONG, f"{finals[0].told()} says nothing of the records that were lost"

    def _ids(
        self, finals: Sequence[Final], uncommitted: Sequence[Final], records: Sequence[Landed]
    ) -> Iterator[tuple[Trouble, str]]:
        in_one_topic, seen = _in_one_topic(records), dict[int, Final]()
        for final in finals:
            first = seen.setdefault(final.revision, final)
            if first is final:
                continue
            if self._plan.exactly_once:
                yield Trouble.TWICE, f"{first.told()}, and then again {final.told()}"
            elif first.id != final.id:
                yield Trouble.TWICE, f"two finals of one revision: {first.told()} and {final.told()}"
            elif first.value != final.value and (in_one_topic or not first.reported):
                yield Trouble.TWICE, f"repeated with other bytes: {first.value!r} and {final.value!r}"
        for final in uncommitted:
            lasting = seen.get(final.revision)
            if lasting is None or lasting.id != final.id:
                if not final.reported:
                    yield Trouble.NOT_LASTING, f"{final.told()} was written, and then taken back"
            elif lasting.value != final.value and (in_one_topic or not final.reported):
                if final.reported and self._lost_between(final, lasting, records):
                    continue
                yield Trouble.TWICE, f"repeated with other bytes: {final.value!r} and {lasting.value!r}"

    def _lost_between(self, before: Final, after: Final, records: Sequence[Landed]) -> bool:
        """True if retention took unread records between these two: of this span, or the later one tells of it."""
        taken = {self._world.deleted.get((one.topic, one.partition), (0, range(0))) for one in records}
        is_otherwise = after.gap or span_key(records[0].client.name) in self._gaps
        return is_otherwise and any(before.at <= at <= after.at and gone for at, gone in taken)

    def _letters(
        self, key: SpanKey, finals: Sequence[Final], records: Sequence[Landed], *, undone: bool
    ) -> Iterator[tuple[Trouble, str]]:
        letters = self._ledger.letters.get(key, [])
        kinds = Counter(letter.kind for letter in letters)
        orphan = next((letter for letter in letters if letter.kind == "missing_start"), None)
        if orphan is not None:
            for trouble, what in self._orphan(orphan, records):
                yield trouble, f"dead letter missing_start: {what}"
        elif not any(map(starts, records)):
            yield Trouble.MISSING, "nobody told its start, and there is no dead letter"
        has_letter, wanted = orphan is not None, Counter["str"]()
        for final in finals:
            if final.reported and has_letter:
                wanted["resolved"] += 1
            elif final.cause != "completed":
                wanted["incomplete"] += 1
            has_letter = final.cause != "completed"
        if orphan is not None:
            wanted["missing_start"] = 1
        wanted["late_end"] = sum(not link.is_final for link in chain(records, _closed_at(finals)))
        if not _in_one_topic(records):
            wanted["late_end"] = kinds["late_end"]
        if not self._plan.exactly_once:
            kinds = Counter({kind: min(count, wanted[kind] or 1) for kind, count in kinds.items()})
        if undone:  # what was told before the crash has left its letters, too
            kinds = Counter({kind: min(count, wanted[kind]) for kind, count in kinds.items()})
        if +kinds != +wanted:
            yield Trouble.WRONG, f"dead letters {dict(+kinds)}, and not {dict(+wanted)}"

    def _orphan(self, letter: Letter, records: Sequence[Landed]) -> Iterator[tuple[Trouble, str]]:
        if not letter.deadline:
            return self._evictions.orphan(letter, records)
        # Where more comes than is polled, a stamp from the future tells the time of what waits behind it.
        return self._closes.orphan(letter, records, unread=0 if self._is_trustworthy() else self._behind)

    def _presumed(self, final: Final, records: Sequence[Landed]) -> Iterator[tuple[Trouble, str]]:
        judge = self._closes.presumed if self._is_trustworthy() else self._closes.presumed_anyhow
        if final.cause == "evicted":
            judge = self._evictions.presumed
        for trouble, what in judge(final, records):
            yield trouble, f"{final.told()}: {what}"

    def _is_trustworthy(self) -> bool:
        """False where deadlines run on stamps of producers whose clocks are wrong: nothing is promised there."""
        if all(self._world.scene.stamped.values()):
            return True
        return all(client.clock == 0 for client in self._plan.clients)

    def _reported(
        self, finals: Sequence[Final], presumed: Final | None, records: Sequence[Landed]
    ) -> Iterator[tuple[Trouble, str]]:
        """The finals that clients told, against their ends in the order of the log."""
        links, started = chain(records, None if presumed is None else presumed.end), start_of(records)
        wanted = [(link.end.cause, max(link.end.at, started)) for link in links if link.is_final]
        found = [(final.cause, final.end) for final in finals]
        is_right = found == wanted if _in_one_topic(records) else _rises(found, links)
        if not is_right:
            yield Trouble.WRONG, f"{_told(found)} was reported, and not {_told(wanted)}"
            return
        until = max(*(record.at for record in records), self._ready_at) + self._prompt
        for final in finals:
            if final.at > until:
                yield Trouble.LATE, f"{final.told()} came {(final.at - until) / SECOND:.1f} s later than it must"

    def _rejected(self) -> Iterator[Finding]:
        for value, count in self._garbage.items():
            rejected = self._ledger.rejected.get(value, [])
            found = len(rejected)
            if found < count or (found > count and self._plan.exactly_once):
                yield Finding(
                    Trouble.MISSING if found < count else Trouble.TWICE, f"{value!r} was rejected {found} times"
                )
        for value in self._ledger.rejected.keys() - self._garbage.keys():
            yield Finding(Trouble.WRONG, f"{value!r} was rejected")

    def _changelog(self, number: int) -> Iterator[Finding]:
        codec = StateCodec(self._world.scene.named, number)
        before: Watermark | None = None
        for batch in self._world.scene.broker.changelogs[number]:
            if batch.transaction is not None and batch.transaction.fate is not Fate.COMMITTED:
                continue
            entry = codec.read(*batch.changes[-1])
            assert isinstance(entry, Watermark), "the watermark is the last record of its batch"
            if before is not None:
                for what in _backward(before, entry):
                    yield Finding(Trouble.WENT_BACK, f"partition {number}: {what}")
            before = entry


def _lasting(finals: Sequence[Final], *, undone: bool) -> list[Final]:
    """Of each revision what was told of it last, since when it was told; `undone`: after a crash the topics were heard
    in another order, so what was told of a revision before it does not count."""
    lasting: dict[int, Final] = {}
    for final in finals:
        known = lasting.pop(final.revision, final)
        lasting[final.revision] = known if known.value == final.value else final
    return sorted(lasting.values(), key=lambda final: final.revision) if undone else list(lasting.values())


def _in_one_topic(records: Sequence[Landed]) -> bool:
    """False: their order is nobody's promise."""
    return len({record.topic for record in records}) == 1


def _rises(found: Sequence[tuple[str, int]], links: Sequence[Link]) -> bool:
    """True if none is outranked by the one before it, and none of a higher rank is wanted than the last."""
    ranks = [(REPORTED[cause], end) for cause, end in found]
    best = max((link.end.rank for link in links), default=0)
    return ranks == sorted(ranks) and (ranks[-1][0] if ranks else 0) == best


def _closed_at(finals: Sequence[Final]) -> int | None:
    """The end that was presumed before any was reported."""
    return finals[0].end if finals and not finals[0].reported else None


def _backward(before: Watermark, after: Watermark) -> Iterator[str]:
    for topic, offset in before.offsets.items():
        if after.offsets[topic] < offset:
            yield f"the watermark of {topic} goes from {offset} to {after.offsets[topic]}"
    for name in ("clock", "taken_off", "horizon"):
        was, became = getattr(before, name), getattr(after, name)
        if became < was:
            yield f"{name} goes from {was} to {became}"


def _told(ends: Sequence[tuple[str, int]]) -> str:
    return ", then ".join(f"{cause} at {at}" for cause, at in ends) or "nothing"


def _behind(landed: Iterable[Landed], plan: Plan) -> int:
    """How long a record waits at most behind others, with everything whole: where more comes than is polled."""
    decided: dict[tuple[str, int], list[int]] = defaultdict(list)
    longest = 0
    for record in sorted(landed, key=lambda one: one.at):
        queue = decided[record.topic, record.partition]
        before = queue[-plan.most_records] if len(queue) >= plan.most_records else 0
        queue.append(max(record.at, before + plan.cadence))
        longest = max(longest, queue[-1] - record.at)
    return longest
