"""Hostile records, one by one and all together: each is folded or rejected, memory is bounded, the worker lives."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import NamedTuple

import pytest

from finalizer.codecs.errors import Unusable
from finalizer.codecs.foreign import decoder_of
from finalizer.codecs.native import NativeDecoder
from finalizer.codecs.parts import BadPart, Part
from finalizer.core.model import Coordinates
from tests.codecs.spans import KEY, SPAN, T0, TRACE, start
from tests.fuzz.hostile import FORMATS, LATER, MEGABYTE, Given, many
from tests.fuzz.road import Journey

SOURCE = Coordinates("inputs", 3, 1041, LATER)
ALL, NONE = frozenset(FORMATS), frozenset[str]()
NO_ZIPKIN = ALL - {"zipkin"}
MOST_MIB = 800
"""Of addresses, some 200 of them libraries'; a parsed record is larger than its 20 MB, and a few copies are made."""
LARGE = 30
"""Spans that are open at once, if they may, of 20 MB each."""
MILLION = 1_000_000


class Case(NamedTuple):
    """A record, and the formats in which it is used."""

    given: Given
    used: frozenset[str] = NONE


CASES = {
    "nothing wrong": Case(Given(), ALL),
    "deep list": Case(Given(b"[" * 200_000 + b"]" * 200_000)),
    "deep object": Case(Given(b'{"x":' * 100_000 + b"1" + b"}" * 100_000)),
    "huge integer": Case(Given(b"9" * 6000)),
    "an attribute twice": Case(Given(b'"x","a":"y"'), ALL),
    "a field twice": Case(Given(trace=TRACE.encode() + b'","name":"x","name":"upload'), ALL),
    "invalid UTF-8": Case(Given(b'"\xff\xfe"')),
    "lone surrogate": Case(Given(b'"\\ud800"')),
    "lone surrogate as bytes": Case(Given(b'"\xed\xa0\x80"')),
    "NaN": Case(Given(b"NaN")),
    "infinity": Case(Given(b"-Infinity")),
    "20 MB": Case(Given(b'"%b"' % (b"x" * 20 * MEGABYTE)), ALL),
    "trace id of zeros": Case(Given(trace=b"0" * 32)),
    "span id of zeros": Case(Given(span=b"0" * 16)),
    "ids in upper case": Case(Given(trace=TRACE.upper().encode(), span=SPAN.upper().encode()), ALL),
    "ids in mixed case": Case(Given(trace=TRACE.title().encode(), span=SPAN.title().encode()), ALL),
    "start at 0": Case(Given(start_at=0), NO_ZIPKIN),  # no time at all: its start is not known
    "end at 0": Case(Given(end_at=0), frozenset({"otlp_spans", "partial_log"})),  # it has not ended
    "end at the last moment": Case(Given(end_at=2**63 - 1), ALL),
    "all at the last moment": Case(Given(start_at=2**63 - 1, end_at=2**63 - 1), NO_ZIPKIN),
    "end before start": Case(Given(end_at=T0 - 5_000_000_000), NO_ZIPKIN),  # a duration is not negative
}


def decoded(form: str, value: bytes) -> list[Part]:
    """What a record of this format holds. Raises `Unusable`."""
    if form == "native":
        return [NativeDecoder().decode(value, SOURCE)]
    return list(decoder_of(form)(value, SOURCE))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", CASES)
def test_a_hostile_record_is_evidence_or_has_a_reason(name: str, form: str) -> None:
    """Whatever is wrong with it, and whatever case its ids have: the same span, or a refusal."""
    given, used = CASES[name]
    try:
        [part] = decoded(form, FORMATS[form](given))
    except Unusable:
        part = None
    if part is None or isinstance(part, BadPart):
        assert form not in used
    else:
        assert form in used
        assert part.key == KEY


@pytest.mark.parametrize(
    ("form", "count"),
    [("native", MILLION), ("otlp_spans", MILLION), ("partial_log", MILLION // 10), ("zipkin", MILLION // 10)],
)
def test_a_million_attributes_are_evidence(form: str, count: int) -> None:
    """What does not fit later is left out of its final, not refused here."""
    [part] = decoded(form, FORMATS[form](Given(more=many(count, form))))
    assert not isinstance(part, BadPart)
    assert part.key == KEY


def test_the_worker_outlives_all_of_them() -> None:
    """Through the whole road, in one process: each span has one last word, each other record is rejected, and memory
    is bounded, also by what is open: spans of 20 MB each, more than there is room for."""
    script = f"from tests.fuzz.test_hostile import travel; print(travel({MOST_MIB}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def travel(most_mib: int) -> int:
    """Tell them all to one course; in a process that has room for `most_mib` of them. The records told."""
    resource.setrlimit(resource.RLIMIT_AS, (most_mib * MEGABYTE, most_mib * MEGABYTE))
    journey, told, spans = Journey(), 0, 0
    for given, used in CASES.values():
        for form, write in FORMATS.items():
            told += 1
            spans += form in used
            own = given if given.span == b"0" * 16 else given._replace(span=b"%016X" % told)
            _tell(journey, form, write(own))
    for number in range(LARGE):
        journey.hear(start(span_id=f"e{number:015}", attributes={"a": "x" * 20 * MEGABYTE}))
    journey.ends()
    assert (len(journey.finals) + journey.letters, journey.rejected) == (spans + LARGE, told - spans)
    return told


def _tell(journey: Journey, form: str, value: bytes) -> None:
    if form == "native":
        journey.hear(value)
    else:
        journey.source(form, value)
