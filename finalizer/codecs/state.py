"""The changelog: what of a partition's state survives the worker, as compacted records.

A span has two values. *Whole* (everything; written at birth and when anything but its beat changed) and *hot* (last
heard, last seen, sequence number: at most 40 bytes; written when it merely beat). A hot value is laid over the whole
one that stands before it in the log; one without is of a span that was rewritten later, and is passed over.

A heartbeat may carry the whole span, and say its body and its status again. Then their time in the order of records is
its time, and that is all that has changed: the hot value says so in two bits beside its topic.

What a timer decided is in the log before it is sent. So one record names the spans whose finals are still to be sent,
and its tombstone says that they are: no state is written twice for it.

Every value begins with the format version. A release reads the version before its own, too.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from finalizer.codecs.again import move, said_again
from finalizer.codecs.body import body_of
from finalizer.codecs.stored import Place, StoredClosed, StoredLayer, Watermark, decode_state
from finalizer.core.model import NOTHING_TOLD, Closed, Coordinates, Layer, Phase, SpanKey
from finalizer.core.state import Rest, State

VERSION: Final = 1
WATERMARK_KEY: Final = b"w"
_WHOLE: Final = b"s"
_HOT: Final = b"h"
_BLOCK: Final = b"f"
_UNSENT: Final = b"u"
_MARKED: Final = 1
"""Of a state that was marked as unsent in itself, before a record of its own said so."""
_HEAD: Final = bytes((VERSION, 0))
_HEAD_BYTES: Final = len(_HEAD)
_OPEN: Final = Phase.OPEN
_BEAT: Final = struct.Struct(">BBqqqqi")
_FAR_BEAT: Final = struct.Struct(">BBqqqqiH")
"""Heard in another partition: that of the source of re-keyed evidence."""
_BLOCK_KEY: Final = struct.Struct(">qq")
_SPAN_KEY_BYTES: Final = 24
_KEY_BYTES: Final = 1 + _SPAN_KEY_BYTES
_WHOLE_TAG: Final = _WHOLE[0]
_HOT_TAG: Final = _HOT[0]
_NAME_BYTES: Final = 16
_ENTRY_BYTES: Final = 16
_SEQ_LIMIT: Final = 2**31
_TOPIC_LIMIT: Final = 0x40
"""Topics that fit into a byte beside what was said again."""
_PARTITION_LIMIT: Final = 2**16

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = decode_state
_fields_of: Final[Callable[[StoredClosed], tuple[Any, ...]]] = msgspec.structs.astuple


class FormatError(ValueError):
    """A changelog record that this release cannot read: a newer format, or not ours."""


class Whole(NamedTuple):
    """A changelog record of a whole state; `unsent`: it is marked itself as what `Unsent` names."""

    key: SpanKey
    state: State
    unsent: bool


class Beat(NamedTuple):
    """A changelog record of a hot value."""

    key: SpanKey
    last_seen: int
    heard: int
    last: Coordinates
    seq: int
    again: int = 0


class Gone(NamedTuple):
    """The tombstone of a span."""

    key: SpanKey


class Block(NamedTuple):
    """Packed fingerprints of spans that finished; `data` None: the memory window is over."""

    window: int
    number: int
    data: bytes | None


class Unsent(NamedTuple):
    """Spans whose finals were decided together and may not be on the output topics yet; `keys` None: they are."""

    name: bytes
    """The record's key, with a hash of theirs: who else decided about other spans writes another record."""
    keys: list[SpanKey] | None


Entry = Watermark | Whole | Beat | Gone | Block | Unsent | None


class StateCodec:
    """Writes and reads changelog records of one partition. `topics` are all at which evidence may have been heard."""

    def __init__(self, topics: Sequence[str], partition: int) -> None:
        self._topics = tuple(sorted(topics))
        self._index = {topic: number for number, topic in enumerate(self._topics)}
        self._partition = partition
        self._names: dict[str, str] = {}

    def span(self, key: SpanKey, before: State | None, after: State | None) -> list[tuple[bytes, bytes | None]]:
        """The records that take the changelog from `before` (None: not in it) to `after` (None: gone)."""
        if after is None:
            if before is None:
                return []
            gone: list[tuple[bytes, bytes | None]] = [(_WHOLE + key, None)]
            if before.beats:
                gone.append((_HOT + key, None))
            return gone
        if before is not None and after.phase is _OPEN and _only_beat(before, after):
            again = said_again(before, after)
            beat = None if again is None else self._beat(after, again)
            if beat is not None:
                return [(_HOT + key, beat)]
        return [(_WHOLE + key, _HEAD + _encode(_stored(after)))]

    def unsent(self, keys: Sequence[SpanKey]) -> tuple[bytes, bytes]:
        """The record that says that the finals of these spans are yet to be sent."""
        named = b"".join(keys)
        return _unsent_name(named), _HEAD + named

    def watermark(self, watermark: Watermark) -> tuple[bytes, bytes]:
        return WATERMARK_KEY, _HEAD + _encode(watermark)

    def block(self, window: int, number: int, data: bytes | None) -> tuple[bytes, bytes | None]:
        key = _BLOCK + _BLOCK_KEY.pack(window, number)
        return key, None if data is None else _HEAD + data

    def read(self, key: bytes | None, value: bytes | None) -> Entry:
        """One record of the changelog; None for one that says nothing. Raises `FormatError`."""
        if not key:
            raise FormatError("a record without a key")
        tag, rest = key[:1], key[1:]
        if value is not None:
            check(value)
        try:
            if is_whole(key):
                return Gone(rest) if value is None else Whole(rest, self._whole(rest, value), is_marked(value))
            if is_hot(key):
                return None if value is None else self._hot(rest, value)
            if tag == _BLOCK:
                return _block(rest, value)
            if tag == _UNSENT and len(rest) == _NAME_BYTES:
                return _unsent(key, value)
            if key == WATERMARK_KEY:
                return None if value is None else msgspec.msgpack.decode(value[2:], type=Watermark)
        except (struct.error, ValueError, IndexError, RecursionError) as error:
            raise FormatError(f"a record that cannot be read: {error}") from error
        raise FormatError(f"an unknown kind of record, with the key {key[:40]!r}")

    def state(self, key: SpanKey, whole: bytes, hot: bytes | None = None) -> State:
        """A state from the values of it that stand last. Raises `FormatError`."""
        try:
            state = self._whole(key, whole)
            if hot is not None:
                lay_over(state, self._hot(key, hot))
        except (struct.error, ValueError, IndexError, RecursionError) as error:
            raise FormatError(f"a record of the span {key.hex()} that cannot be read: {error}") from error
        return state

    def _beat(self, state: State, again: int) -> bytes | None:
        partition = state.last_partition
        index = self._index.get(state.last_topic)
        if index is None or index >= _TOPIC_LIMIT or state.seq >= _SEQ_LIMIT or partition >= _PARTITION_LIMIT:
            return None
        hot = VERSION, index | again, state.last_seen, state.heard, state.last_offset, state.last_heard_at, state.seq
        return _BEAT.pack(*hot) if partition == self._partition else _FAR_BEAT.pack(*hot, partition)

    def _hot(self, key: SpanKey, value: bytes) -> Beat:
        partition = self._partition
        if len(value) == _BEAT.size:
            _, index, last_seen, heard, offset, heard_at, seq = _BEAT.unpack(value)
        else:
            _, index, last_seen, heard, offset, heard_at, seq, partition = _FAR_BEAT.unpack(value)
        again, index = index & ~(_TOPIC_LIMIT - 1), index & _TOPIC_LIMIT - 1
        last = Coordinates(self._topics[index], partition, offset, heard_at)
        return Beat(key, last_seen, heard, last, seq, again)

    def _whole(self, key: SpanKey, value: bytes) -> State:
        stored = _decode(memoryview(value)[2:])
        names, state = self._names, State()
        state.key = key
        state.phase = _PHASES[stored[0]]
        state.rule = names.setdefault(stored[1], stored[1])
        state.policy = names.setdefault(stored[2], stored[2])
        if stored[3] is not None:
            state.began = stored[3]
        state.last_seen, state.seq = stored[4], stored[5]
        first, last, start, layers, told = stored[6], stored[7], stored[8], stored[14], stored[15]
        end, closed, late = stored[16], stored[17], stored[18]
        topic, state.first_partition, state.first_offset, state.first_heard_at = first
        state.first_topic = names.setdefault(topic, topic)
        topic, state.last_partition, state.last_offset, state.last_heard_at = last or first
        state.last_topic = names.setdefault(topic, topic)
        state.opened, state.heard, state.beats = stored[9], stored[10], stored[11]
        state.interval, state.timeout = stored[12], stored[13]
        if layers:
            state.body_at, state.body_seq, number, data = layers[-1]
            state.body = body_of(number, data)
        if start:
            state.started = True
        elsewhere = self._coordinates(start) if isinstance(start, tuple) else None
        if end or closed or late or elsewhere or len(layers) > 1:
            state.rest = Rest(
                NOTHING_TOLD,
                end,
                None if closed is None else self._closed(closed),
                _layers(layers[:-1]),
                _layers(late),
                elsewhere,
            )
        if told is not None:
            state.told = told
        return state

    def _closed(self, stored: StoredClosed) -> Closed:
        told = _fields_of(stored)
        cause, end_at, status, reason, revision, detected, seen, seq, progress, deadline, last, *doubts = told
        where = self._coordinates(last)
        return Closed(cause, end_at, status, reason, revision, detected, seen, seq, progress, deadline, where, *doubts)

    def _coordinates(self, place: Place) -> Coordinates:
        topic, partition, offset, heard_at = place
        return Coordinates(self._names.setdefault(topic, topic), partition, offset, heard_at)


_PHASES: Final = tuple(Phase)


def is_whole(key: bytes) -> bool:
    """True for the key of a whole state: its span's is behind the first byte."""
    return len(key) == _KEY_BYTES and key[0] == _WHOLE_TAG


def is_hot(key: bytes) -> bool:
    """True for the key of a hot value: its span's is behind the first byte."""
    return len(key) == _KEY_BYTES and key[0] == _HOT_TAG


def is_marked(value: bytes) -> bool:
    """True for a whole state that is marked in itself as unsent."""
    return bool(value[1] & _MARKED)


def check(value: bytes) -> None:
    """Raise `FormatError` for a value of another version than this release reads, or cut off before it says more."""
    if not value or value[0] != VERSION:
        found = value[0] if value else "nothing"
        raise FormatError(f"format {found}, this release reads {VERSION}")
    if len(value) < _HEAD_BYTES:
        raise FormatError("a record that cannot be read: its version alone")


def _block(key: bytes, value: bytes | None) -> Block:
    window, number = _BLOCK_KEY.unpack(key)
    if value is None:
        return Block(window, number, None)
    if len(value) % _ENTRY_BYTES != _HEAD_BYTES:
        raise ValueError(f"a block of {len(value)} bytes, which is no whole number of entries")
    return Block(window, number, value[_HEAD_BYTES:])


def _unsent(name: bytes, value: bytes | None) -> Unsent:
    if value is None:
        return Unsent(name, None)
    named = value[_HEAD_BYTES:]
    if len(named) % _SPAN_KEY_BYTES or name != _unsent_name(named):
        raise ValueError(f"unsent spans in {len(value)} bytes, under another name than theirs")
    places = range(0, len(named), _SPAN_KEY_BYTES)
    return Unsent(name, [named[place : place + _SPAN_KEY_BYTES] for place in places])


def _unsent_name(named: bytes) -> bytes:
    return _UNSENT + blake2b(named, digest_size=_NAME_BYTES).digest()


def lay_over(state: State, beat: Beat) -> None:
    """Lay a later beat over a state that nobody else has yet."""
    state.last_seen, state.heard, state.seq, state.beats = beat.last_seen, beat.heard, beat.seq, True
    state.last = beat.last
    move(state, beat.again, beat.last_seen)


def _only_beat(before: State, after: State) -> bool:
    return (
        after.beats
        and before.began == after.began
        and before.started == after.started
        and before.opened == after.opened
        and before.interval == after.interval
        and before.timeout == after.timeout
        and (before.rest is after.rest or _same_rest(before.rest, after.rest))
        and before.rule == after.rule
        and before.policy == after.policy
        and before.phase is after.phase
    )


def _same_rest(before: Rest, after: Rest) -> bool:
    """True if nothing was said beside but again."""
    return before.start is after.start and before.end is after.end and before.closed is after.closed


def _stored(state: State) -> tuple[Any, ...]:
    rest = state.rest
    plain = rest.told is NOTHING_TOLD and not state.progresses
    return (
        state.phase,
        state.rule,
        state.policy,
        state.start_at,
        state.last_seen,
        state.seq,
        (state.first_topic, state.first_partition, state.first_offset, state.first_heard_at),
        None if state.heard_once else (state.last_topic, state.last_partition, state.last_offset, state.last_heard_at),
        False if not state.started else True if rest.start is None else _place(rest.start),
        state.opened,
        state.heard,
        state.beats,
        state.interval,
        state.timeout,
        _stored_layers(state),
        None if plain else state.told,
        rest.end,
        None if rest.closed is None else _stored_closed(rest.closed),
        [_stored_layer(layer) for layer in rest.late_layers],
    )


def _place(source: Coordinates) -> Place:
    return source.topic, source.partition, source.offset, source.heard_at


def _stored_closed(closed: Closed) -> StoredClosed:
    return StoredClosed(
        closed.cause,
        closed.end_at,
        closed.status,
        closed.reason,
        closed.revision,
        closed.detected_at,
        closed.last_seen,
        closed.seq,
        closed.progress,
        closed.deadline_at,
        _place(closed.last),
        closed.history_unknown,
        closed.outage_suspected,
        closed.evidence_gap,
    )


def _stored_layers(state: State) -> list[StoredLayer]:
    body = state.body
    if body is None:
        return []
    below = [_stored_layer(layer) for layer in state.rest.below] if state.rest.below else []
    below.append((state.body_at, state.body_seq, body.format, body.data))
    return below


def _stored_layer(layer: Layer) -> StoredLayer:
    return layer.at, layer.seq, layer.body.format, layer.body.data


def _layers(stored: list[StoredLayer]) -> tuple[Layer, ...]:
    return tuple(Layer(at, seq, body_of(number, data)) for at, seq, number, data in stored)
