"""The decoders of what others send, by the word that an input's `format` has for it."""

from __future__ import annotations

from finalizer.codecs.otlp import MissingExtra
from finalizer.codecs.parts import DecodeBatch

FORMATS = ("partial_log", "otlp_spans", "zipkin")


def decoder_of(form: str) -> DecodeBatch:
    """The decoder of a format. Raises `MissingExtra` where it needs a package that is not installed, or `KeyError`."""
    try:
        from finalizer.codecs import otlp_spans, partial_log, zipkin  # noqa: PLC0415  # they need an optional dependency
    except ImportError as error:
        raise MissingExtra(f"{form} needs opentelemetry-proto: pip install 'span-finalizer[otlp]'") from error
    return {"partial_log": partial_log.decode, "otlp_spans": otlp_spans.decode, "zipkin": zipkin.decode}[form]
