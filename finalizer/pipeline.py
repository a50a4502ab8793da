"""THE ROAD: a frame of raw records -> evidence -> terms -> step -> effects. Knows no framework, no clock, no broker.

`Road.hear` decides a frame, `Road.wake` what the timer found due. Both change only the partition's `Spans` and answer
with a `Decision`: what to write, and what has changed. If deciding raises, the spans are as they were before.
"""

from __future__ import annotations

import typing
from binascii import hexlify
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from mypy_extensions import i64

from finalizer.codecs import dead_letter, rejected
from finalizer.codecs.description import describe
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.headers import final_headers, letter_headers
from finalizer.codecs.parts import BadPart
from finalizer.codecs.record_headers import Header
from finalizer.core import lifecycle
from finalizer.core.causes import FACTS, Cause
from finalizer.core.effects import DeadLetter, Effects, Emit, Late
from finalizer.core.lifecycle import hear, weight
from finalizer.core.model import Coordinates, End, Evidence, Final, Kind, Moment, Phase, SpanKey
from finalizer.core.remembered import fits, remembered_end, remembered_state
from finalizer.core.safety import Releases
from finalizer.core.spans import Spans
from finalizer.core.state import State
from finalizer.core.terms import Terms
from finalizer.core.watch import Closing
from finalizer.decision import Decision, Output, Topic
from finalizer.guarding import watch_of
from finalizer.policy.schema import Include, Policy

__all__ = ["Decision", "Decode", "Encoding", "Header", "Output", "Record", "Road", "Topic"]

_OPEN: typing.Final = Phase.OPEN
_FINISHED: typing.Final = Phase.FINISHED
_COMPLETED: typing.Final = Cause.COMPLETED
_NOTHING_KNOWN: typing.Final = describe(())


_FINALIZED: typing.Final = Topic.FINALIZED
_WORDS: typing.Final = {cause: (cause.value, facts.reported, facts.incomplete) for cause, facts in FACTS.items()}
"""What an emit asks of a cause: its word, if it was reported, if it is incomplete. (`Enum.value` is a Python call.)"""


class Record(Protocol):
    """A raw record of some partition as a Kafka client hands it out; `timestamp` in milliseconds."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[Header]: ...


Decode = Callable[[bytes | None, Coordinates], Evidence]
EncodeFinal = Callable[[Final], bytes]


class Encoding(NamedTuple):
    """How finals are written: the encoder with its size limit, and its content type; and what else has a limit."""

    encode: EncodeFinal
    content_type: str
    letter_bytes: int | None = None
    """The largest value of a dead letter."""
    rejected_bytes: int | None = None
    """The largest rejected record: key, value and headers."""


class Road:
    """The road of the partition `number`, one of so many `partitions`; `releases` are those of its worker.

    `rekeyed` is the topic whose evidence was read, and counted, elsewhere before.
    """

    def __init__(
        self,
        policy: Policy,
        spans: Spans,
        *,
        decoders: Mapping[str, Decode],
        encoding: Encoding,
        number: int = 0,
        partitions: int = 1,
        releases: Releases | None = None,
        rekeyed: str | None = None,
    ) -> None:
        self.policy = policy
        self.spans = spans
        self.decoders = decoders
        self._number = number
        self._rekeyed = rekeyed
        self._terms_for = policy.terms_for
        self._looks_at_bodies = policy.looks_at_bodies
        self._fingerprint = policy.fingerprint
        self._terms_named = policy.named
        self._encode, self._content_type, self._letter_bytes, self._rejected_bytes = encoding
        self._all_finals = policy.outputs.finalized.include is Include.ALL
        self.watch = watch_of(policy, spans, terms_of=self.named, partitions=partitions, releases=releases)

    def hear(
        self, topic: str, records: Sequence[Record], now: Moment, *, floor: int = 0, ceiling: int = 2**63 - 1
    ) -> Decision:
        """Decide a frame of records of a topic. `floor` and `ceiling` (ns) bound the time each was heard at."""
        decision, touched = Decision(), dict[SpanKey, State | None]()
        try:
            self._decide(topic, records, now, (floor, ceiling), decision=decision, touched=touched)
        except BaseException:
            self.spans.restore(touched)
            raise
        self._settle(decision, touched, now)
        return decision

    def _decide(
        self,
        topic: str,
        records: Sequence[Record],
        now: Moment,
        heard_within: tuple[int, int],
        *,
        decision: Decision,
        touched: dict[SpanKey, State | None],
    ) -> None:
        """The loop over a frame: everything here is paid for each record, so names are local and nothing is built."""
        spans, terms_for, partition = self.spans, self._terms_for, self._number
        states, memory, windows = spans.states, spans.memory, spans.windows
        decode = self.decoders[topic]
        floor: i64 = heard_within[0]
        ceiling: i64 = heard_within[1]
        heard: list[Kind] = []
        for record in records:
            heard_at: i64 = record.timestamp
            heard_at *= 1_000_000
            if not floor <= heard_at <= ceiling:
                heard_at = floor if heard_at < floor else ceiling
            source = Coordinates(topic, partition, record.offset, heard_at)
            try:
                evidence = decode(record.value, source)
            except Unusable as error:
                self.reject(record, source, error, decision)
                continue
            heard.append(evidence.kind)
            key = evidence.key
            state = states.get(key)
            if key not in touched:
                touched[key] = state
            if state is None or (state.phase is _FINISHED and _plain(state)):
                # What ended well in this very frame is known as what did in an earlier one: by its end alone.
                end = memory.end_of(key) if state is None else remembered_end(state.rest.end)
                if end is not None:
                    state = remembered_state(end)
                terms = terms_for(evidence.subject or _NOTHING_KNOWN)
            else:
                terms = self.named(state) if evidence.body is None else self._terms(state, evidence)
            after, effects = hear(state, evidence, terms, now)
            if effects:
                came = record if topic != self._rekeyed else rejected.Original(evidence, record.key, record.value)
                self._carry_out(effects, (came, evidence.source), decision)
            if after is not None and after is not state:
                states[key] = after
                if after.phase is _OPEN and (state is None or after.wake_at != state.wake_at):
                    windows.insert(after.key or key, after.wake_at)
        for kind, count in Counter(heard).items() if topic != self._rekeyed else ():
            decision.tally["evidence_total", topic, kind.name] = count

    def wake(self, now: Moment, *, limit: int) -> Decision:
        """Look at no more than `limit` spans whose deadline window is over."""
        closings = self.watch.due(now, limit=limit)
        decision = self._closed(closings, now, righted=self.watch.righted)
        decision.deadlines += [one.after.closed.deadline_at for one in closings if one.after.closed is not None]
        return decision

    def evict(self, now: Moment, *, limit: int) -> Decision:
        """Close those silent for longest where more is open than memory has room for: no more than `limit` a time."""
        return self._closed(self.watch.crowded(now, limit=limit), now, righted={})

    def _closed(self, closings: Sequence[Closing], now: Moment, *, righted: Mapping[SpanKey, State]) -> Decision:
        decision, touched = Decision(), dict[SpanKey, State | None](righted)
        for one in closings:
            touched[one.key] = one.before
            self._carry_out(one.effects, None, decision)
        self._settle(decision, touched, now)
        return decision

    def forget(self, now: Moment, *, limit: int) -> Decision:
        """Forget closed spans that are over remembering, or beyond the memory's bytes: no more than `limit` a time."""
        decision, states = Decision(), self.spans.states
        dropped = self.spans.memory.expire(now.clock, limit=limit)
        for key in dropped.keys:
            forgotten = states.get(key)
            if forgotten is not None and forgotten.phase is not _OPEN:
                del states[key]
                decision.changes[key] = (forgotten, None)
        decision.forgotten_windows = dropped.windows
        return decision

    def again(self, key: SpanKey, state: State, decision: Decision) -> None:
        """Write once more, byte for byte, what the timer decided about a span before a crash."""
        self._carry_out(lifecycle.presumed_effects(key, state), None, decision)

    def reject(
        self, record: Record, source: Coordinates, error: Unusable, decision: Decision, *, exception: str = "Unusable"
    ) -> None:
        """Write an unusable record to the rejected topic, byte for byte."""
        output = rejected_output(record, source, error, max_bytes=self._rejected_bytes, exception=exception)
        decision.outputs.append(output)
        decision.tally["rejected_total", source.topic, error.reason.value] += 1

    def _terms(self, state: State, evidence: Evidence) -> Terms:
        said_again = state.body == evidence.body
        if self._looks_at_bodies and not said_again and not _has_final(state):
            return self._terms_for(describe(lifecycle.layers_with(state, evidence)))
        return self.named(state)

    def named(self, state: State) -> Terms:
        """The terms of a state, found again if the policy has changed since they were found."""
        if state.policy == self._fingerprint:
            return self._terms_named[state.rule]
        return self._terms_for(describe(state.layers))

    def _carry_out(self, effects: Effects, came: tuple[Record, Coordinates] | None, decision: Decision) -> None:
        tally = decision.tally
        for effect in effects:
            if isinstance(effect, Emit):
                self._emit(effect, decision)
            elif isinstance(effect, Late):
                tally["late_evidence_total", effect.kind.name] += 1
            elif isinstance(effect, DeadLetter):
                self._letter(effect.final, effect.kind.value, decision)
            elif came is not None:
                detail = "older than the memory horizon, and without a start"
                self.reject(*came, Unusable(Reason.BEYOND_MEMORY, detail), decision)

    def _emit(self, effect: Emit, decision: Decision) -> None:
        final = effect.final
        cause = final.closed.cause
        assert cause is not None
        word, reported, incomplete = _WORDS[cause]
        if self._all_finals or not reported or final.closed.revision > 1:
            headers = final_headers(final, self._content_type)
            decision.outputs.append(Output(_FINALIZED, hexlify(final.key[:16]), self._encode(final), headers))
        decision.finals.append((word, final.rule))
        if effect.overturned:
            decision.tally["verdicts_overturned_total", final.rule] += 1
        if incomplete or effect.resolves:
            self._letter(final, "resolved" if effect.resolves else "incomplete", decision)

    def _letter(self, final: Final, kind: str, decision: Decision) -> None:
        value = dead_letter.encode(final, kind=kind, max_bytes=self._letter_bytes)
        headers = letter_headers(final, kind=kind)
        decision.outputs.append(Output(Topic.DLQ, hexlify(final.key[:16]), value, headers))
        cause = final.closed.cause
        decision.letters.append(kind if cause is None else _WORDS[cause][0])

    @staticmethod
    def _count_finals(decision: Decision) -> None:
        for (cause, rule), count in Counter(decision.finals).items():
            decision.tally["finals_total", cause, rule] += count
        for cause, count in Counter(decision.letters).items():
            decision.tally["dead_letters_total", cause] += count
        decision.finals, decision.letters = [], []

    def _settle(self, decision: Decision, touched: dict[SpanKey, State | None], now: Moment) -> None:
        """Move closed spans into memory, and note what has changed."""
        self._count_finals(decision)
        spans = self.spans
        states, memory, changes = spans.states, spans.memory, decision.changes
        ended: list[tuple[SpanKey, End]] = []
        opened = size = 0
        heard_until: i64 = now.clock
        for key, before in touched.items():
            after = states.get(key)
            if after is before:
                continue
            was_open = before is not None and before.phase is _OPEN
            if before is not None:
                if not was_open:
                    memory.release(key)
                elif after is not None and after.phase is _OPEN and after.same_bodies(before):
                    changes[key] = (before, after)  # it merely beat
                    continue
                else:
                    opened -= 1
                    size -= weight(before)
            if after is not None:
                if after.phase is _OPEN:
                    opened += 1
                    size += weight(after)
                    if not was_open:
                        spans.opened.append(key)
                elif _plain(after):
                    assert after.rest.end is not None
                    ended.append((key, after.rest.end))
                    heard_until = max(heard_until, after.last_heard_at)
                    del states[key]
                    after = None
                else:
                    states[key] = states.pop(key)  # what is open stays in front, the oldest first
                    memory.keep(key, max(now.clock, after.last_heard_at), weight(after))
            if before is not None or after is not None:
                changes[key] = (before, after)
        spans.bytes += size
        spans.open += opened
        if ended:
            # From when it was heard on: the clock may be held back, by more than anything is remembered for.
            window, entries = memory.finish_all(ended, heard_until)
            decision.finished[window] = entries


def _has_final(state: State) -> bool:
    """True if its rule stands on a final already; a dead letter without a start may still become any span."""
    closed = state.rest.closed
    return closed is not None and closed.cause is not None


def _plain(state: State) -> bool:
    """True if a fingerprint is enough to remember it: completed, and never closed before."""
    closed, end = state.rest.closed, state.rest.end
    if closed is None or end is None:
        return False
    return closed.cause is _COMPLETED and closed.revision == 1 and fits(end)


def rejected_output(
    record: Record,
    source: Coordinates,
    error: Unusable,
    *,
    max_bytes: int | None,
    exception: str = "Unusable",
    part: BadPart | None = None,
) -> Output:
    """An unusable record for the rejected topic, byte for byte; of a record that carries many, the bad part alone.

    `source` is where it was read.
    `max_bytes` bounds key, value and headers together.
    """
    headers = rejected.rejected_headers(
        record.headers,
        topic=source.topic,
        partition=source.partition,
        offset=source.offset,
        reason=error.reason,
        detail=error.detail,
        stage="decode" if exception == "Unusable" else "decide",
        exception_class=exception,
    )
    value = record.value
    if part is not None:
        value = part.value
        headers.append(("dlq.where", part.where.encode()))
    if max_bytes is not None:
        taken = len(record.key or b"") + sum(len(name) + len(text or b"") + 10 for name, text in headers)
        value, cut = rejected.fit(value, max(0, max_bytes - taken))
        headers += cut
    return Output(Topic.REJECTED, record.key, value, headers, record.timestamp)
