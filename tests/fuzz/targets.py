"""What is fuzzed: each target takes any bytes, and raises nothing.

A target calls what reads such bytes, lets it refuse them in the one way in which it may, and uses what it did not
refuse as far as the worker would. True: the bytes were used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import click

from finalizer.cli.show import as_json, final_line, letter_line, rejected_line
from finalizer.codecs.description import describe
from finalizer.codecs.errors import MAX_DETAIL, Unusable
from finalizer.codecs.evidence import EvidenceDecoder, NewerFormat, decode_mark, encode, is_mark
from finalizer.codecs.foreign import decoder_of
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.parts import BadPart
from finalizer.codecs.state import FormatError, StateCodec, Whole
from finalizer.core.model import Coordinates, Evidence, Kind, Layer
from finalizer.policy.load import PolicyError, load
from finalizer.shell import control
from tests.fuzz.road import travelled

Target = Callable[[bytes], bool]
SOURCE = Coordinates("inputs", 3, 1041, 1_747_648_800_120_000_000)
PLACES = {("inputs", 3): SOURCE.heard_at}
SPAN_KEY = bytes(range(1, 25))
TAGS = (b"s" + SPAN_KEY, b"h" + SPAN_KEY, b"f" + bytes(16), b"w", b"u" + bytes(16))
"""Keys of the kinds of record that a changelog has."""
CONTENT = (b"application/json", b"application/x-protobuf")


class Seen(NamedTuple):
    """A record of an output topic, as a consumer hands it out."""

    value: bytes
    headers: Sequence[tuple[str, bytes]]
    key: bytes | None = None
    topic: str = "spans.finalized"
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_747_648_800_120


_plain, _ends = NativeDecoder(), NativeDecoder(kind=Kind.END)
_rekeyed = EvidenceDecoder(PLACES)


def native(data: bytes) -> bool:
    """A native event, on a topic of all kinds and on one of ends alone."""
    return _used(_plain.decode, data) | _used(_ends.decode, data)


def evidence(data: bytes) -> bool:
    """What lies on the topic of re-keyed evidence: evidence, marks, and what a newer release or a stranger wrote."""
    try:
        if is_mark(data):
            return bool(decode_mark(data))
        _again(_rekeyed.decode(data))
    except NewerFormat:
        return False
    except Unusable as error:
        return _said(error)
    return True


def changelog(data: bytes) -> bool:
    """A changelog record: the first byte chooses a kind of key, or says how long a key of its own is."""
    if not data:
        return False
    choice, rest = data[0], data[1:]
    key, value = (
        (TAGS[choice], rest) if choice < len(TAGS) else (rest[: choice - len(TAGS)], rest[choice - len(TAGS) :])
    )
    codec = StateCodec(["inputs", "others"], 3)
    try:
        entry = codec.read(key, value)
        if isinstance(entry, Whole):
            codec.span(entry.key, None, entry.state)
    except FormatError:
        return False
    return entry is not None


def controls(data: bytes) -> bool:
    """A record of the control topic."""
    try:
        control.read(data)
    except ValueError:
        return False
    return True


def policy(data: bytes) -> bool:
    """The text of a finalizer.yaml."""
    try:
        load(data.decode(errors="replace"))
    except PolicyError:
        return False
    return True


def outputs(data: bytes) -> bool:
    """What stands on an output topic, for a person who looks at it: final, dead letter, rejected record."""
    for content in CONTENT:
        record = Seen(data, [("content-type", content), ("dlq.reason", data[:20])])
        for line in (as_json, final_line, letter_line, rejected_line):
            assert click.unstyle(line(record)).isprintable()
    return True


def _batch(form: str) -> Target:
    decode = decoder_of(form)

    def target(data: bytes) -> bool:
        try:
            parts = decode(data, SOURCE)
        except Unusable as error:
            return _said(error)
        good = [part for part in parts if not isinstance(part, BadPart)]
        for part in parts:
            if isinstance(part, BadPart):
                _said(part.error)
        _use(good)
        return bool(good)

    return target


def _used(decode: Callable[[bytes, Coordinates], Evidence], data: bytes) -> bool:
    try:
        found = decode(data, SOURCE)
    except Unusable as error:
        return _said(error)
    _use([found])
    return True


def _use(found: Iterable[Evidence]) -> None:
    """What is done with evidence later: it is described, and it goes over the topic of re-keyed evidence."""
    for one in found:
        if one.body is not None:
            describe((Layer(one.at, one.seq, one.body),))
        _again(one)


def _again(one: Evidence) -> None:
    assert _rekeyed.decode(encode(one, stamped=True)).key == one.key


def _said(error: Unusable) -> bool:
    """A refusal fits into a header and a line of the log."""
    assert error.detail.isprintable()
    assert len(error.detail) <= MAX_DETAIL
    return False


class Named(NamedTuple):
    """A target, and its share (per cent) of all inputs: of those that take long fewer are made."""

    name: str
    run: Target
    share: int


TARGETS = (
    Named("native", native, 25),
    Named("partial_log", _batch("partial_log"), 10),
    Named("otlp_spans", _batch("otlp_spans"), 10),
    Named("zipkin", _batch("zipkin"), 15),
    Named("evidence", evidence, 12),
    Named("changelog", changelog, 14),
    Named("control", controls, 10),
    Named("policy", policy, 1),
    Named("outputs", outputs, 2),
    Named("road", travelled, 1),
)
