"""Native records of all shapes, for Hypothesis."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.codecs.spans import SPAN, T0, TRACE

text = st.text(st.characters(codec="utf-8"), max_size=12)
int64 = st.integers(-(2**63), 2**63 - 1)
scalars = st.one_of(text, int64, st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.none())
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=8
)
names = st.sampled_from(["a", "b", "http.route", "service.name", "span_finalizer.cause", "error.type", "ü", 'q"\\\n'])
attributes = st.dictionaries(names, values, max_size=5)
ids = st.sampled_from(["d6ffe16bd5b6a3c1", "D6FFE16BD5B6A3C2", "1" * 16])
links = st.fixed_dictionaries(
    {"trace_id": st.sampled_from([TRACE, "A" * 32]), "span_id": ids}, optional={"attributes": attributes}
)
events = st.fixed_dictionaries(
    {"time_unix_nano": st.integers(T0, T0 + 5), "name": text}, optional={"attributes": attributes}
)
described: dict[str, st.SearchStrategy[Any]] = {
    "name": text,
    "span_type": text | st.none(),
    "kind": st.sampled_from(["client", "SERVER", "SPAN_KIND_PRODUCER", 0, 5, None]),
    "parent_span_id": ids | st.sampled_from(["", "0" * 16, None]),
    "trace_state": st.sampled_from(["", "a=b"]),
    "resource": attributes,
    "attributes": attributes,
    "session_id": text,
    "op_id": text,
    "links": st.lists(links, max_size=3),
    "events": st.lists(events, max_size=3),
}


def records(kind: str, at: st.SearchStrategy[int]) -> st.SearchStrategy[bytes]:
    """Records of one kind, with any of the fields that describe a span."""
    required: dict[str, st.SearchStrategy[Any]] = {
        "type": st.just(kind),
        "trace_id": st.just(TRACE),
        "span_id": st.just(SPAN),
        "time_unix_nano": at | at.map(str),
    }
    optional = dict(described)
    if kind == "start":
        required["name"] = text.filter(bool)
        del optional["name"]
    else:
        optional["progress"] = st.floats(0, 1)
    return st.fixed_dictionaries(required, optional=optional).map(lambda event: json.dumps(event).encode())


histories = st.tuples(
    records("start", st.integers(T0, T0 + 3)), st.lists(records("heartbeat", st.integers(T0, T0 + 3)), max_size=3)
).map(lambda history: (history[0], *history[1]))
"""A start and up to three heartbeats around the same moment."""
