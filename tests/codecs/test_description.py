"""Bodies and what they say together: the latest word on each name, links and events once each."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finalizer.codecs.body import NativeBody, body_of
from finalizer.codecs.description import Description, Link, SpanEvent, describe
from finalizer.codecs.values import Attributes, present
from finalizer.core.fold import join_layers
from finalizer.core.model import Body, Evidence, Layer
from tests.codecs.spans import SPAN, T0, TRACE, decode, heartbeat, start
from tests.codecs.strategies import histories


def layers(*values: bytes) -> tuple[Layer, ...]:
    """A layer for each record that describes something, in the order of records."""
    evidence = [decode(value) for value in values]
    bodies = [Layer(piece.at, piece.seq, piece.body) for piece in evidence if piece.body is not None]
    return tuple(sorted(bodies, key=lambda layer: layer.order))


def join(evidence: list[Evidence]) -> tuple[Layer, ...]:
    """The layers after this evidence, in this order of arrival."""
    joined: tuple[Layer, ...] = ()
    for piece in evidence:
        if piece.body is not None:
            joined = join_layers(joined, piece, piece.body)
    return joined


def exact(attributes: Attributes) -> str:
    """Tells 1 from 1.0 and true."""
    return repr(sorted(attributes.items()))


def test_the_latest_word_on_each_name_stands() -> None:
    """Records are merged name by name in the order of records; what a later one does not mention stays."""
    merged = describe(
        layers(
            start(attributes={"a": 1, "b": 1}, resource={"r": 1}, kind="client", span_type="x", session_id="s"),
            heartbeat(attributes={"b": 2, "c": None}, resource={"r": 2, "q": 3}, parent_span_id="", op_id="o"),
        )
    )
    assert (merged.attributes, merged.resource) == ({"a": 1, "b": 2}, {"r": 2, "q": 3})
    assert (merged.name, merged.kind, merged.span_kind, merged.span_type) == ("upload", "client", 3, "x")
    assert (merged.session_id, merged.op_id, merged.parent_span_id) == ("s", "o", "")


def test_nothing_told_is_nothing_described() -> None:
    """A span of which no record describes anything has no name: none is invented."""
    assert describe(()) == Description()
    assert describe(()).name is None


def test_links_and_events_are_joined_once_each() -> None:
    """Clients repeat what happened so far, or send only what is new: each link and event stands once either way."""
    one = {"time_unix_nano": T0 + 1, "name": "one"}
    two = {"time_unix_nano": str(T0 + 2), "name": "two", "attributes": {"n": 1}}
    link = {"trace_id": TRACE.upper(), "span_id": SPAN.upper()}
    merged = describe(layers(start(events=[two], links=[link]), heartbeat(events=[two, one], links=[link])))
    assert list(merged.events) == [SpanEvent(T0 + 1, "one", {}), SpanEvent(T0 + 2, "two", {"n": 1})]
    assert list(merged.links) == [Link(TRACE, SPAN, {})]


@pytest.mark.parametrize(
    ("newer", "older", "covered"),
    [
        ({"attributes": {"a": 2}}, {"attributes": {"a": 1}}, True),
        ({"attributes": {"a": 2, "b": 1}}, {"attributes": {"a": 1}}, True),
        ({"attributes": {"b": 1}}, {"attributes": {"a": 1}}, False),
        ({"attributes": {"a": None, "b": 1}}, {"attributes": {"a": 1}}, False),
        ({"attributes": {"a": 1}}, {"attributes": {"a": 1, "b": None}}, True),
        ({"resource": {"a": 1}}, {"attributes": {"a": 1}}, False),
        ({"op_id": "2"}, {"op_id": "1"}, True),
        ({"op_id": "2"}, {"session_id": "1"}, False),
        ({"kind": "unspecified", "op_id": "2"}, {"kind": "client"}, False),
        ({"kind": "server", "op_id": "2"}, {"kind": "client"}, True),
        ({"parent_span_id": "0" * 16, "op_id": "2"}, {"parent_span_id": SPAN}, False),
        ({"name": "b"}, {"name": "a"}, True),
        ({"op_id": "2"}, {"name": "a"}, False),
        ({"events": [{"time_unix_nano": T0, "name": "x"}]}, {"events": [{"time_unix_nano": T0, "name": "y"}]}, False),
    ],
)
def test_a_body_covers_what_it_says_anew(newer: dict[str, object], older: dict[str, object], covered: bool) -> None:
    """A body covers another if it has a value for every name that the other has one for; a null is none."""
    (new,), (old,) = layers(heartbeat(**newer)), layers(heartbeat(**older))
    assert new.body.covers(old.body) is covered


@given(histories)
def test_a_covered_body_adds_nothing(history: tuple[bytes, ...]) -> None:
    """What covering drops would not have changed the description."""
    everything = layers(*history)
    for place, older in enumerate(everything):
        if any(newer.body.covers(older.body) for newer in everything[place + 1 :]):
            without = describe(everything[:place] + everything[place + 1 :])
            assert exact(without.attributes) == exact(describe(everything).attributes)
            assert without == describe(everything)


@given(histories)
def test_the_order_of_arrival_describes_nothing(history: tuple[bytes, ...]) -> None:
    """Joined in any order, the same records leave the same layers."""
    evidence = [decode(value) for value in history]
    expected = join(evidence)
    for order in permutations(evidence):
        assert join(list(order)) == expected


def test_a_stored_body_comes_back_as_it_was() -> None:
    """(format, data) is all that the changelog keeps of a body; a format of a newer release is refused."""
    (only,) = layers(start())
    body = only.body
    assert body_of(body.format, body.data) == body
    with pytest.raises(ValueError, match="a body of format 99"):
        body_of(99, b"")


def test_a_body_of_another_format_is_never_covered() -> None:
    """Formats are not compared: both layers stay, and the later word still wins."""

    class Foreign:
        format = 99
        data = b"{}"

        def covers(self, older: Body, /) -> bool:
            return older is self

    foreign: Body = Foreign()
    assert not NativeBody(start()).covers(foreign)


@given(st.dictionaries(st.text(max_size=2), st.none() | st.integers() | st.booleans(), max_size=4))
def test_a_null_attribute_is_no_attribute(attributes: Attributes) -> None:
    """Null is dropped; 0 and false are values."""
    assert present(attributes) == {name: value for name, value in attributes.items() if value is not None}


@pytest.mark.parametrize(("state", "told"), [("a=b", "a=b"), ("Ok", "")])
def test_a_native_trace_state_that_is_none_is_left_out(state: str, told: str) -> None:
    """W3C's grammar says what is one, as for spans that come as OTLP."""
    link = {"trace_id": TRACE, "span_id": SPAN, "trace_state": state}
    description = describe(layers(start(trace_state=state, links=[link])))
    assert (description.trace_state, description.links[0].trace_state) == (told, told)
