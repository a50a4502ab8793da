"""The changelog: whatever a partition's state is, it comes back from its records, and nothing else does."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finalizer.changelog import read_back
from finalizer.codecs.body import NativeBody
from finalizer.codecs.state import (
    VERSION,
    WATERMARK_KEY,
    Block,
    Entry,
    FormatError,
    Gone,
    StateCodec,
    Whole,
)
from finalizer.codecs.stored import Watermark
from finalizer.core.causes import FACTS, Cause, StatusCode
from finalizer.core.fold import fold
from finalizer.core.lifecycle import hear
from finalizer.core.model import (
    NOTHING_TOLD,
    Closed,
    Coordinates,
    End,
    Evidence,
    Layer,
    Moment,
    Phase,
    SpanKey,
    Status,
    Told,
)
from finalizer.core.remembered import entry, packed, unpack
from finalizer.core.state import State
from finalizer.core.terms import Terms
from tests.core.making import EPOCH, KEY, at, heartbeat, start, words

TOPICS = ["spans.events", "spans.ends"]
CODEC = StateCodec(TOPICS, 0)
TERMS = Terms(rule="uploads", policy="0123456789ab")
NOW = Moment(EPOCH, EPOCH - 10)
CHECK = settings(max_examples=300, deadline=None)
Records = list[tuple[bytes, bytes | None]]

int64 = st.integers(-(2**63), 2**63 - 1)
moments = st.integers(0, 2**63 - 1)
coordinates = st.builds(Coordinates, st.sampled_from([*TOPICS, "gone"]), st.integers(0, 2**31 - 1), moments, moments)
statuses = st.builds(Status, st.sampled_from(StatusCode), st.text(max_size=9))
ends = st.builds(
    End, st.sampled_from([one for one in Cause if FACTS[one].reported]), moments, st.none() | statuses, st.text()
)
closes = st.builds(
    Closed,
    st.none() | st.sampled_from(Cause),
    moments,
    statuses,
    st.text(max_size=9),
    st.integers(0, 2**31),
    moments,
    moments,
    st.integers(-1, 2**63 - 1),
    st.none() | st.floats(0, 1),
    moments,
    coordinates,
    st.booleans(),
)
tellings = st.just(NOTHING_TOLD) | st.builds(
    Told,
    st.none() | st.tuples(moments, int64, st.integers(0, 2), st.text(max_size=9)),
    st.none() | st.tuples(moments, int64, st.floats(0, 1)),
    st.floats(-1, 1),
    moments,
    st.none() | st.tuples(moments, int64, st.integers(0, 2)),
    int64,
    moments,
)
layers = st.lists(st.builds(Layer, moments, int64, st.builds(NativeBody, st.binary(max_size=40))), max_size=3).map(
    tuple
)


@st.composite
def states(draw: st.DrawFn, phase: Phase | None = None) -> State:
    """Any state of any phase that is stored, with all its parts or without."""
    first = draw(coordinates)
    return State().but(
        phase=draw(st.sampled_from([Phase.OPEN, Phase.PRESUMED, Phase.FINISHED])) if phase is None else phase,
        rule=draw(st.sampled_from(["default", "uploads", "ü"])),
        policy=draw(st.sampled_from(["", "0123456789ab"])),
        start_at=draw(st.none() | moments),
        last_seen=draw(moments),
        seq=draw(st.integers(-1, 2**63 - 1)),
        first=first,
        last=draw(st.just(first) | coordinates),
        start=draw(st.none() | st.just(first) | coordinates),
        opened=draw(int64),
        heard=draw(int64),
        beats=draw(st.booleans()),
        interval=draw(st.integers(0, 2**62)),
        timeout=draw(st.integers(0, 2**62)),
        layers=draw(layers),
        told=draw(tellings),
        end=draw(st.none() | ends),
        closed=draw(st.none() | closes),
        late_layers=draw(layers),
        wake_at=0,
    )


@st.composite
def beats(draw: st.DrawFn) -> Evidence:
    """Heartbeats, most of which say nothing but that they are; heard in no order, as from two topics."""
    plain = draw(st.integers(0, 4)) > 0
    topic, partition = draw(st.sampled_from([*TOPICS, "gone"])), draw(st.sampled_from([0, 0, 1]))
    beat = heartbeat(
        draw(st.integers(-5, 60)),
        seq=draw(st.integers(-1, 99) | st.just(2**31)),
        interval=draw(st.sampled_from([0, 0, 0, 0, 5, 9])),
        progress=None if plain else draw(st.floats(0, 1)),
    )
    heard_at = at(draw(st.sampled_from([-1, 0, 0.5, 30])))
    return beat.but(source=Coordinates(topic, partition, 7, heard_at))


def read(records: Records) -> Entry:
    """What a single record says."""
    ((key, value),) = records
    return CODEC.read(key, value)


def opened(*told: Evidence) -> State:
    """The state of an open span that told this."""
    state: State | None = None
    for one in told:
        state, _ = hear(state, one, TERMS, NOW)
    assert state is not None
    return state.but(wake_at=0)


def beaten(state: State, beat: Evidence) -> State:
    """The state after one more heartbeat."""
    return fold(state, beat, TERMS, NOW)


@CHECK
@given(states(), st.binary(min_size=24, max_size=24))
def test_a_whole_state_comes_back_as_it_was(state: State, key: SpanKey) -> None:
    """Every field, layer, telling and close."""
    assert read(CODEC.span(key, None, state)) == Whole(key, state, unsent=False)


def test_what_many_spans_share_is_in_memory_once() -> None:
    """The names of rule and policy of a million restored spans; the one place at which a span was heard only once."""
    one, other = (read(CODEC.span(bytes([n]) * 24, None, opened(start(n)))) for n in (1, 2))
    assert isinstance(one, Whole)
    assert isinstance(other, Whole)
    assert one.state.rule is other.state.rule
    assert one.state.policy is other.state.policy
    assert one.state.first_topic is one.state.last_topic is other.state.first_topic


@CHECK
@given(states(Phase.OPEN), st.lists(beats(), max_size=8))
def test_hot_values_are_laid_over_the_whole_one(state: State, told: list[Evidence]) -> None:
    """Whatever a span is, and whatever its heartbeats say, the state is that of memory; compacted, too."""
    here = Coordinates(TOPICS[0], 0, 1, EPOCH)
    state = state.but(first=here, last=here, rule=TERMS.rule, policy=TERMS.policy)
    log = CODEC.span(KEY, None, state)
    for beat in told:
        before, state = state, beaten(state, beat)
        log += CODEC.span(KEY, before, state)
    for records in (log, compacted(log)):
        assert restored(records) == state.but(wake_at=0)


@CHECK
@given(beats())
def test_a_heartbeat_does_not_rewrite_its_span(beat: Evidence) -> None:
    """One that only beats costs at most 40 bytes under a key of its own, however large its span is."""
    state = opened(start(0, interval=5), heartbeat(0))
    after = beaten(state, beat)
    ((key, value),) = CODEC.span(KEY, state, after)
    assert value is not None
    ours = after.last.topic in TOPICS and after.last.partition < 2**16
    hot = ours and after.told is state.told and after.interval == state.interval and after.seq < 2**31
    assert key == (b"h" if hot else b"s") + KEY
    assert len(value) <= 40 or not hot


@pytest.mark.parametrize("state", [opened(start(0)), opened(heartbeat(0)), opened(start(0), heartbeat(1))])
def test_a_close_is_written_whole(state: State) -> None:
    """A close changes more than a beat does, though nothing else was heard."""
    closed = state.but(phase=Phase.PRESUMED)
    assert read(CODEC.span(KEY, state, closed)) == Whole(KEY, closed, unsent=False)


@CHECK
@given(st.lists(beats(), max_size=6), st.booleans())
def test_of_a_span_that_is_gone_nothing_is_left(told: list[Evidence], started: bool) -> None:
    """Tombstones for both values where a hot one was written, so that compaction leaves no record of it."""
    first = start(0) if started else heartbeat(0)
    state = opened(first)
    log = CODEC.span(KEY, None, state)
    for beat in told:
        before, state = state, beaten(state, beat)
        log += CODEC.span(KEY, before, state)
    log += CODEC.span(KEY, state, None)
    assert compacted(log) == []
    assert restored(log) is None


def test_a_span_that_never_beat_has_one_tombstone() -> None:
    """And one that came and went within a group of the writer has no record at all."""
    state = opened(start(0))
    assert CODEC.span(KEY, state, None) == [(b"s" + KEY, None)]
    assert read(CODEC.span(KEY, state, None)) == Gone(KEY)
    assert CODEC.span(KEY, None, None) == []


@CHECK
@given(
    st.dictionaries(st.sampled_from(TOPICS), st.integers(-1, 2**63 - 1)),
    st.sampled_from(["exactly_once", "effectively_once"]),
    st.integers(1, 10_000),
    st.tuples(moments, moments, moments),
    st.text(),
)
def test_the_watermark_comes_back(
    offsets: dict[str, int], delivery: str, partitions: int, times: tuple[int, int, int], policy: str
) -> None:
    """Offsets, clocks and what the state was made with; under one key, so that the last one stands."""
    clock, taken_off, horizon = times
    watermark = Watermark(
        offsets=offsets,
        delivery=delivery,
        partitions=partitions,
        clock=clock,
        taken_off=taken_off,
        horizon=horizon,
        policy=policy,
    )
    key, value = CODEC.watermark(watermark)
    assert key == WATERMARK_KEY
    assert CODEC.read(key, value) == watermark


@CHECK
@given(int64, st.integers(0, 2**63 - 1), st.lists(st.tuples(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))))
def test_a_block_of_fingerprints_comes_back(window: int, number: int, entries: list[tuple[int, int]]) -> None:
    """Its memory window, its number in it and its entries; and its tombstone."""
    key, value = CODEC.block(window, number, packed(entries))
    found = CODEC.read(key, value)
    assert isinstance(found, Block)
    assert (found.window, found.number, unpack(found.data or b"")) == (window, number, entries)
    assert CODEC.read(*CODEC.block(window, number, None)) == Block(window, number, None)


LAST = Coordinates("spans.ends", 0, 9, EPOCH)
FULL = opened(start(0, interval=5), heartbeat(1, seq=9, progress=0.5)).but(
    end=End(Cause.PARTIAL, 8, Status(StatusCode.OK, "fine"), "word"),
    closed=Closed(Cause.STALLED, 1, Status(StatusCode.ERROR), "no-progress", 2, 3, 4, 5, 0.25, 6, LAST),
    layers=(Layer(0, -1, NativeBody(b'{"name":"a"}')),),
    late_layers=(Layer(1, 9, NativeBody(b"{}")),),
)
EXAMPLES = {
    "whole": CODEC.span(KEY, None, FULL)[0],
    "hot": CODEC.span(KEY, state := opened(start(0), heartbeat(1)), beaten(state, heartbeat(2)))[0],
    "unsent": CODEC.unsent([KEY, KEY[::-1]]),
    "block": CODEC.block(7, 1, packed([entry(KEY, End(Cause.COMPLETED, EPOCH))])),
    "watermark": CODEC.watermark(
        Watermark(offsets={"a": 1}, delivery="d", partitions=1, clock=2, taken_off=3, horizon=4, policy="p")
    ),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_record_that_is_cut_off_is_refused(kind: str) -> None:
    """Key or value, at whatever byte. (A block that lost whole entries is a block: Kafka's own checksum is there.)"""
    key, value = EXAMPLES[kind]
    assert value is not None
    assert CODEC.read(key, value) is not None
    for length in range(len(key)):
        refused(key[:length], value)
        refused(key[:length], None)
    for length in range(len(value)):
        if kind != "block" or length != 2:
            refused(key, value[:length])
    refused(key + b"x", value)
    refused(key, value + b"x")


@CHECK
@given(st.sampled_from([*EXAMPLES, "none"]), st.binary(max_size=60), st.data())
def test_bytes_that_are_not_ours_are_refused(kind: str, noise: bytes, data: st.DataObject) -> None:
    """`FormatError`, and nothing else: the worker stops with one sentence, and no trace."""
    key, value = EXAMPLES.get(kind, (data.draw(st.binary(max_size=30)), b""))
    assert value is not None
    place = data.draw(st.integers(0, len(value)))
    for changed in (noise, bytes((VERSION, 0)) + noise, value[:place] + noise + value[place + len(noise) :]):
        try:
            CODEC.read(key, changed)
        except FormatError:
            continue


@pytest.mark.parametrize("kind", ["whole", "watermark"])
@pytest.mark.parametrize("deep", [b"\x91", b"\x81\xa1a"])
def test_bytes_that_nest_without_end_are_refused(kind: str, deep: bytes) -> None:
    """Deeper than the interpreter goes."""
    refused(EXAMPLES[kind][0], bytes((VERSION, 0)) + deep * 50_000)


@pytest.mark.parametrize("phase", [-1, 0, 4])
def test_a_phase_that_does_not_exist_is_refused(phase: int) -> None:
    """A number that means nothing here is not taken for one that does."""
    key, value = EXAMPLES["whole"]
    assert value is not None
    stored = msgspec.msgpack.decode(value[2:])
    assert stored[0] == Phase.OPEN
    refused(key, value[:2] + msgspec.msgpack.encode([phase, *stored[1:]]))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_newer_format_is_refused(kind: str) -> None:
    """And the sentence names both formats: whoever rolled back knows what to deploy."""
    key, value = EXAMPLES[kind]
    assert value is not None
    with pytest.raises(FormatError, match=f"format {VERSION + 1}, this release reads {VERSION}"):
        CODEC.read(key, bytes((VERSION + 1,)) + value[1:])
    with pytest.raises(FormatError, match="its version alone"):
        CODEC.read(key, bytes((VERSION,)))


def test_what_this_release_or_configuration_does_not_know_is_refused() -> None:
    """A body of a newer release; a heartbeat from an input that is none any more."""
    refused(*CODEC.span(KEY, None, opened(start(0, body=words("of the tests"))))[0])
    key, value = EXAMPLES["hot"]
    with pytest.raises(FormatError):
        StateCodec(TOPICS[1:], 0).read(key, value)


# What release 0.1.0 has written: these bytes must be read for as long as VERSION is 1.
GOLDEN = {
    "whole": (
        "0100dc001301a775706c6f616473ac303132333435363738396162cf1840e552fc234000cf1840e55337be0a000994ac7370616e732e"
        "6576656e74730000cf1840e552fc23400094ac7370616e732e6576656e747300ce3b9aca00cf1840e55337be0a00c3cf1840e552fc23"
        "3ff6cf1840e55337be09f6c3cf000000012a05f20000919400ff01c40c7b226e616d65223a2261227d97c093cf1840e55337be0a0009"
        "cb3fe0000000000000cb3fe0000000000000cf1840e55337be09f6c0000094a77061727469616c089201a466696e65a4776f72649ca7"
        "7374616c6c6564019202a0ab6e6f2d70726f677265737302030405cb3fd00000000000000694aa7370616e732e656e64730009cf1840"
        "e552fc234000c29194010901c4027b7d"
    ),
    "hot": "01011840e5537358d4001840e5537358d3f600000000773594001840e5537358d400ffffffff",
    "block": "010071a8183c5f8f2a0b00008df04b950361",
    "unsent": "01000102030405060708090a0b0c0d0e0f1011121314151617181817161514131211100f0e0d0c0b0a090807060504030201",
    "watermark": (
        "010087a76f66667365747381a16101a864656c6976657279a164aa706172746974696f6e7301a5636c6f636b02a974616b656e5f6f66"
        "6603a7686f72697a6f6e04a6706f6c696379a170"
    ),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_what_was_once_written_is_read(kind: str) -> None:
    """A change of the stored form needs a new format version, or every deployment loses its open spans."""
    key, value = EXAMPLES[kind]
    assert CODEC.read(key, bytes.fromhex(GOLDEN[kind])) == CODEC.read(key, value)


def refused(key: bytes, value: bytes | None) -> None:
    """It cannot be read."""
    with pytest.raises(FormatError):
        CODEC.read(key, value)


def compacted(log: Sequence[tuple[bytes, bytes | None]]) -> Records:
    """The last value of each key, without tombstones."""
    last = {key: number for number, (key, _) in enumerate(log)}
    return [(key, value) for number, (key, value) in enumerate(log) if last[key] == number and value is not None]


def restored(log: Records, codec: StateCodec = CODEC) -> State | None:
    """The state of the one span that these records are of."""
    found = read_back(codec, log)
    return next(iter(found.states.values()), None)
