"""Bad parts of a record, whatever its format."""

from __future__ import annotations

import gc

import pytest

from finalizer.codecs.errors import Unusable
from finalizer.codecs.foreign import FORMATS, decoder_of
from finalizer.codecs.parts import BadPart
from tests.codecs.otlp_making import SOURCE, logs, proto_log, span, strict_json, traces

BAD = {
    "partial_log": strict_json(logs(*[proto_log(traces(span(trace_id=bytes(16))))] * 9)),
    "otlp_spans": strict_json(traces(*[span(trace_id=bytes(16))] * 9)),
    "zipkin": b"[" + b",".join([b'{"traceId":"0","id":"0","timestamp":1}'] * 9) + b"]",
}


def refused(form: str) -> int:
    """How many parts are bad of such a record."""
    found = decoder_of(form)(BAD[form], SOURCE)
    return sum(isinstance(part, BadPart) for part in found)


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_refused_is_let_go(form: str) -> None:
    """It leaves nothing behind: who sends millions of bad spans must not fill the worker's memory."""
    assert refused(form) == 9
    gc.collect()
    before = sum(isinstance(one, Unusable) for one in gc.get_objects())
    for _ in range(20):
        refused(form)
    gc.collect()
    assert sum(isinstance(one, Unusable) for one in gc.get_objects()) <= before
