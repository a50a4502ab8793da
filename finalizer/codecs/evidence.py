"""Re-keyed evidence and marks as bytes: what lies on the topic `<app-id>-evidence` (RATIONALE: re-keying).

A record is its format version, what it is, and MessagePack. Evidence keeps the coordinates of its source and the time
it was heard there; its key is the trace id in lower hexadecimal, as everywhere. A mark has no key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from finalizer.codecs.body import body_of
from finalizer.codecs.errors import Reason, Unusable
from finalizer.codecs.instance import named_in
from finalizer.codecs.subject import subject_of
from finalizer.core.model import Coordinates, End, Evidence, Kind, Lifecycle, Status
from finalizer.core.sources import Place, Vouched

VERSION: Final = 1
_NEWER: Final = range(VERSION + 1, 10)
"""Versions to come. What begins otherwise is no release's."""
_EVIDENCE, _MARK = bytes((VERSION, 0)), bytes((VERSION, 1))
_encode = msgspec.msgpack.Encoder().encode
_Stored = tuple[
    Annotated[bytes, msgspec.Meta(min_length=24, max_length=24)],
    Kind,
    int,  # at
    str,  # source: topic,
    int,  # partition,
    int,  # offset,
    int,  # heard_at;
    bool,  # the broker's stamp, not a producer's
    int,  # seq
    int | None,  # start_at
    int | None,  # body: format,
    bytes,  # data
    End | None,
    Status | None,
    float | None,  # progress
    int,  # interval
    int,  # timeout
    int,  # session_expires_at
    Lifecycle | None,
]
_decode = msgspec.msgpack.Decoder(type=_Stored).decode
_decode_mark = msgspec.msgpack.Decoder(type=list[Vouched]).decode


class NewerFormat(Exception):
    """A record that a newer release wrote. It is not bad data: nobody else may use or lose it either."""


def encode(evidence: Evidence, *, stamped: bool) -> bytes:
    """The value of an evidence record. `stamped`: the broker of the source gave its time (`LogAppendTime`)."""
    source, body = evidence.source, evidence.body
    stored: tuple[Any, ...] = (
        evidence.key,
        evidence.kind,
        evidence.at,
        source.topic,
        source.partition,
        source.offset,
        source.heard_at,
        stamped,
        evidence.seq,
        evidence.start_at,
        None if body is None else body.format,
        b"" if body is None else body.data,
        evidence.end,
        evidence.status,
        evidence.progress,
        evidence.interval,
        evidence.timeout,
        evidence.session_expires_at,
        evidence.lifecycle,
    )
    return _EVIDENCE + _encode(stored)


class EvidenceDecoder:
    """Decodes evidence for one partition.

    `heard` tells of each source how far it was heard. What a producer stamped as older (`CreateTime`) came after that
    all the same, so that a slow producer does not look silent.
    """

    def __init__(self, heard: Mapping[Place, int]) -> None:
        self._heard = heard
        self._names: dict[str, str] = {}

    def decode(self, value: bytes | None, _: object = None) -> Evidence:
        """The evidence in one record, with the coordinates of its source. Raises `Unusable`."""
        if value is None or value[:2] != _EVIDENCE:
            raise Unusable(Reason.MALFORMED, "not re-keyed evidence; who else writes to this topic?")
        try:
            (
                key, kind, at, topic, partition, offset, heard_at, stamped, seq, start_at, number, data, end, status,
                progress, interval, timeout, expires, lifecycle,
            ) = _decode(memoryview(value)[2:])  # fmt: skip
            body = None if number is None else body_of(number, data)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Unusable(Reason.MALFORMED, f"not re-keyed evidence: {error}") from error
        topic = self._names.setdefault(topic, topic)  # the state keeps it, once
        if not stamped:
            heard_at = max(heard_at, self._heard.get((topic, partition), 0))
        return Evidence(
            kind,
            key,
            at,
            Coordinates(topic, partition, offset, heard_at),
            seq,
            start_at,
            body,
            subject_of(body),
            end,
            status,
            progress,
            interval,
            timeout,
            expires,
            lifecycle,
            named_in(body),
        )


def encode_mark(vouched: Sequence[Vouched]) -> bytes:
    """The value of a mark."""
    return _MARK + _encode(vouched)


def is_mark(value: bytes | None) -> bool:
    """True for a mark; False for evidence, and for what is neither. Raises `NewerFormat`."""
    if value and value[0] in _NEWER:
        raise NewerFormat(f"format {value[0]}, this release reads {VERSION}")
    return value is not None and value[:2] == _MARK


def decode_mark(value: bytes) -> list[Vouched]:
    """What a mark says. Raises `Unusable`."""
    try:
        return _decode_mark(memoryview(value)[2:])
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Unusable(Reason.MALFORMED, f"not a mark: {error}") from error
