"""One partition in virtual time: a broker with its logs and fetch answers, and one worker that reads and writes there.

The worker is the real one but for what needs Kafka, Faust and a clock: the course of the partition, its changelog and
the writer are those of the package. Under the writer lies a producer that appends to lists. So what a crash leaves
behind are real changelog bytes, and a restart goes through them.

Whatever the story, `World.check` holds what is always promised: a repeated final has the same bytes, a revision has one
id, the changelog restores to what is in memory, and compacting it changes nothing.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from finalizer.changelog import Changelog, Restored, read_back
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import JSON, encode_json
from finalizer.codecs.state import StateCodec
from finalizer.core.instances import Instances
from finalizer.core.lifecycle import armed
from finalizer.core.model import Coordinates, Phase, SpanKey
from finalizer.core.safety import Releases
from finalizer.core.sources import Sources
from finalizer.core.state import State
from finalizer.core.terms import SECOND
from finalizer.course import Course, RekeyedInput, first_watermark, past_gaps
from finalizer.listening import Listening
from finalizer.pipeline import Decision, Encoding, Topic
from finalizer.policy.load import Policy
from finalizer.shell.compression import PACKINGS
from finalizer.shell.outbox import Destination
from finalizer.shell.pending import Item
from finalizer.shell.settings import Compression
from finalizer.shell.writer import Writer
from finalizer.sim.broker import Record
from tests.scenarios.broker import CHANGELOG, PARTITION, Broker, Change, Crash, Input, Producer, Written
from tests.scenarios.rekeyer import EVIDENCE, Rekeyer

EPOCH = 1_747_648_800 * SECOND
"""The moment 0 of every story, in ns."""
ANSWER = SECOND // 4
"""A fetch answer comes this often on a quiet partition."""
TOUCH = 10 * SECOND
OUTPUTS = {topic: Destination(topic.name.lower(), 1) for topic in Topic}

_HISTORY_UNKNOWN = b'"span_finalizer.history"'

T = TypeVar("T")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("nothing here ever waits")


def sources_of(policy: Policy) -> list[str]:
    """The inputs that are re-keyed."""
    return sorted(one.topic for one in policy.inputs if one.is_rekeyed)


def restored(policy: Policy, changes: Iterable[Change]) -> Restored:
    """What these changelog records hold."""
    return read_back(StateCodec([one.topic for one in policy.inputs], PARTITION), changes)


class Worker:
    """One partition of a worker, from its restore on. Times are the broker's wall, in ns."""

    def __init__(self, policy: Policy, broker: Broker, now: int, *, transactional: bool, releases: Releases) -> None:
        self.policy, self.broker, self.producer = policy, broker, Producer(broker)
        self.frozen = False
        self.most_records = 2000
        """Handed out by one poll."""
        self._instances_topic = policy.instances.topic or ""
        instances = Instances() if self._instances_topic else None
        named, sources = [one.topic for one in policy.inputs], sources_of(policy)
        topics = [topic for topic in named if topic not in sources] + [EVIDENCE] * bool(sources)
        rekeyed = RekeyedInput(EVIDENCE, Sources((topic, PARTITION) for topic in sources)) if sources else None
        found = restored(policy, broker.changelog)
        watermark = found.watermark or first_watermark(
            policy,
            dict.fromkeys(topics, -1),
            delivery="exactly_once" if transactional else "effectively_once",
            partitions=1,
            sources=sources,
        )
        watermark, _ = past_gaps(watermark, {t: one.first for t, one in broker.inputs.items()}, found.states)
        self.course = Course(
            policy,
            watermark,
            decoders={one.topic: NativeDecoder(kind=one.kind).decode for one in policy.inputs},
            encoding=Encoding(encode_json, JSON),
            most_bytes=policy.remember.max_bytes,
            put_aside=_bug,
            releases=releases,
            rekeyed=rekeyed,
            instances=instances,
        )
        self.course.fill(found)
        self.clock, self.spans = self.course.clock, self.course.spans
        self._writer = Writer(
            self.producer,
            Changelog(StateCodec(named, PARTITION), watermark, found.blocks, found.sending),
            topic=CHANGELOG,
            partition=PARTITION,
            outputs=OUTPUTS,
            transactional=transactional,
            packing=PACKINGS[Compression.ZSTD],
        )
        if found.unsent:
            decision, unsent = self.course.unsent(found.unsent)
            finished(self._writer.write(self._writer.changelog.again(unsent), decision.outputs))
        finished(self._writer.write(self._writer.changelog.touch()))
        self._positions = {topic: offset + 1 for topic, offset in watermark.offsets.items()}
        self._outstanding: dict[str, int] | None = None
        self._touched_at = now
        self._listening = None
        if instances is not None:
            self._listening = Listening(instances, [PARTITION], settle=policy.safety.settle, now=now)
            self._positions[self._instances_topic] = 0
        self.course.assigned(now, ends={t: len(one.records) for t, one in broker.inputs.items()}, asked_at=now)

    def beat(self, now: int) -> None:
        """What happens between two fetch answers: poll, look at the timer, decide what was polled, look again."""
        if self.frozen:
            self._outstanding = self._outstanding or self._ends()
            return
        self._listen(now)
        frames = self._poll(now)
        self._tick(now)
        group = [self._hear(now, topic, records) for topic, records in frames]
        if group:
            self._commit(group, now)
        self._tick(now)

    def derived(self, states: Mapping[SpanKey, State]) -> dict[SpanKey, State]:
        """States without what is not stored: when to look next, and the terms of now where the policy has changed."""
        found = {}
        for key, state in states.items():
            found[key] = armed(state, 0)
            if state.phase is Phase.OPEN:
                terms = self.course.road.named(state)
                found[key] = found[key].but(rule=terms.rule, policy=terms.policy)
        return found

    def _ends(self) -> dict[str, int]:
        return {topic: len(one.records) for topic, one in self.broker.inputs.items() if one.up}

    def _listen(self, now: int) -> None:
        """Read what processes say of themselves, and follow the time."""
        if self._listening is None:
            return
        log, position = self.broker.inputs[self._instances_topic], self._positions[self._instances_topic]
        if log.up:
            end = min(len(log.records), position + self.most_records)
            records = log.records[position:end]
            bad = self._listening.hear(PARTITION, records, end=end, stamped=log.append_time, now=now)
            assert not bad, bad
            self._positions[self._instances_topic] = end
            self._listening.answered(PARTITION, arrived_at=now, position=end, highwater=len(log.records))
        self._listening.tick(now)

    def _poll(self, now: int) -> list[tuple[str, list[Record]]]:
        """Fetch answers of now. A process that was frozen finds first the one that it had asked for before."""
        ends, self._outstanding = self._outstanding or self._ends(), None
        frames = []
        for topic in self.course.decided:
            position = self._positions[topic]
            end = ends.get(topic)
            if end is None:
                if topic != EVIDENCE:
                    self.clock.moved(topic, position=position)
                continue
            records = self.broker.inputs[topic].records[position : min(end, position + self.most_records)]
            self._positions[topic] = position + len(records)
            if topic != EVIDENCE:
                self.clock.answered(topic, arrived_at=now, position=self._positions[topic], highwater=end)
            if records:
                frames.append((topic, records))
        return frames

    def _tick(self, now: int) -> None:
        while (decided := self.course.tick(now)) is not None:
            self._commit([Item(decided.decision, decided.watermark, (), 0)], now)
        if now - self._touched_at > TOUCH:
            self._commit([Item(Decision(), self.course.watermark(), (), 0)], now)

    def _hear(self, now: int, topic: str, records: Sequence[Record]) -> Item:
        end, stamped = records[-1].offset + 1, self.broker.inputs[topic].append_time
        decision, watermark, count = self.course.hear(topic, records, end=end, stamped=stamped, now=now)
        return Item(decision, watermark, (), count)

    def _commit(self, items: list[Item], now: int) -> None:
        group = self._writer.group(of_timer=items[0].watermark is None)
        for item in items:
            group.add(item)
        finished(self._writer.commit(group))
        if self._writer.owes:
            finished(self._writer.settle())
        self._touched_at = now


def _bug(source: Coordinates, error: BaseException) -> None:
    raise AssertionError(f"{source} cannot be decided") from error


class World:
    """Broker, worker and wall clock. The first worker has settled when the story begins."""

    def __init__(self, policy: Policy, inputs: Iterable[Input], *, transactional: bool = False) -> None:
        self.broker = Broker(inputs)
        self.policy = policy
        self.transactional = transactional
        self.releases = Releases()
        self._next_answer = self.now = EPOCH - policy.safety.settle - SECOND
        self.worker: Worker | None = None
        self.rekeyers: dict[str, Rekeyer] = {}
        if policy.instances.topic is not None and policy.instances.topic not in self.broker.inputs:
            self.broker.inputs[policy.instances.topic] = Input(policy.instances.topic, append_time=True)
        for topic in sources_of(policy):
            self.broker.inputs.setdefault(EVIDENCE, Input(EVIDENCE, append_time=True))
            self.rekey(topic)
        self.start()
        self.run_until(EPOCH)

    def start(self) -> None:
        """Start a worker, which restores what the last one left."""
        assert self.worker is None, "the worker is running"
        self.worker = self._worker()

    def rekey(self, topic: str) -> None:
        """Somebody takes over a source, from the group's offset on."""
        self.rekeyers[topic] = Rekeyer(self.policy, self.broker, topic, self.now)

    def source(self, what: str, topic: str, most: str = "") -> bool:
        """Something happens to whoever re-keys a topic; False if it is not known what."""
        match what:
            case "crash":
                del self.rekeyers[topic]
            case "start":
                self.rekey(topic)
            case "freeze" | "thaw":
                self.rekeyers[topic].frozen = what == "freeze"
            case "read":
                self.rekeyers[topic].most_records = int(most)
            case _:
                return False
        return True

    def crash(self) -> None:
        """Kill the worker: what it had in memory is gone."""
        self.worker = None

    def run_until(self, moment: int) -> None:
        """Let the time go on."""
        while self._next_answer <= moment:
            self.now = self._next_answer
            self._next_answer += ANSWER
            for rekeyer in self.rekeyers.values():
                rekeyer.beat(self.now)
            if self.worker is not None:
                try:
                    self.worker.beat(self.now)
                except Crash:
                    self.crash()
        self.now = moment

    def check(self) -> None:
        """What holds in every story."""
        told: dict[bytes, Written] = {}
        revisions: dict[tuple[bytes | None, bytes], bytes] = {}
        for final in self.broker.outputs[OUTPUTS[Topic.FINALIZED].topic]:
            final_id, revision = final.headers["span-finalizer-id"], final.headers["span-finalizer-revision"]
            assert revisions.setdefault((final.key, revision), final_id) == final_id, "two finals of one revision"
            known = told.setdefault(final_id, final)
            same = (known.key, known.value) == (final.key, final.value)
            assert same or _HISTORY_UNKNOWN in (final.value or b""), "a repeated final has other bytes"
        full, compacted = (
            restored(self.policy, changes) for changes in (self.broker.changelog, self.broker.compacted())
        )
        for name in ("states", "unsent", "blocks", "watermark"):
            assert getattr(full, name) == getattr(compacted, name), f"{name} differ once the changelog is compacted"
        if self.worker is None:
            return
        spans, derived = self.worker.spans, self.worker.derived
        assert derived(full.states) == derived(spans.states), "memory and changelog differ"
        assert not full.unsent
        assert spans.open == sum(state.phase is Phase.OPEN for state in full.states.values())
        assert (spans.bytes == 0) is (spans.open == 0)
        again = self._worker().course
        assert again.spans.memory.bytes == spans.memory.bytes, "what is remembered comes back"
        assert (again.spans.open, again.spans.bytes) == (spans.open, spans.bytes), "what is open comes back"
        watch = self.worker.course.watch
        assert again.watch.outages.pauses == watch.outages.pauses, "a suspicion outlives a restart"
        assert again.watch.breaker.tripped == watch.breaker.tripped, "and so does a tripped breaker"

    def _worker(self) -> Worker:
        return Worker(self.policy, self.broker, self.now, transactional=self.transactional, releases=self.releases)
