"""Which decoder reads which input."""

from __future__ import annotations

from collections.abc import Sequence

from finalizer.codecs.foreign import decoder_of
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.otlp import MissingExtra
from finalizer.codecs.parts import DecodeBatch, Part
from finalizer.core.model import Coordinates
from finalizer.pipeline import Decode
from finalizer.policy.schema import Format, Input, Policy
from finalizer.shell.stop import Exit, Stop


def direct_decoders(policy: Policy) -> dict[str, Decode]:
    """By topic, for inputs that are read as they are: each record is one piece of evidence."""
    return {one.topic: NativeDecoder(kind=one.kind).decode for one in policy.inputs if not one.is_rekeyed}


def source_decoders(policy: Policy) -> dict[str, DecodeBatch]:
    """By topic, for inputs that are re-keyed. Raises `Stop` where a format needs what is not installed."""
    try:
        return {one.topic: _batch(one) for one in policy.inputs if one.is_rekeyed}
    except MissingExtra as error:
        raise Stop(Exit.CONFIGURATION, str(error)) from error


def _batch(one: Input) -> DecodeBatch:
    if one.format is not Format.NATIVE:
        return decoder_of(one.format.value)
    decode = NativeDecoder(kind=one.kind).decode

    def alone(value: bytes | None, source: Coordinates) -> Sequence[Part]:
        return (decode(value, source),)

    return alone
