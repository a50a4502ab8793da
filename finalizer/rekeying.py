"""The re-keying of one source partition: raw records in, evidence by trace id out, and what a mark may vouch for.

Who runs it brings the frames, the fetch answers and the time, and writes what comes of them: `shell` on Kafka, `sim`
in a made world. A group that `begin` and `decode` made is written whole, answered for, and only then `written`.
"""

from __future__ import annotations

from binascii import hexlify
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.evidence import encode
from finalizer.codecs.parts import BadPart, DecodeBatch, Part
from finalizer.core.clock import PartitionClock
from finalizer.core.model import Coordinates, Kind
from finalizer.core.refusals import Refusals, TooMany
from finalizer.core.sources import Place, Vouched, Voucher
from finalizer.course import BUG, PutAside, newest_of, word_before
from finalizer.following import Following
from finalizer.pipeline import Header, Output, Record, rejected_output
from finalizer.policy.schema import Policy

_FOREVER = 2**63 - 1
_NO_HEADERS: Sequence[Header] = []  # a list, or the client refuses it


class Entry(NamedTuple):
    """One record for the evidence topic."""

    key: bytes
    value: bytes
    headers: Sequence[Header] = _NO_HEADERS
    timestamp: int | None = None


class Limits(NamedTuple):
    """The largest values, in bytes, that the topics take; None: not told."""

    evidence: int | None = None
    rejected: int | None = None


class Group:
    """What comes of a frame. `records` are those that were not written before."""

    def __init__(self, records: Sequence[Record], *, end: int, stamped: bool) -> None:
        self.records = records
        self.end = end
        self.stamped = stamped
        self.floor, self.ceiling = 0, _FOREVER
        """The time (ns) at which its records were heard lies between these."""
        self.newest = 0
        self.word: int | None = None
        self.entries: list[Entry] = []
        self.rejected: list[Output] = []
        self.seen = 0
        """Pieces of evidence that its records hold, the bad ones among them."""
        self.tally: Counter[tuple[str, ...]] = Counter()


class Rekeying:
    """One source partition, from `position` on. Say when it was `assigned`, then go on."""

    def __init__(
        self, place: Place, policy: Policy, *, position: int, decode: DecodeBatch, limits: Limits, put_aside: PutAside
    ) -> None:
        self.place = place
        self.policy = policy
        self.clock = PartitionClock([place[0]], settle=policy.safety.settle)
        self.decided = position - 1
        """Offset of the last record of which everything was written and answered for."""
        self.paused = False
        self._voucher = Voucher(place, self.clock)
        self._decode = decode
        self._limits = limits
        self._put_aside = put_aside
        self._following = Following([place[0]])
        rule = policy.outputs.rejected
        self._refusals = Refusals(rule.max_ratio, rule.over)

    def assigned(self, now: int, *, log_end: int, asked_at: int) -> None:
        """The source is ours from now on. Its log ended at `log_end` when asked."""
        topic, position = self.place[0], self.decided + 1
        self.clock.assigned(now)
        self.clock.skipped(topic, position=position)
        self.clock.decided(topic, next_offset=position, timestamp=0)
        if log_end <= position:
            self.clock.nothing_unread(topic, at=asked_at)

    def read_on(self) -> None:
        """Frames are read anew, from behind what is decided."""
        self._following.read_on()

    def stop_reading(self) -> None:
        """What was read and is not in hand is dropped, and what comes behind it is not taken, until `read_on`."""
        self._following.stop()

    def follows(self, *, begin: int, end: int) -> bool:
        """True if a frame (positions before and after its poll) is to be taken. Raises `Hole`: it is to be read
        again."""
        return self._following.follows(self.place[0], begin=begin, end=end, decided=self.decided)

    def lost(self, records: int) -> None:
        """So many records were deleted before they were read: finals that they may have touched will say so."""
        self._voucher.lost(records)

    @property
    def untold(self) -> bool:
        """True while a mark has to stand in front of what is written next: it tells of records that were lost."""
        return self._voucher.untold

    def begin(self, records: Sequence[Record], *, end: int, stamped: bool, arrived_at: int) -> Group:
        """A group of the frame's records. `stamped`: its timestamps are the broker's (`LogAppendTime`); others are not
        believed beyond the arrival of the frame."""
        if records and records[0].offset <= self.decided:
            records = [record for record in records if record.offset > self.decided]
        group = Group(records, end=end, stamped=stamped)
        group.newest = newest_of(self.clock, self.place[0], records, stamped=stamped, arrived_at=arrived_at)
        group.word = word_before(self.clock.to_pass, records)
        if not stamped:
            group.floor = max(self.clock.topic_time(self.place[0]), group.newest)
            group.ceiling = max(group.floor, arrived_at)
        return group

    def decode(self, group: Group, records: Sequence[Record]) -> None:
        """Decode some of the group's records."""
        for record in records:
            heard_at = min(max(record.timestamp * 1_000_000, group.floor), group.ceiling)
            source = Coordinates(*self.place, record.offset, heard_at)
            try:
                found = self._decode(record.value, source)
            except Unusable as error:
                found = ()
                group.seen += 1
                self._reject(group, record, source, error)
            except BUG as error:
                found = ()
                group.seen += 1
                self._put_aside(source, error)
                said = Unusable(Reason.INTERNAL_ERROR, str(error))
                self._reject(group, record, source, said, exception=type(error).__name__)
            if found:
                self._take(group, record, source, found)

    def _take(self, group: Group, record: Record, source: Coordinates, found: Sequence[Part]) -> None:
        entries, stamped, most = group.entries, group.stamped, self._limits.evidence
        kinds: list[Kind] = []
        for number, one in enumerate(found):
            if isinstance(one, BadPart):
                self._reject(group, record, source, one.error, part=one)
                continue
            value = encode(one, stamped=stamped)
            if most is not None and len(value) > most:
                error = Unusable(Reason.TOO_LARGE, f"{len(value)} bytes as evidence; its topic takes {most}")
                alone = len(found) == 1 or one.body is None
                part = None if alone or one.body is None else BadPart(one.body.data, f"evidence {number}", error)
                self._reject(group, record, source, error, part=part)
                continue
            kinds.append(one.kind)
            entries.append(Entry(hexlify(one.key[:16]), value))
        group.seen += len(found)
        for kind, count in Counter(kinds).items():
            group.tally["evidence_total", self.place[0], kind.name] += count

    def _reject(
        self,
        group: Group,
        record: Record,
        source: Coordinates,
        error: Unusable,
        *,
        exception: str = "Unusable",
        part: BadPart | None = None,
    ) -> None:
        output = rejected_output(record, source, error, max_bytes=self._limits.rejected, exception=exception, part=part)
        group.rejected.append(output)
        group.tally["rejected_total", self.place[0], error.reason.value] += 1

    def written(self, group: Group) -> TooMany | None:
        """The group was answered for. The answer is not None if too much of the source is unusable."""
        self.clock.decided(self.place[0], next_offset=group.end, timestamp=group.newest, word=group.word)
        self.decided = max(self.decided, group.end - 1)
        return self._refusals.count(group.seen, len(group.rejected))

    def vouch(self, now: int) -> Vouched:
        """What a mark of now may say."""
        return self._voucher.vouch(now, paused=self.paused)

    def told(self, vouched: Vouched) -> None:
        """The mark stands in every partition of the evidence."""
        self._voucher.told(vouched)
