"""Who re-keys a source of the story, in a process of its own: the worker's `Rekeying` over the broker in lists."""

from __future__ import annotations

from collections.abc import Sequence

from finalizer.codecs.evidence import encode_mark
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.parts import Part
from finalizer.core.model import Coordinates
from finalizer.core.terms import SECOND
from finalizer.pipeline import Topic
from finalizer.policy.load import Policy
from finalizer.rekeying import Limits, Rekeying
from tests.scenarios.broker import PARTITION, Broker, Written

EVIDENCE = "evidence"
COMMIT = SECOND
"""The group's offsets are committed this often: whoever comes next reads what came after that again."""


class Rekeyer:
    """One owner of a source, from the group's offset on. Times are the broker's wall, in ns."""

    def __init__(self, policy: Policy, broker: Broker, topic: str, now: int) -> None:
        self.frozen = False
        self.most_records = 2000
        """Handed out by one poll."""
        (kind,) = (one.kind for one in policy.inputs if one.topic == topic)
        decode = NativeDecoder(kind=kind).decode

        def alone(value: bytes | None, source: Coordinates) -> Sequence[Part]:
            return (decode(value, source),)

        self._topic = topic
        self._broker = broker
        self._source = broker.inputs[topic]
        committed, first = broker.committed.get(topic, 0), broker.inputs[topic].first
        self._position = max(committed, first)
        self._rekeying = Rekeying(
            (topic, PARTITION), policy, position=self._position, decode=alone, limits=Limits(), put_aside=_bug
        )
        self._rekeying.lost(self._position - committed)
        self._rekeying.assigned(now, log_end=len(self._source.records), asked_at=now)
        self._outstanding: int | None = None
        self._committed_at = now

    def beat(self, now: int) -> None:
        """What happens between two fetch answers: poll, write what was polled, vouch for it."""
        end = len(self._source.records) if self._source.up else None
        if self.frozen:
            self._outstanding = end if self._outstanding is None else self._outstanding
            return
        end, self._outstanding = end if self._outstanding is None else self._outstanding, None
        if not self._broker.inputs[EVIDENCE].up:
            return  # nothing can be written, so nothing more is read
        if end is not None and not self._rekeying.paused:
            if self._rekeying.untold:
                self._mark(now)
            self._poll(end, now)
        self._mark(now)
        if now - self._committed_at >= COMMIT:
            self._committed_at = now
            self._broker.committed[self._topic] = self._rekeying.decided + 1

    def _mark(self, now: int) -> None:
        vouched = self._rekeying.vouch(now)
        self._write(b"mark", encode_mark([vouched]), now)
        self._rekeying.told(vouched)

    def _poll(self, end: int, now: int) -> None:
        records = self._source.records[self._position : min(end, self._position + self.most_records)]
        self._position += len(records)
        self._rekeying.clock.answered(self._topic, arrived_at=now, position=self._position, highwater=end)
        if not records:
            return
        group = self._rekeying.begin(records, end=self._position, stamped=self._source.append_time, arrived_at=now)
        self._rekeying.decode(group, group.records)
        for entry in group.entries:
            self._write(entry.key, entry.value, now)
        self._broker.outputs[Topic.REJECTED.name.lower()] += [
            Written(output.key, output.value, dict(output.headers)) for output in group.rejected
        ]
        self._rekeying.paused |= self._rekeying.written(group) is not None

    def _write(self, key: bytes, value: bytes, now: int) -> None:
        self._broker.inputs[EVIDENCE].append(key, value, now=now, stamp=now)


def _bug(source: Coordinates, error: BaseException) -> None:
    raise AssertionError(f"{source} cannot be decoded") from error
