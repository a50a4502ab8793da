"""What a partition's changelog says: records from decisions on the way out, what they hold on the way back.

Knows no broker. `Changelog` has the order of the writes (what a timer decided is durable before it is sent), `Restored`
takes the records in as they stand in the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from finalizer.codecs.state import Block, FormatError, StateCodec, Unsent, check, is_hot, is_marked, is_whole
from finalizer.codecs.stored import Watermark
from finalizer.core.model import Phase, SpanKey
from finalizer.core.remembered import packed
from finalizer.core.state import State
from finalizer.decision import Decision

_PRESUMED: Final = Phase.PRESUMED
_AT_ONCE: Final = 2_000
"""States that are decoded between two breaths: some 10 ms."""

Change = tuple[bytes, bytes | None]
"""Key and value of a changelog record; no value: its tombstone."""


class Write(NamedTuple):
    """What becomes durable together: what is owed, a record batch of changes, the watermark last; with the outputs of
    the group if it `sends`."""

    sends: bool
    changes: list[Change]


class Kept(Protocol):
    """A record as it stands in the log."""

    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Restored:
    """What the changelog of one partition holds. Most of a log was written over since, so of each span only the values
    that stand last are decoded, once all is taken in."""

    def __init__(self) -> None:
        self.states: dict[SpanKey, State] = {}
        """Those that are decoded: all, after `decode`."""
        self.unsent: set[SpanKey] = set()
        """Spans whose presumed final was decided, and perhaps not sent."""
        self.sending: dict[bytes, list[SpanKey]] = {}
        """Key of a record that says so -> the spans in it."""
        self.blocks: dict[tuple[int, int], bytes] = {}
        """(memory window, number) -> packed fingerprints."""
        self.watermark: Watermark | None = None
        self.records = 0
        self._last: dict[SpanKey, bytes | tuple[bytes, bytes]] = {}
        """Span -> the whole value that stands last; with the hot one behind it, if there is one."""

    def apply_all(self, codec: StateCodec, records: Iterable[Kept]) -> None:
        """Take in what stands next in the log. Raises `FormatError`, with the offset."""
        for record in records:
            try:
                self.apply(codec, record.key, record.value)
            except FormatError as error:
                raise FormatError(f"at offset {record.offset} {error}") from error

    def apply(self, codec: StateCodec, key: bytes | None, value: bytes | None) -> None:
        """Take in one record, in the order of the log. Raises `FormatError`."""
        self.records += 1
        if key is not None and is_whole(key):
            self._take_whole(key[1:], value)
        elif key is not None and is_hot(key):
            self._take_hot(key[1:], value)
        else:
            entry = codec.read(key, value)
            if isinstance(entry, Block):
                if entry.data is None:
                    self.blocks.pop((entry.window, entry.number), None)
                else:
                    self.blocks[entry.window, entry.number] = entry.data
            elif isinstance(entry, Unsent):
                self._unsent(entry)
            elif isinstance(entry, Watermark):
                self.watermark = entry

    def decode(self, codec: StateCodec) -> Iterator[None]:
        """Decode the states, once all records are taken in; yields now and then, for whoever has other things to do.
        Raises `FormatError`."""
        last, states = self._last, self.states
        for number, key in enumerate([*last], 1):
            stands = last.pop(key)
            states[key] = codec.state(key, *stands) if isinstance(stands, tuple) else codec.state(key, stands)
            if number % _AT_ONCE == 0:
                yield

    def _take_whole(self, key: SpanKey, value: bytes | None) -> None:
        if value is None:
            self._last.pop(key, None)
        else:
            check(value)
            self._last[key] = value
            if is_marked(value):
                self.unsent.add(key)
                return
        if self.unsent:
            self.unsent.discard(key)

    def _take_hot(self, key: SpanKey, value: bytes | None) -> None:
        if value is None:
            return
        check(value)
        stands = self._last.get(key)
        if stands is not None:
            self._last[key] = stands[0] if isinstance(stands, tuple) else stands, value

    def _unsent(self, entry: Unsent) -> None:
        if entry.keys is None:
            self.unsent.difference_update(self.sending.pop(entry.name, ()))
            return
        self.sending[entry.name] = entry.keys
        # One whose state does not stand before this was rewritten, or forgotten, later: compaction has left only that.
        self.unsent.update([key for key in entry.keys if key in self._last])


def read_back(codec: StateCodec, changes: Iterable[Change]) -> Restored:
    """All that these records hold, decoded. Raises `FormatError`."""
    found = Restored()
    for key, value in changes:
        found.apply(codec, key, value)
    for _ in found.decode(codec):
        pass
    return found


class Changelog:
    """The writing side, from the last watermark on; a restore has found these blocks, and this `sending`."""

    def __init__(
        self,
        codec: StateCodec,
        watermark: Watermark,
        blocks: Iterable[tuple[int, int]] = (),
        sending: Iterable[bytes] = (),
    ) -> None:
        self.watermark = watermark
        """The last one that was written, or restored."""
        self._codec = codec
        self._blocks: dict[int, list[int]] = {}
        self._next_block = 0
        self._sending = [*sending]
        self._owed: bytes | None = None
        for window, number in blocks:
            self._blocks.setdefault(window, []).append(number)
            self._next_block = max(self._next_block, number + 1)

    @property
    def owes(self) -> bool:
        """The outputs of the last group, a timer's, are still to be sent."""
        return self._owed is not None

    def write(self, whole: Decision, *, of_timer: bool, sends: bool) -> Write:
        """The write that makes a group durable: all of evidence, or all of a timer, in one decision; `sends` if it has
        outputs. What a timer decided comes without its outputs, with a record that says so. They come with the next
        write, and its tombstone. Each is to be durable before the next one is asked for."""
        records = [*self._settled(), *self._records(whole)]
        if not (of_timer and sends):
            return Write(sends, [*records, self._mark()])
        word = self._codec.unsent(
            [key for key, (_, after) in whole.changes.items() if after is not None and after.phase is _PRESUMED]
        )
        self._owed = word[0]
        return Write(False, [*records, word, self._mark()])

    def settle(self) -> Write:
        """The write that sends what is owed, where no group follows."""
        return Write(False, [*self._settled(), self._mark()])

    def again(self, states: Iterable[tuple[SpanKey, State]]) -> list[Change]:
        """What says that the finals of these spans, decided before a crash, are sent now: written with these."""
        marks: list[Change] = [(name, None) for name in self._sending]
        # Some may be marked in their own states.
        marks += [record for key, state in states for record in self._codec.span(key, None, state)]
        return [*marks, self._mark()]

    def touch(self) -> list[Change]:
        """The watermark alone."""
        return [self._mark()]

    def _settled(self) -> list[Change]:
        owed, self._owed = self._owed, None
        return [] if owed is None else [(owed, None)]

    def _records(self, whole: Decision) -> list[Change]:
        """The group's records, coalesced: what was born and ended within it never appears."""
        span = self._codec.span
        records: list[Change] = []
        for key, (before, after) in whole.changes.items():
            records += span(key, before, after)
        records += self._memory(whole)
        return records

    def _memory(self, whole: Decision) -> list[Change]:
        """One block for the spans that the group finished, and tombstones for the windows that are over."""
        block, blocks = self._codec.block, self._blocks
        records = [
            block(window, number, None) for window in whole.forgotten_windows for number in blocks.pop(window, ())
        ]
        for window, entries in whole.finished.items():
            records.append(block(window, self._next_block, packed(entries)))
            blocks.setdefault(window, []).append(self._next_block)
            self._next_block += 1
        return records

    def _mark(self) -> Change:
        return self._codec.watermark(self.watermark)
